"""The batch door: reads what services produce, starts their jobs and answers each request once."""
