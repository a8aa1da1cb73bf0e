"""The main port's server: one ROUTER socket, a bounded queue, worker threads.

A REP socket would answer one request after the other. Here each request keeps its envelope, the frames that lead back
to its sender, so that replies can be given in any order and a free worker takes the next request, whoever sent it.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import zmq

from main_pc_code.common.messages import RequestError

REPLIES = "inproc://replies"
MIN_RETRY_S = 0.05
LINGER_MS = 200  # For the last replies to be sent.
SMOOTHING = 0.1  # What one more request counts for in the typical handling time.

Frames = list[bytes]


class RequestServer:
    """Has requests answered by worker threads; while `max_waiting` of them wait, further ones are refused as busy.

    Workers are started when they are needed, and stay.
    """

    def __init__(
        self,
        socket: zmq.Socket,
        answer: Callable[[Frames], bytes],
        refuse: Callable[[RequestError], bytes],
        workers: int,
        max_waiting: int,
        max_request_bytes: int,
    ) -> None:
        self._socket, self._answer, self._refuse = socket, answer, refuse
        self._workers, self._max_waiting, self._max_request_bytes = workers, max_waiting, max_request_bytes
        self._jobs: queue.SimpleQueue[tuple[Frames, Frames] | None] = queue.SimpleQueue()
        self._in_hand = 0
        self._threads: list[threading.Thread] = []
        self._typical_s = MIN_RETRY_S

    def serve(self, stop_fd: int) -> None:
        """Until `stop_fd` is readable; then what waits is dropped, and what is being answered still gets its reply."""
        replies = self._socket.context.socket(zmq.PULL)
        replies.bind(REPLIES)
        poller = zmq.Poller()
        for source in (self._socket, replies, stop_fd):
            poller.register(source, zmq.POLLIN)
        while stop_fd not in (ready := dict(poller.poll())):
            if replies in ready:
                self._pass_on(replies.recv_multipart())
            if self._socket in ready:
                self._take(self._socket.recv_multipart())
        with suppress(queue.Empty):
            while self._jobs.get_nowait():
                self._in_hand -= 1
        while self._in_hand:
            self._pass_on(replies.recv_multipart())
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        replies.close()
        self._socket.close(LINGER_MS)

    def _pass_on(self, reply: Frames) -> None:
        self._in_hand -= 1
        self._socket.send_multipart(reply)

    def _take(self, frames: Frames) -> None:
        if b"" not in frames:
            return  # No envelope as REQ sockets make it, so that nobody waits for a reply.
        body = frames.index(b"") + 1
        envelope, message = frames[:body], frames[body:]
        if problem := self._problem(sum(map(len, frames))):
            self._socket.send_multipart([*envelope, self._refuse(problem)])
            return
        self._in_hand += 1
        if len(self._threads) < min(self._in_hand, self._workers):
            self._start_worker()
        self._jobs.put((envelope, message))

    def _start_worker(self) -> None:
        """Where the number of threads is limited, the workers that there are do it all."""
        thread = threading.Thread(target=self._work, daemon=True)
        try:
            thread.start()
            self._threads.append(thread)
        except RuntimeError:
            if not self._threads:
                raise

    def _problem(self, size_bytes: int) -> RequestError | None:
        if size_bytes > self._max_request_bytes:
            return RequestError(f"message of {size_bytes} bytes; the limit is {self._max_request_bytes}")
        if self._in_hand < self._workers + self._max_waiting:
            return None
        retry_s = max(MIN_RETRY_S, self._typical_s * self._in_hand / self._workers)
        return RequestError("busy: too many requests wait", code="busy", retry_after_s=round(retry_s, 3))

    def _work(self) -> None:
        replies = self._socket.context.socket(zmq.PUSH)
        replies.connect(REPLIES)
        while job := self._jobs.get():
            envelope, message = job
            started_s = time.monotonic()
            reply = self._answer(message)
            self._typical_s += SMOOTHING * (time.monotonic() - started_s - self._typical_s)
            replies.send_multipart([*envelope, reply])
        replies.close()
