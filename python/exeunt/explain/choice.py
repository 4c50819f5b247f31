"""Which frames are explained, and the requests for them: the reference of `ex_explain_choose`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from exeunt.errors import InputError

ANY = 2**31 - 1  # as a limit: any score is below it
NONE = -(2**31)  # no score is below it


@dataclass(frozen=True)
class Request:
    """What the engine is asked to explain; `label` is the class."""

    id: int
    label: int
    exit: int
    method: int
    slot: int


class Choice:
    """Frames that enter and leave, cycle by cycle.

    Args:
        asked: so many ids can be asked for before they enter.

    Attributes:
        explained: requests that the engine has taken.
        missed: frames that were wanted and got no slot.
        unmet: ids asked for that had entered before, or were forgotten.
        entered: frames that have entered, which is the id of the next one.

    Raises:
        InputError: no places for ids.
    """

    def __init__(self, asked: int) -> None:
        if asked < 1:
            raise InputError(
                f"at least 1 id must have a place until its frame enters, got {asked} places: "
                "choose as many as a host asks for at once, 4 and more"
            )
        self.places = asked
        self.explained = self.missed = self.unmet = self.entered = 0
        self._ids: list[int] = []  # asked for, the oldest first
        self._since: int | None = None  # frames since the last turn; None: there was none
        self._frames: dict[int, tuple[int, int, bool]] = {}  # slot: id, method, asked for
        self._queue: deque[Request] = deque()

    def wants(self, every: int) -> bool:
        """Whether the next frame is to have a slot; `every` n >= 1: one in n, 0: ids asked for."""
        return self._turn(every) or self.entered in self._ids

    def explains(self, slot: int, score: int, below: int, silent: bool = False) -> bool:
        """Whether the frame in `slot` is explained when it leaves.

        Args:
            slot: the frame's.
            score: signed, 32 bits.
            below: the limit of its exit: `ANY`, `NONE`, or between them.
            silent: it leaves without a result.
        """
        return not silent and (self._frames[slot][2] or below == ANY or score < below)

    @property
    def offer(self) -> Request | None:
        """The request on offer in this cycle."""
        return self._queue[0] if self._queue else None

    def step(
        self,
        *,
        every: int,
        method: int,
        enter: bool,
        slot: int | None,
        left: Mapping[int, tuple[int, int]],
        taken: bool,
        ask: int | None = None,
        forget: bool = False,
    ) -> None:
        """One cycle.

        Args:
            every: one frame in so many is wanted, 0: none.
            method: of frames that enter.
            enter: a frame enters.
            slot: it gets, None: it gets none.
            left: for each exit at which a frame leaves that is explained: its slot, its class.
            taken: the request on offer is taken.
            ask: an id that is asked for.
            forget: all ids that were asked for are forgotten.
        """
        if taken:
            self._queue.popleft()
            self.explained += 1
        for e in sorted(left, reverse=True):  # whoever leaves later entered sooner
            held, label = left[e]
            number, how, _ = self._frames.pop(held)
            self._queue.append(Request(number, label, e, how, held))
        late = ask is not None and (
            (ask - self.entered) % 2**32 >= 2**31 or (enter and ask == self.entered)
        )
        if enter:
            asked = self.entered in self._ids
            self.missed += slot is None and self.wants(every)
            if slot is not None:
                self._frames[slot] = self.entered, method, asked
            if self._turn(every):
                self._since = 0
            elif self._since is not None:
                self._since = min(self._since + 1, 2**16 - 1)
            self._ids = [i for i in self._ids if i != self.entered]
            self.entered = (self.entered + 1) % 2**32
        if forget:
            self.unmet += len(self._ids)
            self._ids = []
        self.unmet += late
        if ask is not None and not late:
            self._ids.append(ask)
        if len(self._ids) > self.places:
            self.unmet += 1
            del self._ids[0]

    def _turn(self, every: int) -> bool:
        """Whether `every` chooses the next frame."""
        return every > 0 and (self._since is None or self._since >= every - 1)
