"""Tags for pictures, as a stage of the LLM gateway."""
