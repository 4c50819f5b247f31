"""The self-test of a device: golden images through it, every answer compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from exeunt.errors import CheckFailed, InputError
from exeunt.runtime import golden as vectors
from exeunt.runtime.description import Description
from exeunt.runtime.golden import Golden
from exeunt.runtime.results import Results
from exeunt.runtime.transport import Transport


class Tested(Protocol):
    """What is used of an `exeunt.runtime.Accelerator`."""

    thresholds: Any

    @property
    def transport(self) -> Transport: ...  # noqa: D102

    @property
    def unit(self) -> str: ...  # noqa: D102

    def reset(self) -> None: ...  # noqa: D102

    def classify(self, images: npt.NDArray[Any]) -> Results: ...  # noqa: D102

    def logits(self, images: npt.NDArray[Any], exit: int) -> npt.NDArray[np.int32]: ...  # noqa: D102


@dataclass(frozen=True)
class Selftest:
    """A self-test that held: images answered, of them leaving at each exit, logits compared.

    `duration`: in `unit`, of the images in one go.
    """

    images: int
    exits: tuple[int, ...]
    logits: int
    duration: float
    unit: str


def run(
    accelerator: Tested, description: Description, golden: str | Path | Golden | None
) -> Selftest:
    """Answer the golden images with their thresholds and compare class, exit, score and logits.

    Args:
        accelerator: the device; its thresholds are put back afterwards.
        description: of its manifest.
        golden: the vectors or their file; golden.npz beside the manifest unless given.

    Raises:
        InputError: there are no vectors, or they are of another design.
        CheckFailed: an answer differs.
        DeviceError: the device failed.
    """
    if golden is None:
        if description.folder is None:
            raise InputError(
                "The self-test needs golden vectors and the manifest was given without a folder; "
                "give their file."
            )
        golden = description.folder / vectors.NAME
    found = golden if isinstance(golden, Golden) else vectors.read(golden)
    if int(found.design_hash) != description.design_hash:
        raise InputError(
            f"The golden vectors must be of the design {description.design_hash:#010x} and are of "
            f"{int(found.design_hash):#010x}; make them again with `exeunt deploy`."
        )
    before = accelerator.thresholds
    accelerator.thresholds = [int(t) for t in found.thresholds]
    try:
        if description.remembers:
            accelerator.reset()
        started = accelerator.transport.now()
        got = accelerator.classify(found.images)
        duration = accelerator.transport.now() - started
        for name in ("classes", "exits", "scores"):
            want, seen = getattr(found, name), getattr(got, name)
            if not np.array_equal(want, seen):
                at = int(np.flatnonzero(want != seen)[0])
                raise CheckFailed(
                    f"The device must answer {len(found.images)} golden images as the reference "
                    f"does and differs in {name} for {int((want != seen).sum())} of them, first "
                    f"image {at}: expected {want[at]}, got {seen[at]}; check clock, supply and "
                    "timing of the bitstream."
                )
        count = found.logits.shape[1]
        for exit, rows in enumerate(found.logits):
            seen = accelerator.logits(found.images[:count], exit)
            if not np.array_equal(seen, rows):
                at = int(np.flatnonzero((seen != rows).any(axis=1))[0])
                raise CheckFailed(
                    f"The device must give the reference's logits and differs at exit {exit} for "
                    f"image {at}: expected {rows[at].tolist()}, got {seen[at].tolist()}; check "
                    "clock, supply and timing of the bitstream."
                )
    finally:
        accelerator.thresholds = before
    return Selftest(
        images=len(found.images),
        exits=tuple(int((found.exits == e).sum()) for e in range(description.exits)),
        logits=int(count * len(found.logits)),
        duration=duration,
        unit=accelerator.unit,
    )
