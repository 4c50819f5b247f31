"""Faults of the device, with what was answered before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import ToolError
from exeunt.runtime.results import RESULT, Results


class DeviceError(ToolError):
    """The device did not do what it was asked.

    `answered`: the images answered before; `indices`: int64 (K,), which images these are;
    `counters`: the device's counters before it was reset, empty when they could not be read. The
    device was reset, so that the next call works, unless the sentence says otherwise.
    """

    def __init__(
        self,
        text: str,
        *,
        answered: Results | None = None,
        indices: npt.NDArray[np.int64] | None = None,
        counters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(text)
        self.answered = Results.of(np.zeros(0, RESULT)) if answered is None else answered
        self.indices = np.zeros(0, np.int64) if indices is None else indices
        self.counters = dict(counters or {})


class OutsidePromise(UserWarning):
    """Thresholds were set that the promise of the calibration is not about."""


class DeviceTimeout(DeviceError):
    """Something did not happen in time; the sentence names what is stuck."""


class DeviceFault(DeviceError):
    """A transfer failed, or results came that cannot be right."""
