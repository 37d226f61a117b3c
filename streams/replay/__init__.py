"""Replays: past jobs, read from the log by time, done again as new jobs."""
