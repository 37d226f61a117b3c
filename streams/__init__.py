"""Everything that touches Kafka, Redis and blobs: the log client, the processor runtime, the Faust apps."""
