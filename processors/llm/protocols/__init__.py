"""Translation between OpenAI's and Ollama's shapes: pure functions over bodies, events and bytes."""
