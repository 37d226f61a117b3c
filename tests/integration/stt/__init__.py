"""Tests of the `stt` stage with the real decoder and engine."""
