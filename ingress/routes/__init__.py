"""The routes, one file a concern. Each returns a router; nothing starts by importing them."""
