"""Which slot of the context stores a frame has: the reference of `ex_explain_slots`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from exeunt.errors import InputError


@dataclass(frozen=True)
class Events:
    """What happens in a cycle.

    Attributes:
        passing: for each exit the slot of the frame that enters its segment, None: it has none;
            no entry: no frame enters it.
        left: for each exit at which a frame leaves whose map is wanted, its slot.
        missed: a frame was wanted and there was no slot.
    """

    passing: dict[int, int | None]
    left: dict[int, int]
    missed: bool


class Slots:
    """Slots of frames inside, cycle by cycle.

    Args:
        slots: there are so many.
        exits: of the network.

    Raises:
        InputError: no slots.
    """

    def __init__(self, slots: int, exits: int) -> None:
        if slots < 1:
            raise InputError(
                f"the context of at least 1 frame must be kept to explain any, got {slots} slots: "
                "choose 2 and more, so that one is explained while another one passes"
            )
        self.used = [False] * slots
        self.inside: list[deque[int | None]] = [deque() for _ in range(exits)]
        self.engine: set[int] = set()

    def step(
        self,
        *,
        enter: bool = False,
        want: bool = False,
        take: Sequence[bool | None],
        explain: Sequence[bool],
        free: int | None = None,
    ) -> Events:
        """One cycle.

        Args:
            enter: a frame enters segment 0.
            want: it may have to be explained.
            take: for each exit, whether the frame that is decided there leaves; None: none is.
            explain: for each exit, whether the map of a frame that leaves is wanted.
            free: the slot that the engine is done with.
        """
        passing: dict[int, int | None] = {}
        left: dict[int, int] = {}
        freed: list[int] = [] if free is None else [free]
        missed = False
        if enter:
            found = next((i for i, used in enumerate(self.used) if not used), None)
            passing[0] = found if want else None
            missed = want and found is None
        for e, taken in enumerate(take):
            if taken is None:
                continue
            slot = self.inside[e].popleft()
            if not taken:
                passing[e + 1] = slot
            elif slot is not None and explain[e]:
                left[e] = slot
            elif slot is not None:
                freed.append(slot)
        for e, slot in passing.items():
            self.inside[e].append(slot)
        for slot in freed:
            self.used[slot] = False
            self.engine.discard(slot)
        if passing.get(0) is not None:
            self.used[int(passing[0] or 0)] = True
        self.engine |= set(left.values())
        return Events(passing, left, missed)
