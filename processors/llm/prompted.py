"""A module's prompt at work: split what is too long, ask for each part, check, and put the answers together.

1. The input becomes text: of pages, a transcript, another stage's JSON by the module's own template, or as it is.
2. It is split so that each part fits the model's context together with prompt and answer. What a model server still
   finds too long is halved, and its halves go the way of all parts.
3. Each part is asked for, a few at a time; an answer that lost what the module has checked is asked for once more.
   Of several parts each is kept as it is answered: the next attempt asks for the others alone.
4. With a prompt for combining, the answers are the text of the next round, until one is left; else they are put
   together with the spaces between the parts as they were.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import orjson

from processors.llm.answer_checks import problems
from processors.llm.asking import Asking, Said
from processors.llm.errors import CallRefused
from processors.llm.input_text import Given, check_words, given_text
from processors.llm.kept_parts import KeptPart, KeptParts, Spent, part_mark
from processors.llm.module_prompt import Messages, ModulePrompt, Place, said_tokens, text_of
from processors.llm.pool.pool import Pool
from processors.llm.pool.values import Caller
from processors.llm.protocols.values import Dialect, Json
from processors.llm.split import split
from processors.llm.tokens import part_cost, part_limit
from schemas.errors import InvalidInput, Transient
from schemas.events import StageRequest
from schemas.payloads import json_payload
from schemas.prompt_template import guarded, has_guards, reads, unguarded
from schemas.quota_estimates import ANSWER_LIMIT
from streams.runtime.processor import Context, Result, SpentWork
from streams.storage.checkpoints import Checkpoints

_ANSWER_CHECK = "processors.llm.answer_check:problem"
_CHECK_S = 10.0
_AT_ONCE = 4
_MOST_PARTS = 500
_MOST_ROUNDS = 8
_MOST_HALVINGS = 3


async def prompted(
    pool: Pool, request: StageRequest, context: Context, config: Json, checkpoints: Checkpoints
) -> Result:
    """Answer one request by its module's prompt.

    Raises InvalidInput (`empty_text`, `input_too_long`, `context_too_small`), SpentWork (`invalid_answer`), or what
    asking raises.
    """
    position = request.position
    before = request.steps[position - 1].kind if position else ""
    inputs = [given_text(before, payload.media_type, await context.read(payload)) for payload in request.inputs]
    if not inputs:
        raise InvalidInput("there is no input", code="missing_input", remedy='send {"text": "…"} or a file')
    options: Json = orjson.loads(request.options or "{}")
    given = inputs[0] if len(inputs) == 1 else Given("\f".join(g.text for g in inputs), read=inputs[0].read)
    if "text" in config["prompt"]:
        given = replace(given, text=await text_of(context, config["prompt"]["text"], options, given))
    check_words(given, before)
    work = _Work(pool, request, context, config, options, given, KeptParts(checkpoints, request))
    return await work.run()


@dataclass(slots=True)
class _Part:
    """One part of a round while it is asked for."""

    template: str
    text: str
    place: Place
    mark: str
    asking: Asking
    warnings: list[str] = field(default_factory=list[str])


class _Work:
    """One attempt at one request."""

    def __init__(
        self,
        pool: Pool,
        request: StageRequest,
        context: Context,
        config: Json,
        options: Json,
        given: Given,
        kept: KeptParts,
    ) -> None:
        self._pool = pool
        self._caller = Caller(request.job.service, request.job.lane, request.job.job_id)
        self._context = context
        self._config = config
        self._given = given
        self._kept = kept
        self._spent = Spent(context.spent)
        self._prompt: Mapping[str, str] = config["prompt"]
        self._templates = ModulePrompt(context, self._prompt, options, given)
        self._schema: Json | None = config.get("schema")
        # The lines of a page are the paper's: a translation need not keep those.
        self._checks = [c for c in config.get("checks", ()) if not (given.read and c == "lines")]
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._done = self._total = self._in_round = self._rounds = 0
        self._stopped: Transient | None = None
        self._warnings: dict[tuple[int, int], list[str]] = {}
        self._model = str(options.get("model") or config.get("model") or "")
        self._context_tokens = pool.catalogue.resolve(self._model, request.job.service).context_tokens

    async def run(self) -> Result:
        """Do all rounds and return the result."""
        parts = await self._split(self._prompt["part"], self._given.text)
        combine = self._prompt.get("combine")
        self._total = len(parts) + (1 if combine and len(parts) > 1 else 0)
        answers = await self._round(self._prompt["part"], parts)
        count = len(answers)
        if combine is not None:
            answers = await self._combined(combine, answers)
        return self._result(answers, count)

    async def _combined(self, combine: str, answers: list[str]) -> list[str]:
        for _ in range(_MOST_ROUNDS):
            if len(answers) == 1:
                return answers
            parts = await self._split(combine, "\n\n".join(answer.strip() for answer in answers))
            if len(parts) >= len(answers):
                break
            self._total = max(self._total, self._done + len(parts) + (len(parts) > 1))
            answers = await self._round(combine, parts)
        raise _too_long("the answers for its parts do not become short enough to put together")

    async def _round(self, template: str, parts: Sequence[str]) -> list[str]:
        """Return the answers for parts in order, several for a part that was halved.

        What fails for good ends all at once. Where one fails that may succeed later, no other is begun, but those that
        are under way are finished, and kept.
        """
        self._in_round = 0
        self._rounds += 1
        self._count_parts(len(parts))
        await self._context.progress(self._done, self._total, "parts")
        places = [Place(part.strip(), number, len(parts)) for number, part in enumerate(parts, 1)]
        asked = await self._templates.messages(template, places)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._in_turn(self._new_part(template, part, place), messages))
                    for part, place, messages in zip(parts, places, asked, strict=True)
                ]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        if self._stopped is not None:
            raise self._stopped
        return [answer for task in tasks for answer in task.result()]

    def _new_part(self, template: str, text: str, place: Place) -> _Part:
        mark = part_mark(self._rounds, place.number, place.count, text)
        spent, limit = partial(self._spent.note, mark), self._config.get(ANSWER_LIMIT, 0)
        asking = Asking(self._pool, self._caller, spent, limit)
        return _Part(template, text, place, mark, asking)

    async def _in_turn(self, part: _Part, messages: Messages) -> list[str]:
        async with self._gate:
            if self._stopped is not None:
                return []
            try:
                answers = await self._kept_or_answered(part, messages)
            except Transient as e:
                self._stopped = self._stopped or e
                return []
        self._warnings[self._rounds, part.place.number] = part.warnings
        self._done += 1
        await self._context.progress(self._done, self._total, "parts")
        return answers

    async def _kept_or_answered(self, part: _Part, messages: Messages) -> list[str]:
        alone = part.place.count == 1  # then there is nothing to go on from
        kept = None if alone else await self._kept.load(part.mark)
        if kept is not None:
            self._context_tokens = min(self._context_tokens, kept.context_tokens)
            self._count_parts(len(kept.answers) - 1)
            self._spent.note(part.mark, Result((), kept.usage, model=kept.model, upstream=kept.upstream))
            self._spent.keep(part.mark)
            part.warnings += kept.warnings
            return list(kept.answers)
        answers = await self._answered(part, part.text, part.place, messages)
        used = self._spent.of(part.mark)
        made = KeptPart(
            tuple(answers), tuple(part.warnings), self._context_tokens, used.usage, used.model, used.upstream
        )
        if not alone and await self._kept.save(part.mark, made):
            self._spent.keep(part.mark)
        return answers

    async def _answered(self, part: _Part, text: str, place: Place, messages: Messages, halvings: int = 0) -> list[str]:
        inner, final = place.text, place.count == 1  # what is not put together with others is the result
        if not inner:
            return [text]
        head, tail = text[: text.index(inner)], text[text.index(inner) + len(inner) :]
        body = self._body(messages, place.count, final=final)
        try:
            said = await part.asking.ask(body, Dialect.OLLAMA)
        except CallRefused as e:
            if "context" not in e.told.lower() or halvings >= _MOST_HALVINGS or len(inner) < 2:
                raise
            # The estimate was too low, or the context is smaller than it is said to be: the model server tells (it was
            # told not to cut). What was too long is from here on the most that fits.
            self._context_tokens = min(self._context_tokens, said_tokens(messages))
            halves = split(text, part_cost(text) * 3 // 5 + 4, part_cost) if reads(part.template, "text") else []
            if len(halves) < 2:
                raise
            return await self._in_halves(part, halves, place, halvings + 1)
        said, answer = await self._checked(part, body, place, said)
        if said.finish == "length":
            part.warnings.append(f"part {place.number} of {place.count}: the answer was cut at its limit")
        return [f"{head}{answer}{tail}" if self._joins else answer]

    async def _in_halves(self, part: _Part, halves: list[str], whole: Place, halvings: int) -> list[str]:
        self._count_parts(len(halves) - 1)
        places = [
            Place(half.strip(), i, len(halves)) if whole.count == 1 else replace(whole, text=half.strip())
            for i, half in enumerate(halves, 1)
        ]
        asked = await self._templates.messages(part.template, places)
        answers: list[str] = []
        for half, place, messages in zip(halves, places, asked, strict=True):
            answers += await self._answered(part, half, place, messages, halvings)
        return answers

    @property
    def _joins(self) -> bool:
        return "combine" not in self._prompt and self._schema is None

    async def _checked(self, part: _Part, body: Json, place: Place, said: Said) -> tuple[Said, str]:
        """Return an answer that passed its checks, the first or a repaired one; else warn, or fail for a schema."""
        answer = _plain(body, said.text)
        final = place.count == 1
        wrong = await self._wrong(place.text, answer, final=final)
        if not wrong:
            return said, answer
        told = " ".join(wrong)
        again = [
            *body["messages"],
            {"role": "assistant", "content": said.text},
            {"role": "user", "content": f"That answer is not right: {guarded(told)}. Answer again, in full."},
        ]
        said = await part.asking.ask({**body, "messages": again}, Dialect.OLLAMA)
        answer = _plain(body, said.text)
        wrong = await self._wrong(place.text, answer, final=final)
        if wrong and self._schema is not None and final:
            raw = await self._context.store("text/plain; charset=utf-8", said.text.encode(), "answer.txt")
            spent = replace(self._spent.total(), artifacts={"answer": raw.blob} if raw.blob else {})
            raise SpentWork(
                "the model's answer does not fit the module's result schema, after one repair",
                code="invalid_answer",
                remedy="simplify the schema, or use a larger model; the raw answer is kept with the job",
                spent=spent,
            )
        part.warnings += [f"part {place.number}: {said_wrong}" for said_wrong in wrong]
        return said, answer

    async def _wrong(self, text: str, answer: str, *, final: bool) -> list[str]:
        if self._schema is not None and final:
            wrong = await self._context.call(_ANSWER_CHECK, answer, self._schema, timeout_s=_CHECK_S)
            return [wrong] if wrong else []
        return problems(text, answer, self._checks) if self._joins else []

    def _body(self, messages: Messages, count: int, *, final: bool) -> Json:
        options = {name: self._config[name] for name in ("temperature", "seed") if name in self._config}
        if "answer_tokens" in self._config:
            # The answers for parts must be short enough for several of them to be put together.
            most = self._context_tokens // 16 if count > 1 and not self._joins else self._config["answer_tokens"]
            options["num_predict"] = min(most, self._config["answer_tokens"])
        # An Ollama would cut a prompt that is too long without a word; so it refuses it.
        body: Json = {"model": self._model, "messages": messages, "options": options, "truncate": False, "stream": True}
        return {**body, "format": self._schema} if self._schema is not None and final else body

    async def _split(self, template: str, text: str) -> list[str]:
        around = await self._templates.around(template)
        answer_tokens, ratio = self._config.get("answer_tokens"), self._config.get("answer_ratio")
        limit = part_limit(self._context_tokens, around, answer_tokens, ratio)
        # A prompt of the data alone is the same whatever part of the text it is asked for.
        return split(text, limit, part_cost) if reads(template, "text") else [text]

    def _count_parts(self, more: int) -> None:
        """Raise InvalidInput when a round has more parts than the module can put together or allows."""
        self._in_round += more
        if self._in_round > 1 and self._schema is not None and "combine" not in self._prompt:
            raise _too_long("its answer is JSON, which cannot be put together")
        most = self._config.get("parts", _MOST_PARTS)
        if self._in_round > most:
            raise _too_long(f"it would be {self._in_round} parts, and {most} are allowed")

    def _result(self, answers: list[str], parts: int) -> Result:
        text, used = "".join(answers), self._spent.total()
        body: Json = {
            "text": text if self._joins else text.strip(),
            "model": used.model,
            "parts": parts,
            "warnings": [said for place in sorted(self._warnings) for said in self._warnings[place]],
        }
        if self._config.get("keep_input") and self._given.data is not None:
            body["input"] = self._given.data
        made = orjson.dumps(orjson.loads(text) if self._schema is not None else body)
        return replace(used, outputs=(json_payload(made, "llm.json"),))


def _plain(body: Json, answer: str) -> str:
    """Return an answer without its outer spaces; what was guarded in the prompt is as it was."""
    return (unguarded(answer) if any(has_guards(m["content"]) for m in body["messages"]) else answer).strip()


def _too_long(why: str) -> InvalidInput:
    return InvalidInput(
        f"the input is too long: {why}",
        code="input_too_long",
        remedy="send less at a time, or use a model with a larger context (context_tokens in models.yml)",
    )
