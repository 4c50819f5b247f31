"""Threads that use one device take turns, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """A lock that is given to whoever has waited longest; its holder may take it again.

    A holder that waits for something can let the others in meanwhile, which a `threading.RLock`
    does not offer: `give_way` when time alone brings it on, `wait` when another thread does, which
    then says `changed`.
    """

    def __init__(self) -> None:
        self._door = threading.Condition(threading.Lock())
        self._queue: deque[object] = deque()
        self._holder: int | None = None
        self._depth = 0
        self._changes = 0

    @property
    def mine(self) -> bool:
        """Whether this thread holds it."""
        return self._holder == threading.get_ident()

    def __enter__(self) -> Turns:
        """Wait for the turn."""
        if not self.mine:
            with self._door:
                self._queue_up()
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        """Give the turn back."""
        self._depth -= 1
        if not self._depth:
            with self._door:
                self._leave()

    def give_way(self) -> None:
        """Let those that wait go first, and take the turn again behind them."""
        assert self.mine
        if self._queue:
            with self._door:
                depth = self._depth
                self._leave()
                self._come_back(depth)

    def wait(self) -> None:
        """Give the turn away until somebody says `changed`, then take it again."""
        assert self.mine
        with self._door:
            depth, seen = self._depth, self._changes
            self._leave()
            interrupt: BaseException | None = None
            try:
                while self._changes == seen:
                    self._door.wait()
            except BaseException as error:  # Ctrl-C: with the turn in hand, as it was
                interrupt = error
            self._come_back(depth)
            if interrupt is not None:
                raise interrupt

    def changed(self) -> None:
        """Wake those that `wait`."""
        assert self.mine
        with self._door:
            self._changes += 1
            self._door.notify_all()

    # ------------------------------------------------------------------ inside, with the door shut

    def _queue_up(self) -> None:
        ticket = object()
        self._queue.append(ticket)
        try:
            while self._holder is not None or self._queue[0] is not ticket:
                self._door.wait()
        except BaseException:
            self._queue.remove(ticket)
            self._door.notify_all()
            raise
        self._queue.popleft()
        self._holder = threading.get_ident()

    def _leave(self) -> None:
        self._depth = 0
        self._holder = None
        self._door.notify_all()

    def _come_back(self, depth: int) -> None:
        """Take the turn again whatever comes, since those who have it will give it back."""
        interrupt: BaseException | None = None
        while not self.mine:
            try:
                self._queue_up()
            except BaseException as error:
                interrupt = error
        self._depth = depth
        if interrupt is not None:
            raise interrupt
