"""OpenAI's audio routes, on top of the module `stt`."""
