"""The pool of model servers: which there are, which is chosen, who waits, and what happens when one fails."""
