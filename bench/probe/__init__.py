"""A module and its processor for measuring and for breaking things: no-op work that sleeps, fails or dies as told."""
