"""Model servers that behave as real ones do, odd ways included; each runs as a process of its own."""
