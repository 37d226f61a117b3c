"""A module's prompt at work: split what is too long, ask for each part, check, and put the answers together.

1. The input becomes text: of pages, a transcript, another stage's JSON by the module's own template, or as it is.
2. It is split so that each part fits the model's context together with prompt and answer. What a model server still
   finds too long is halved, and its halves go the way of all parts.
3. Each part is asked for, a few at a time; an answer that lost what the module has checked is asked for once more.
4. With a prompt for combining, the answers are the text of the next round, until one is left; else they are put
   together with the spaces between the parts as they were.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from processors.llm.answer_checks import problems
from processors.llm.asking import Asking, Said
from processors.llm.errors import AnswerBroken, CallRefused
from processors.llm.input_text import Given, check_words, given_text, made_text
from processors.llm.pool.pool import Pool
from processors.llm.pool.values import Caller
from processors.llm.protocols.values import Dialect, Json
from processors.llm.split import split
from processors.llm.tokens import estimated, part_cost, part_limit
from schemas.errors import InvalidInput
from schemas.events import StageRequest
from schemas.prompt_template import guarded, reads, render, unguarded
from streams.runtime.processor import Context, Result, SpentWork

_ANSWER_CHECK = "processors.llm.answer_check:problem"
_CHECK_S = 10.0
_AT_ONCE = 4
_MOST_PARTS = 500
_MOST_ROUNDS = 8
_TRIES = 3
_MOST_HALVINGS = 3


async def prompted(pool: Pool, request: StageRequest, context: Context, config: Json) -> Result:
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
        given = made_text(given, config["prompt"]["text"], options)
    check_words(given, before)
    asking = Asking(pool, Caller(request.job.service, request.job.lane, request.job.job_id), context.spent)
    work = _Work(asking, context, config, options, given)
    work.context_tokens = pool.catalogue.resolve(work.model, request.job.service).context_tokens
    return await work.run()


class _Work:
    """One attempt at one request."""

    def __init__(self, asking: Asking, context: Context, config: Json, options: Json, given: Given) -> None:
        self._asking = asking
        self._context = context
        self._config = config
        self._options = options
        self._given = given
        self._prompt: Mapping[str, str] = config["prompt"]
        self._schema: Json | None = config.get("schema")
        # The lines of a page are the paper's: a translation need not keep those.
        self._checks = [c for c in config.get("checks", ()) if not (given.read and c == "lines")]
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._done = self._total = self._in_round = 0
        self.warnings: list[str] = []
        self.model = str(options.get("model") or config.get("model") or "")
        self.context_tokens = 0

    async def run(self) -> Result:
        """Do all rounds and return the result."""
        parts = self._split(self._prompt["part"], self._given.text)
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
            parts = self._split(combine, "\n\n".join(answer.strip() for answer in answers))
            if len(parts) >= len(answers):
                break
            self._total = max(self._total, self._done + len(parts) + (len(parts) > 1))
            answers = await self._round(combine, parts)
        raise _too_long("the answers for its parts do not become short enough to put together")

    async def _round(self, template: str, parts: Sequence[str]) -> list[str]:
        """Return the answers for parts in order, several for a part that was halved; the first failure ends all."""
        self._in_round = 0
        self._count_parts(len(parts))
        await self._context.progress(self._done, self._total, "parts")
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._part(template, part, number, len(parts)))
                    for number, part in enumerate(parts, 1)
                ]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [answer for task in tasks for answer in task.result()]

    async def _part(self, template: str, part: str, number: int, count: int) -> list[str]:
        async with self._gate:
            answers = await self._answered(template, part, number, count)
        self._done += 1
        await self._context.progress(self._done, self._total, "parts")
        return answers

    async def _answered(self, template: str, part: str, number: int, count: int, halvings: int = 0) -> list[str]:
        inner, final = part.strip(), count == 1  # what is not put together with others is the result
        if not inner:
            return [part]
        head, tail = part[: part.index(inner)], part[part.index(inner) + len(inner) :]
        body = self._body(template, inner, number, count, final=final)
        try:
            said = await self._ask(body)
        except CallRefused as e:
            if "context" not in e.told.lower() or halvings >= _MOST_HALVINGS or len(inner) < 2:
                raise
            # The estimate was too low, or the context is smaller than it is said to be: the model server tells (it was
            # told not to cut). What was too long is from here on the most that fits.
            self.context_tokens = min(self.context_tokens, sum(estimated(m["content"]) for m in body["messages"]))
            halves = split(part, part_cost(part) * 3 // 5 + 4, part_cost) if reads(template, "text") else []
            if len(halves) < 2:
                raise
            self._count_parts(len(halves) - 1)
            answers: list[str] = []
            for i, half in enumerate(halves, 1):
                place = (i, len(halves)) if count == 1 else (number, count)
                answers += await self._answered(template, half, *place, halvings + 1)
            return answers
        said, answer = await self._checked(body, inner, said, number, final=final)
        if said.finish == "length":
            self.warnings.append(f"part {number} of {count}: the answer was cut at its limit")
        return [f"{head}{answer}{tail}" if self._joins else answer]

    @property
    def _joins(self) -> bool:
        return "combine" not in self._prompt and self._schema is None

    async def _checked(self, body: Json, text: str, said: Said, number: int, *, final: bool) -> tuple[Said, str]:
        """Return an answer that passed its checks, the first or a repaired one; else warn, or fail for a schema."""
        answer = _plain(text, said.text)
        wrong = await self._wrong(text, answer, final=final)
        if not wrong:
            return said, answer
        told = " ".join(wrong)
        again = [
            *body["messages"],
            {"role": "assistant", "content": said.text},
            {"role": "user", "content": f"That answer is not right: {guarded(told)}. Answer again, in full."},
        ]
        said = await self._ask({**body, "messages": again})
        answer = _plain(text, said.text)
        wrong = await self._wrong(text, answer, final=final)
        if wrong and self._schema is not None and final:
            raw = await self._context.store("text/plain; charset=utf-8", said.text.encode(), "answer.txt")
            raise SpentWork(
                "the model's answer does not fit the module's result schema, after one repair",
                code="invalid_answer",
                remedy="simplify the schema, or use a larger model; the raw answer is kept with the job",
                spent=self._asking.result(None, artifacts={"answer": raw.blob} if raw.blob else {}),
            )
        self.warnings += [f"part {number}: {said_wrong}" for said_wrong in wrong]
        return said, answer

    async def _wrong(self, text: str, answer: str, *, final: bool) -> list[str]:
        if self._schema is not None and final:
            wrong = await self._context.call(_ANSWER_CHECK, answer, self._schema, timeout_s=_CHECK_S)
            return [wrong] if wrong else []
        return problems(text, answer, self._checks) if self._joins else []

    async def _ask(self, body: Json) -> Said:
        for left in reversed(range(_TRIES)):
            try:
                return await self._asking.ask(body, Dialect.OLLAMA)
            except AnswerBroken:
                if not left:  # one part that breaks need not cost all the others
                    raise
        raise AssertionError

    def _body(self, template: str, text: str, number: int, count: int, *, final: bool) -> Json:
        messages = [{"role": "user", "content": self._filled(template, text, number, count)}]
        if "system" in self._prompt:
            system = self._filled(self._prompt["system"], "", number, count)
            messages.insert(0, {"role": "system", "content": system})
        options = {name: self._config[name] for name in ("temperature", "seed") if name in self._config}
        if "answer_tokens" in self._config:
            # The answers for parts must be short enough for several of them to be put together.
            most = self.context_tokens // 16 if count > 1 and not self._joins else self._config["answer_tokens"]
            options["num_predict"] = min(most, self._config["answer_tokens"])
        # An Ollama would cut a prompt that is too long without a word; so it refuses it.
        body: Json = {"model": self.model, "messages": messages, "options": options, "truncate": False, "stream": True}
        return {**body, "format": self._schema} if self._schema is not None and final else body

    def _filled(self, template: str, text: str, number: int, count: int) -> str:
        values: dict[str, Any] = {
            "text": text,
            "data": self._given.data if self._given.data is not None else {},
            "options": self._options,
            "number": number,
            "count": count,
        }
        return render(template, values)

    def _split(self, template: str, text: str) -> list[str]:
        around = estimated(self._filled(template, "", 1, 1))
        around += estimated(self._filled(self._prompt["system"], "", 1, 1)) if "system" in self._prompt else 0
        answer_tokens, ratio = self._config.get("answer_tokens"), self._config.get("answer_ratio")
        limit = part_limit(self.context_tokens, around, answer_tokens, ratio)
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
        text = "".join(answers)
        if self._schema is not None:
            return self._asking.result(orjson.loads(text))
        body: Json = {
            "text": text if self._joins else text.strip(),
            "model": self._asking.model,
            "parts": parts,
            "warnings": self.warnings,
        }
        if self._config.get("keep_input") and self._given.data is not None:
            body["input"] = self._given.data
        return self._asking.result(body)


def _plain(text: str, answer: str) -> str:
    """Return an answer without its outer spaces; what was guarded in the prompt is as it was."""
    return (unguarded(answer) if guarded(text) != text else answer).strip()


def _too_long(why: str) -> InvalidInput:
    return InvalidInput(
        f"the input is too long: {why}",
        code="input_too_long",
        remedy="send less at a time, or use a model with a larger context (context_tokens in models.yml)",
    )
