"""What batch requests reserve of their service's quotas, at the door and again where a process begins anew."""

from dataclasses import replace

from schemas.batch import BatchEntry
from schemas.quota_estimates import job_estimate, limited_answers
from schemas.quotas import Ask, Estimate
from schemas.usage_report import ledger_day
from streams.admission.checks import KEY_ID
from streams.metering.price_file import BudgetPrices
from streams.quota.quotas import Quotas


class Reserver:
    """Reckons entries as REST reckons jobs."""

    def __init__(self, quotas: Quotas, prices: BudgetPrices) -> None:
        self._quotas, self._prices = quotas, prices

    def within_budget(self, entry: BatchEntry) -> BatchEntry:
        """Return an entry whose answers are limited to what is reserved for them, where a budget holds."""
        most = self._quotas.unset_answer(entry.job.service, KEY_ID)
        return entry if most is None else replace(entry, steps=limited_answers(entry.steps, entry.options, most))

    async def reserve(self, ask: Ask) -> None:
        """Reserve what an entry of a door asks for. Raises NotAllowed or QuotaExceeded."""
        await self._quotas.reserve(ask)

    def held(self, entry: BatchEntry) -> Ask | None:
        """Return what an entry on the log has reserved; None where nothing is limited, or it was refused."""
        if entry.refusal is not None or not self._quotas.limited(entry.job.service, KEY_ID):
            return None
        return self.ask(entry)

    def adopt(self, ask: Ask | None) -> None:
        """Hold that, whoever reserved it: see `Quotas.adopt`."""
        if ask is not None:
            self._quotas.adopt(ask)

    def ask(self, entry: BatchEntry, model: str = "") -> Ask:
        """Return what an entry, which may ask for a model, has to reserve."""
        job, estimate = entry.job, Estimate()
        if self._quotas.limited(job.service, KEY_ID):
            prices, day = self._prices.now(), ledger_day(job.created_at_ms)
            estimate = job_estimate(entry.inputs, entry.steps, entry.options, prices, day)
        return Ask(job.job_id, job.service, KEY_ID, job.module, estimate, model)
