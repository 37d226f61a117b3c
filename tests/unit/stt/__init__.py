"""Tests of the `stt` stage that need neither engine nor decoder."""
