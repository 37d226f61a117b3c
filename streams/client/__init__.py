"""A small client of the gateway, over REST and over Kafka, each as async and as blocking calls."""

from streams.client.blocking import BlockingDoor, BlockingRest
from streams.client.door import DoorClient, Place, Reply, Standing
from streams.client.rest import NotLetIn, RestClient
from streams.log.bootstrap import Bootstrap, Login

__all__ = [
    "BlockingDoor",
    "BlockingRest",
    "Bootstrap",
    "DoorClient",
    "Login",
    "NotLetIn",
    "Place",
    "Reply",
    "RestClient",
    "Standing",
]
