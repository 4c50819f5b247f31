"""Golden vectors: images with the answers that the integer reference gives, in one .npz.

`exeunt.reference.golden` makes them where the compiled graph is; they are read wherever a board is.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError

NAME = "golden.npz"


@dataclass(frozen=True)
class Golden:
    """N images and their answers.

    `images` uint8 (N, H, W, C); `classes` uint16 (N,), `exits` uint8 (N,), `scores` int32 (N,) with
    the signed `thresholds` int32 (exits,) in force; `logits` int32 (exits, K, classes) of the first
    K images; `design_hash` uint32 (): the bitstream they are for.
    """

    images: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.uint16]
    exits: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.int32]
    thresholds: npt.NDArray[np.int32]
    logits: npt.NDArray[np.int32]
    design_hash: npt.NDArray[np.uint32]


TYPES = {
    "images": np.uint8,
    "classes": np.uint16,
    "exits": np.uint8,
    "scores": np.int32,
    "thresholds": np.int32,
    "logits": np.int32,
    "design_hash": np.uint32,
}


def write(path: str | Path, golden: Golden) -> None:
    """Write an .npz, the same bytes for the same vectors."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(f.name for f in fields(golden)):
            entry = io.BytesIO()
            value = np.asarray(getattr(golden, name))
            np.lib.format.write_array(entry, np.array(value, order="C"))
            info = zipfile.ZipInfo(f"{name}.npy")
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entry.getvalue())


def read(path: str | Path) -> Golden:
    """Read what `write` wrote.

    Raises:
        InputError: the file is missing or is no set of golden vectors.
    """
    place = Path(path)
    if not place.is_file():
        raise InputError(
            f"{place} must hold the golden vectors and is missing; `exeunt deploy` makes it."
        )
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as data:
            found = {name: data[name] for name in TYPES}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile):
        raise InputError(
            f"{place} must be an .npz of golden vectors and is not; make it again with "
            "`exeunt deploy`."
        ) from None
    for name, kind in TYPES.items():
        if found[name].dtype != kind:
            raise InputError(
                f"{place} must hold {name} as {np.dtype(kind)} and holds {found[name].dtype}; make "
                "it again with `exeunt deploy`."
            )
    if len({len(found[n]) for n in ("images", "classes", "exits", "scores")}) != 1:
        raise InputError(
            f"{place} must hold one answer for each of {len(found['images'])} images and does not; "
            "make it again with `exeunt deploy`."
        )
    return Golden(**found)
