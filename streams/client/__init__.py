"""A small client of the gateway, over REST and over Kafka, each as async and as blocking calls."""

from streams.client.blocking import BlockingDoor, BlockingRest
from streams.client.door import DoorClient, Place, Reply
from streams.client.rest import RestClient
from streams.log.bootstrap import Bootstrap, Login

__all__ = ["BlockingDoor", "BlockingRest", "Bootstrap", "DoorClient", "Login", "Place", "Reply", "RestClient"]
