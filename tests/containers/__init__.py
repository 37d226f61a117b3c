"""The compose file run for real, where a container engine answers."""
