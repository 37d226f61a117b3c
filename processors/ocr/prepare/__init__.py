"""What is done to a picture before an engine reads it; each step pure and on its own."""
