"""Models that tests make for themselves: nothing is downloaded."""
