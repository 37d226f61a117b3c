"""Speech to text: recordings in, what was said and when out."""
