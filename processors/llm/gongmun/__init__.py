"""The facts of an official letter, by rules: pure functions from a read document to a result with evidence."""
