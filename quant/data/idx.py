"""IDX files, as MNIST comes in: one tensor each, packed with gzip or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.files import reason
from exeunt.splits import Labelled

_DEFLATE = 1032  # bytes that one packed byte can at most become


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The unsigned 8-bit tensor in an IDX file, packed with gzip or not.

    No more is read than the header promises.

    Raises:
        InputError: truncated, not IDX, or of another element type.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            size = raw.seek(0, 2)
            raw.seek(0)
            stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
            return _tensor(path, stream, size * _DEFLATE if packed else size)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(
            f"{path} must be a whole gzip file, got one that breaks off or is damaged: fetch it "
            "again"
        ) from None
    except OSError as error:
        raise InputError(
            f"{path} must be readable, got {reason(error)}: change its permissions or fetch it "
            "again"
        ) from None


def _tensor(path: Path, stream: IO[bytes], most: int) -> npt.NDArray[np.uint8]:
    """The tensor in a stream of at most `most` bytes."""
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= 4:
        raise InputError(
            f"{path} must start with an IDX header (00 00 08 and 1 to 4 dimensions), "
            f"got {head.hex(' ') or 'an empty file'}: check which file this is"
        )
    if head[2] != 8:
        raise InputError(
            f"{path} must hold unsigned 8-bit elements (IDX type 08), got type {head[2]:02x}: "
            "convert the images to 0..255"
        )
    sizes = stream.read(4 * head[3])
    shape = tuple(int.from_bytes(sizes[k : k + 4], "big") for k in range(0, 4 * head[3], 4))
    expected = math.prod(shape)
    body = stream.read(expected + 1) if expected <= most else b""
    if len(body) != expected:
        found = f"{len(body)} of them" if len(body) < expected else "more"
        found = found if expected <= most else "far fewer"
        raise InputError(
            f"{path} must hold {expected} bytes behind its header of shape {shape}, got {found}: "
            "fetch it again"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def idx_file(folder: Path, stem: str, rank: int) -> Path:
    """The IDX file `stem` with `rank` dimensions in `folder`, under any of its usual names."""
    names = [f"{stem}{mark}idx{rank}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"{folder} must hold {names[1]} (or {names[0]}), got no such file: fetch it or point "
        "--data at the folder that holds the datasets"
    )


def read_idx_pair(folder: Path, half: str) -> Labelled:
    """Images and labels of one half ("train" or "t10k") of an IDX dataset.

    Raises:
        InputError: as `read_idx`; no images, or labels that are not theirs.
    """
    image_path, label_path = (
        idx_file(folder, f"{half}-images", 3),
        idx_file(folder, f"{half}-labels", 1),
    )
    images, labels = read_idx(image_path), read_idx(label_path)
    if images.ndim not in (3, 4):
        raise InputError(
            f"{image_path} must hold images (3 or 4 dimensions), got shape {images.shape}: "
            "check that images and labels are not swapped"
        )
    if labels.ndim != 1:
        raise InputError(
            f"{label_path} must hold labels (1 dimension), got shape {labels.shape}: "
            "check that images and labels are not swapped"
        )
    if len(images) != len(labels):
        raise InputError(
            f"{label_path} must label the {len(images)} images of {image_path.name}, "
            f"got {len(labels)} labels: take both files from the same set"
        )
    if not images.size:
        raise InputError(
            f"{image_path} must hold images, got shape {images.shape}: take the file of a whole set"
        )
    if images.ndim == 3:
        images = images[..., None]
    return Labelled(images, labels.astype(np.int64))
