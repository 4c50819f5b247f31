"""Slots of frames, by hand and for any frames."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.explain.slots import Events, Slots

NO = (False, False)


def test_a_few_frames() -> None:
    slots = Slots(2, 2)
    nothing = (None, None)
    step = slots.step
    assert step(enter=True, want=True, take=nothing, explain=NO) == Events({0: 0}, {}, False)
    assert step(enter=True, want=False, take=nothing, explain=NO) == Events({0: None}, {}, False)
    assert step(enter=True, want=True, take=nothing, explain=NO) == Events({0: 1}, {}, False)
    # none is free, not even the one that is freed in this cycle; the first frame stays at exit 0
    found = step(enter=True, want=True, take=(False, None), explain=NO)
    assert found == Events({0: None, 1: 0}, {}, True)
    # the second leaves and has no slot, the first one leaves at exit 1 and is explained
    found = step(take=(True, True), explain=(True, True))
    assert found == Events({}, {1: 0}, False)
    # the third leaves, and nobody wants its map
    assert step(take=(True, None), explain=NO) == Events({}, {}, False)
    assert step(enter=True, want=True, take=nothing, explain=NO) == Events({0: 1}, {}, False)
    assert step(enter=True, want=True, take=nothing, explain=NO).missed
    step(take=nothing, explain=NO, free=0)
    assert step(enter=True, want=True, take=nothing, explain=NO) == Events({0: 0}, {}, False)


def test_no_slot_has_two_frames() -> None:
    rng = np.random.default_rng(0)
    slots = Slots(3, 3)
    for _ in range(2000):
        take = [
            (e == 2 or bool(rng.random() < 0.4)) if q and rng.random() < 0.5 else None
            for e, q in enumerate(slots.inside)
        ]
        ready = sorted(slots.engine)
        free = int(rng.choice(ready)) if ready and rng.random() < 0.3 else None
        explain = [bool(x) for x in rng.random(3) < 0.5]
        slots.step(enter=True, want=bool(rng.random() < 0.7), take=take, explain=explain, free=free)
        held = [s for q in slots.inside for s in q if s is not None] + sorted(slots.engine)
        assert sorted(held) == [i for i, used in enumerate(slots.used) if used]


def test_no_slots() -> None:
    with pytest.raises(InputError, match="the context of at least 1 frame must be kept to explain "
                       "any, got 0 slots: choose 2 and more"):  # fmt: skip
        Slots(0, 2)
