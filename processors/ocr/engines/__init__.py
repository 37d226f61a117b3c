"""Engines that turn pixels into words, behind one protocol."""
