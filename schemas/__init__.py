"""The language of the system: values and pure functions, without Kafka, Redis, HTTP, clock or disk writes."""
