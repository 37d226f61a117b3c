"""The processor runtime: everything between a topic and a handler's one async function."""
