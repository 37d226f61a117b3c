"""What calls used: an answer's own account while it comes, and the attempts that brought nothing. No I/O."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from processors.llm.pool.estimates import Estimates
from processors.llm.protocols.values import Call, Chunk, Counts


@dataclass(frozen=True, slots=True)
class Used:
    """What a call used. `complete`: the answer ended as it should.

    `counted`: the numbers are the upstream's own; otherwise the prompt is estimated, and the answer's tokens are
    those that its events show.
    """

    prompt_tokens: int
    completion_tokens: int
    complete: bool
    counted: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt that an upstream had taken and that gave the caller nothing: it hung, broke, or another was quicker.

    `model` is the public name. `cut`: it was broken off from our side, by its caller's leaving or for the quicker one.
    """

    model: str
    upstream: str
    used: Used
    work_s: float
    cut: bool


class Tally:
    """One attempt's account, by the chunks of its answer; it begins when this is made.

    `model` is the public name, `server` the upstream and its name for the model, `lost` the call's list of attempts
    that brought nothing.
    """

    __slots__ = (
        "_call", "_characters", "_clock", "_complete", "_counts", "_ended", "_estimates", "_events", "_exact", "_lost",
        "_server", "_since", "_stopped", "_tools", "began", "model",
    )  # fmt: skip

    def __init__(
        self,
        call: Call,
        model: str,
        server: tuple[str, str],
        estimates: Estimates,
        lost: list[Lost],
        clock: Callable[[], float],
    ) -> None:
        self.model = model
        self.began = clock()
        self._call = call
        self._server = server
        self._estimates = estimates
        self._lost = lost
        self._clock = clock
        self._ended: float | None = None
        self._counts: Counts | None = None
        self._events = self._exact = self._characters = 0
        self._since = (0, 0, 0)  # events, exact and characters at the upstream's latest counts
        self._complete = self._stopped = self._tools = False

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Take in chunks as they came."""
        for chunk in chunks:
            for part in chunk.parts:
                if part.text or part.thinking or part.tool_calls:
                    if part.logprobs:
                        self._exact += len(part.logprobs)  # one for each token
                    else:
                        self._events += 1
                        self._characters += len(part.text) + len(part.thinking)
                    if part.tool_calls:
                        self._tools = True
                        self._characters += sum(len(call.arguments) for call in part.tool_calls)
                if part.finish:
                    self._stopped = part.finish == "stop"
            if chunk.counts is not None:
                self._counts = chunk.counts
                self._since = (self._events, self._exact, self._characters)
            self._complete = self._complete or chunk.last

    def used(self) -> Used:
        """Return what the answer has used so far."""
        counts = self._counts
        if counts is None:
            prompt = self._estimates.prompt_tokens(self.model, self._call)
            return Used(prompt, self._shown(0, 0, 0), self._complete, counted=False)
        if self._complete:
            return Used(counts.prompt_tokens, counts.completion_tokens, complete=True, counted=True)
        # Servers that count as they go may give the prompt alone at first, so nothing shown is left out.
        completion = max(counts.completion_tokens + self._shown(*self._since), self._exact + self._events)
        up_to_date = self._since[:2] == (self._events, self._exact) and completion == counts.completion_tokens
        return Used(counts.prompt_tokens, completion, complete=False, counted=up_to_date)

    @property
    def has_begun(self) -> bool:
        """Whether a token came."""
        return bool(self._events or self._exact)

    @property
    def work_s(self) -> float:
        """How long the upstream was at work, until now or until the end."""
        return (self._clock() if self._ended is None else self._ended) - self.began

    def end(self) -> None:
        """Close the account, and teach the estimates what the upstream counted; once more changes nothing."""
        if self._ended is not None:
            return
        self._ended = self._clock()
        counts = self._counts
        if counts is None or not self._complete:
            return
        if counts.prompt_tokens:  # an Ollama that had all of it cached tells none
            self._estimates.learn_prompt(self.model, self._call, counts.prompt_tokens)
        if self._call.stream and self._events and not (self._exact or self._tools):
            # Ollama counts the token that ends an answer, and sends no event for it.
            self._estimates.learn_stream(self._server, self._events, counts.completion_tokens - self._stopped)

    def lose(self, *, cut: bool) -> None:
        """Close the account as that of an attempt that brought nothing."""
        self.end()
        self._lost.append(Lost(self.model, self._server[0], self.used(), self.work_s, cut))

    def _shown(self, events: int, exact: int, characters: int) -> int:
        more = self._events - events, self._characters - characters
        return self._exact - exact + self._estimates.completion_tokens(self.model, self._server, *more)
