"""A PUB socket that several threads may send on, and that never makes any of them wait."""

import threading

import zmq

from main_pc_code.common.settings import Settings, StartError

# Messages kept for each subscriber that reads too slowly; what is more than that is lost for this subscriber.
QUEUED_MESSAGES = 500
# Subscribers send nothing but the prefixes they want. A longer frame ends its sender's connection.
MAX_SUBSCRIPTION_BYTES = 1024


class Publisher:
    """A socket may only be used by one thread at a time, so a lock guards it."""

    def __init__(self, context: zmq.Context, settings: Settings) -> None:
        endpoint = f"tcp://{settings.bind_address}:{settings.publish_port}"
        self._lock = threading.Lock()
        self._socket = context.socket(zmq.PUB)
        self._socket.linger = 0
        self._socket.sndhwm = QUEUED_MESSAGES
        self._socket.maxmsgsize = MAX_SUBSCRIPTION_BYTES
        self.published = 0
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._socket.close()
            raise StartError(f"cannot bind {endpoint}: {error}") from error

    def send(self, *frames: bytes) -> None:
        """Sends one message to whoever listens; does nothing once the agent's sockets are closed."""
        with self._lock:
            try:
                self._socket.send_multipart(frames, flags=zmq.NOBLOCK)
            except zmq.ZMQError:
                return  # The agent is about to end: its context is gone.
            self.published += 1
