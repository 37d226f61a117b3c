"""The local stack: Kafka, Redis and the gateway's own processes, kept alive by one supervisor a data directory."""
