"""Quotas: reservations in Redis before work begins, and what holds while Redis cannot tell."""
