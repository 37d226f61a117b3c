"""A small client of the gateway, over REST and over Kafka, each as async and as blocking calls."""

from streams.client.blocking import BlockingDoor, BlockingRest
from streams.client.door import DoorClient, Place, Reply
from streams.client.rest import RestClient

__all__ = ["BlockingDoor", "BlockingRest", "DoorClient", "Place", "Reply", "RestClient"]
