"""The driver says when thresholds leave the promise of the calibration, and knows them inside."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.promise import KEY, Promise
from exeunt.registers import NEVER
from exeunt.runtime import Accelerator, OutsidePromise

MADE = Promise(
    "probability", 0.005, 0.1, 10_000, holds=True, images=5000, images_needed=576,
    ordered=1000, tested=4000, lost=12, allowed=13, certified=((5, 5),),
)  # fmt: skip


def opened(null, made: Promise | None) -> Accelerator:
    data = dict(null.manifest())
    if made is not None:
        data[KEY] = json.loads(json.dumps(made.to_json()))
    return Accelerator(data, null.Null(data))


def test_thresholds_that_leave_the_promise_are_told_once(null):
    with opened(null, MADE) as device:
        assert device.promise == MADE
        assert device.promised
        with pytest.warns(OutsidePromise) as told:
            device.thresholds = [4, NEVER, None]
        assert [str(t.message) for t in told] == [
            "The thresholds must be 5, 5 or higher ones for the promise that with probability 90% "
            "at most 50 of the next 10,000 images leave with a wrong answer where the last exit "
            "has the right one, and are 4, never: until they are so again, nothing is promised."
        ]
        assert told[0].filename == __file__
        assert not device.promised
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            device.thresholds = [3, None, None]  # still outside: nothing new
            assert not device.promised
            device.thresholds = [5, NEVER, None]  # nowhere below: inside again
            assert device.promised
            device.thresholds = [NEVER, 17, None]
            device.reset()
            assert device.promised
        with pytest.warns(OutsidePromise, match="and are always, 5"):
            device.thresholds = [None, 5, None]


def test_thresholds_that_do_not_come_into_force_leave_it_inside(null):
    with opened(null, MADE) as device, warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError):
            device.thresholds = [1, 2, 3]
        assert device.promised


def test_where_only_some_sets_are_certified_others_are_outside(null):
    some = Promise(
        "average", 0.01, holds=True, certified=((NEVER, NEVER), (9, 9), (5, 5)), upward=False
    )
    with opened(null, some) as device:
        assert device.promised
        device.thresholds = np.array([9, 9])
        assert device.promised
        with pytest.warns(OutsidePromise, match="^The thresholds must be 5, 5 for the promise"):
            device.thresholds = [6, 6, None]


@pytest.mark.parametrize(
    "made", [None, Promise("probability", 0.002, 0.1, 0, holds=False, images=216)]
)
def test_without_a_promise_nothing_is_said(null, made):
    with opened(null, made) as device, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not device.promised
        device.thresholds = [0, 0, None]
        assert not device.promised
        assert device.promise.holds is False


def test_thresholds_in_the_manifest_that_are_not_certified(null):
    with opened(null, Promise("average", 0.01, holds=True, certified=((6, 6),))) as device:
        assert not device.promised
