"""Heat maps a second: of all images, of those that leave at each exit, and beside the answers.

NumPy alone, so that the board runs the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.runtime import Accelerator, Results

MAPS = 64
"""Images that are explained for one figure."""
NOTHING = "none"
EVERY = 10
"""One image in so many is explained beside the others."""


def measure(
    device: Accelerator,
    images: npt.NDArray[np.uint8],
    answers: Results,
    *,
    now: Callable[[], float],
    scale: float = 1.0,
) -> dict[str, Any] | None:
    """What explaining costs, as plain data; None: the device does not explain.

    Args:
        device: opened, with the thresholds of `answers`.
        images: uint8 (N, H, W, C).
        answers: to these images.
        now: the transport's clock.
        scale: seconds a unit of that clock.

    Returns:
        methods: of each the time a map and maps a second, over MAPS images spread over the set, and
        the same by exit, of images that leave there; every, missed, throughput_kept: what is left
        of the images a second with one image in EVERY explained.

    Raises:
        DeviceError: the device failed, or a map did not come.
    """
    if not device.explains:
        return None
    rows = []
    for method in device.explanations.methods:
        chosen = _spread_out(np.arange(len(images)))
        exits = []
        for index in range(device.info.exits):
            here = _spread_out(np.flatnonzero(answers.exits == index))
            exits.append({"index": index, **_timed(device, images[here], method, now, scale)})
        rows.append(
            {"method": method, **_timed(device, images[chosen], method, now, scale), "exits": exits}
        )
    plain, _ = _run(device, images, NOTHING, now)
    beside, found = _run(device, images, EVERY, now)
    return {
        "methods": rows,
        "every": EVERY,
        "beside": len(found.maps),
        "missed": found.missed,
        "throughput_kept": plain / beside,
    }


def text(data: dict[str, Any], unit: str) -> list[str]:
    """The figures for a terminal, a line each."""
    lines = []
    for row in data["methods"]:
        exits = ", ".join(
            f"exit {e['index']} {e['time_per_map']:,.4g}" for e in row["exits"] if e["maps"]
        )
        lines.append(
            f"heat maps, {row['method']}: {row['maps_per_second']:,.0f} a second, "
            f"{row['time_per_map']:,.4g} {unit} per map ({exits})"
        )
    lines.append(
        f"with one image in {data['every']} explained {100 * data['throughput_kept']:.1f}% of the "
        f"images a second are left, {data['missed']} found no slot"
    )
    return lines


def _run(
    device: Accelerator,
    images: npt.NDArray[np.uint8],
    explain: str | int,
    now: Callable[[], float],
) -> tuple[float, Results]:
    started = now()
    found = device.classify(images, explain=explain)
    return now() - started, found


def _timed(
    device: Accelerator,
    images: npt.NDArray[np.uint8],
    method: str,
    now: Callable[[], float],
    scale: float,
) -> dict[str, Any]:
    """Maps, the time of each, and how many a second."""
    if not len(images):
        return {"maps": 0, "time_per_map": None, "maps_per_second": None}
    started = now()
    count = len(device.explain(images, method=method).maps)
    each = (now() - started) / count
    return {"maps": count, "time_per_map": each, "maps_per_second": 1.0 / (each * scale)}


def _spread_out(indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Up to MAPS of them, evenly apart."""
    count = min(MAPS, len(indices))
    return indices[np.arange(count) * len(indices) // max(1, count)]
