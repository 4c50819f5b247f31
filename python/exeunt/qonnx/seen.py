"""What calibration saw, kept for the compiler: some images and their integer logits."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.errors import CheckFailed, InputError

NAME = "calibration.npz"
IntArray: TypeAlias = "npt.NDArray[np.int64]"  # a text: NumPy 1.21 cannot subscript it


@dataclass(frozen=True)
class Seen:
    """Images uint8 (N, H, W, C), their logits int64 (N, classes) per exit, their numbers (N,)."""

    images: npt.NDArray[np.uint8]
    logits: tuple[IntArray, ...]
    numbers: IntArray


def write(
    path: Path, images: npt.NDArray[np.uint8], logits: Sequence[IntArray], numbers: IntArray
) -> None:
    """Keep images with their logits, whole or not at all.

    Args:
        path: the file.
        images: uint8 (N, H, W, C).
        logits: int64 (N, classes) per exit.
        numbers: (N,), which validation images they are.
    """
    partial = path.with_name(f".{path.name}.part.npz")
    arrays: dict[str, Any] = {f"exit{i}": values for i, values in enumerate(logits)}
    np.savez(partial, images=images, numbers=numbers, **arrays)
    partial.replace(path)


def read(path: Path) -> Seen | None:
    """What `write` left; None when there is no such file.

    Raises:
        InputError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            count = sum(name.startswith("exit") for name in data.files)
            logits = tuple(data[f"exit{i}"].astype(np.int64) for i in range(count))
            return Seen(data["images"], logits, data["numbers"].astype(np.int64))
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError):
        raise InputError(
            f"{path} must hold the logits that calibration saw, got something else: do "
            "`exeunt calibrate` again"
        ) from None


def compare(seen: Seen, logits: Sequence[IntArray]) -> None:
    """Refuse a network whose thresholds were chosen on another function.

    Args:
        seen: what calibration saw.
        logits: int64 (N, classes) per exit, of the same images from what goes into hardware.

    Raises:
        CheckFailed: naming exit, image, class and both values.
    """
    if len(logits) != len(seen.logits):
        raise CheckFailed(
            f"the compiled network must have the {len(seen.logits)} exits that were calibrated, "
            f"got {len(logits)}: calibrate again"
        )
    for index, (got, want) in enumerate(zip(logits, seen.logits, strict=True)):
        if got.shape != want.shape:
            raise CheckFailed(
                f"exit {index} of the compiled network must have the {want.shape[1]} logits that "
                f"were calibrated, got {got.shape[1]}: calibrate again"
            )
        wrong = np.argwhere(got != want)
        if len(wrong):
            image, label = (int(k) for k in wrong[0])
            raise CheckFailed(
                f"exit {index} of the compiled network must give the logits that calibration saw, "
                f"got {int(got[image, label])} for class {label} of validation image "
                f"{int(seen.numbers[image])} where it saw {int(want[image, label])}: calibrate "
                "the network that is in model.onnx"
            )
