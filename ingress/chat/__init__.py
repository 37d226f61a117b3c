"""The interactive path: callers who speak OpenAI's or Ollama's protocol, streamed straight from the pool."""
