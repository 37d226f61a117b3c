"""Captured streams for tests: their readers, and what these make of them."""

from collections.abc import Callable

from processors.llm.protocols import from_ollama, from_openai
from processors.llm.protocols.values import Chunk

Reader = from_ollama.OllamaReader | from_openai.OpenAiReader
READERS: dict[str, Callable[[], Reader]] = {
    "chat_stream": from_ollama.OllamaReader,
    "chat_cold_stream": from_ollama.OllamaReader,
    "chat_schema_stream": from_ollama.OllamaReader,
    "chat_tools_stream": from_ollama.OllamaReader,
    "generate_stream": from_ollama.OllamaReader,
    "v1_chat_stream": from_openai.OpenAiReader,
    "v1_chat_stream_nousage": from_openai.OpenAiReader,
}


def read(reader: Reader, parts: list[bytes]) -> list[Chunk]:
    """Feed a stream and end it."""
    chunks = [chunk for part in parts for chunk in reader.feed(part)]
    return [*chunks, *reader.finish()]


def text(chunks: list[Chunk]) -> str:
    """The text of all chunks."""
    return "".join(part.text for chunk in chunks for part in chunk.parts)
