"""Faust's monitor without its books: nobody reads them, and they cost as much as our own fold."""

from typing import Any

from faust.sensors import Monitor


class QuietMonitor(Monitor):
    """Remembers nothing by itself; when records were last folded, FastConsumer tells it."""

    def on_message_in(self, tp: Any, offset: int, message: Any) -> None:
        """Nothing."""

    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> None:
        """Nothing."""

    def on_stream_event_out(self, tp: Any, offset: int, stream: Any, event: Any, state: Any = None) -> None:
        """Nothing."""

    def on_message_out(self, tp: Any, offset: int, message: Any) -> None:
        """Nothing."""

    def on_send_initiated(self, producer: Any, topic: str, message: Any, keysize: int, valsize: int) -> None:
        """Nothing."""

    def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:
        """Nothing."""
