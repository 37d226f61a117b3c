"""What a module's templates say to a model about any part of an input."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from processors.llm.filling import filled
from processors.llm.input_text import Given
from processors.llm.protocols.values import Json
from processors.llm.tokens import estimated
from schemas.prompt_template import reads
from streams.runtime.processor import Context

Messages = list[Json]


@dataclass(frozen=True, slots=True)
class Place:
    """A part's text, and which of how many it is (from 1)."""

    text: str
    number: int
    count: int


class ModulePrompt:
    """The templates `system` (if there is one), and `part` or `combine`, with a job's data and options."""

    def __init__(self, context: Context, prompt: Mapping[str, str], options: Json, given: Given) -> None:
        self._context = context
        self._prompt = prompt
        self._options = options
        self._data: Any = given.data if given.data is not None else {}

    async def messages(self, template: str, places: Sequence[Place]) -> list[Messages]:
        """Return what is said for each place. Raises InvalidInput (`prompt_not_rendered`)."""
        system = self._prompt.get("system")
        sources = [template] if system is None else [template, system]
        wanted = [(template, asdict(place)) for place in places]
        if system is not None:
            wanted += [(system, asdict(replace(place, text=""))) for place in places]
        texts = await filled(self._context, self._common(sources), wanted)
        asked: list[Messages] = [[{"role": "user", "content": text}] for text in texts[: len(places)]]
        for messages, text in zip(asked, texts[len(places) :], strict=False):
            messages.insert(0, {"role": "system", "content": text})
        return asked

    async def around(self, template: str) -> int:
        """Return how many tokens there are at most around a part."""
        [messages] = await self.messages(template, [Place("", 1, 1)])
        return said_tokens(messages)

    def _common(self, sources: Iterable[str]) -> Json:
        # The data may be large: it goes to the child process only where a template reads it.
        data: Any = self._data if any(reads(source, "data") for source in sources) else {}
        return {"data": data, "options": self._options}


async def text_of(context: Context, template: str, options: Json, given: Given) -> str:
    """Return the text that a module's template makes of an input's data (of its text, where it is no JSON).

    It is as it stands there: it is guarded with the prompt. Raises InvalidInput (`prompt_not_rendered`).
    """
    values = {"text": given.text, "data": given.data if given.data is not None else {}, "options": options}
    [text] = await filled(context, values, [(template, {"number": 1, "count": 1})], guard=False)
    return text


def said_tokens(messages: Messages) -> int:
    """Return how many tokens messages take at most, roughly."""
    return sum(estimated(message["content"]) for message in messages)
