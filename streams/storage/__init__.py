"""Blobs: content too large for a record."""
