"""What is tried on one `compose.kafka.yml` that is up, brought up once."""
