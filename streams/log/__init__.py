"""The log client: publishing, subscribing, reading compacted topics, and their in-memory fakes."""
