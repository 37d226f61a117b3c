"""Scoring of results against documents whose truth is known: `gateway eval`."""
