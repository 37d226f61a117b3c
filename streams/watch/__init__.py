"""What the gateway tells of the systems it stands on: the log, Redis and its disk."""
