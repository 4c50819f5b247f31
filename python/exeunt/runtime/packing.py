"""Images to the bytes of a transfer, element 0 in the low bits of a beat.

Elements of eight bits are a view of the images; narrower ones are brought together eight at a
time, in 64-bit words, so that a batch costs a few passes over its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError

Bytes = npt.NDArray[np.uint8]

CHUNK = 1 << 17  # elements at a time, so that what is worked on stays in the cache


FORMS = {
    "several": ("(N, {0})", "reshape them, or use classify_one for a single image"),
    "one": ("({0})", "use classify for several images"),
    "either": ("({0}), or (N, {0}) for several", "yield whole images"),
}
"""Shapes that are taken of images (H, W, C), and what to do about others."""


def frame_bytes(stream: Mapping[str, Any], beat_bytes: int) -> int:
    """Bytes of a frame of `beat_bytes` bytes a beat."""
    return int(stream["words"]) * beat_bytes


def taken(images: Any, name: str = "images") -> npt.NDArray[Any]:
    """Images as an array of the driver's own: what the caller does with his afterwards is his.

    Raises:
        InputError: no array can be made of them.
    """
    try:
        return np.array(images, order="C")
    except Exception as error:  # whatever the caller's object raises
        raise InputError(
            f"{name} must be an array or a list of equal images and cannot be made one "
            f"({type(error).__name__}: {str(error).rstrip('.')}); give them as a NumPy array."
        ) from error


def check(
    stream: Mapping[str, Any], images: npt.NDArray[Any], name: str = "images", form: str = "several"
) -> Bytes:
    """Images as bytes (N, H, W, C), if they fit the stream.

    Args:
        stream: the manifest's description.
        images: of the integers that the network was trained on.
        name: what they are called in a sentence.
        form: one of FORMS, the shapes that are taken.

    Raises:
        InputError: another shape, element type or range than the accelerator takes.
    """
    shape = tuple(int(n) for n in stream["shape"])
    bits, signed = int(stream["bits"]), bool(stream["signed"])
    if bits > 8:
        raise InputError(
            f"The accelerator's input must have elements of at most 8 bits for this driver and has "
            f"{bits}; compile the network with an 8-bit input."
        )
    wanted = np.dtype(np.int8 if signed else np.uint8)
    single, several = images.shape == shape, images.ndim == 4 and images.shape[1:] == shape
    if not ((single and form != "several") or (several and form != "one")):
        shapes, advice = FORMS[form]
        one = ", ".join(map(str, shape))
        raise InputError(
            f"{name} must have the shape {shapes.format(one)}, got {images.shape}; {advice}."
        )
    if single:
        images = images[None]
    if images.dtype != wanted:
        what = "convert them as its training data was"
        if images.dtype.kind == "f":
            what = "give the integers of its training data, not divided by 255"
        raise InputError(
            f"{name} must be {wanted} as the network was trained on, got {images.dtype}; {what}."
        )
    if bits < 8 and len(images):
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        smallest, largest = int(images.min()), int(images.max())
        if smallest < low or largest > high:
            raise InputError(
                f"{name} must be within {low} .. {high}, the accelerator's {bits}-bit input, got "
                f"{smallest} .. {largest}; scale them as the training data was."
            )
    return images.view(np.uint8) if signed else images


def pack(
    stream: Mapping[str, Any],
    images: npt.NDArray[Any],
    beat_bytes: int | None = None,
    *,
    name: str = "images",
    form: str = "several",
) -> Bytes:
    """Whole frames as a transport sends them.

    Args:
        stream: the manifest's description: shape, bits, signed, lanes, words, width.
        images: uint8 (int8 for a signed stream) (N, H, W, C).
        beat_bytes: bytes a beat; ceil(width / 8) unless given.
        name: what the images are called in a sentence.
        form: one of FORMS, the shapes that are taken.

    Returns:
        uint8 (N, words * beat_bytes), each beat padded with zeros to its bytes; a view of the
        images where nothing has to be moved.

    Raises:
        InputError: the images do not fit.
    """
    found = np.ascontiguousarray(check(stream, images, name, form))
    bits, lanes, words = (int(stream[k]) for k in ("bits", "lanes", "words"))
    dense = -(-lanes * bits // 8)
    size = dense if beat_bytes is None else beat_bytes
    beats = found.reshape(len(found) * words, lanes)
    if bits < 8:
        beats = _narrow(beats, bits)
    if size != dense:
        wide = np.zeros((len(beats), size), np.uint8)
        wide[:, :dense] = beats
        beats = wide
    return np.ascontiguousarray(beats).reshape(len(found), words * size)


def _narrow(beats: Bytes, bits: int) -> Bytes:
    """Elements of `bits` < 8 bits, uint8 (B, lanes), to uint8 (B, ceil(lanes * bits / 8))."""
    rows, lanes = beats.shape
    if lanes == 1:
        return beats & np.uint8((1 << bits) - 1)
    dense = -(-lanes * bits // 8)
    found = np.empty((rows, dense), np.uint8)
    step = max(1, CHUNK // lanes)
    for first in range(0, rows, step):
        part = beats[first : first + step]
        squeeze = _by_lane if lanes < 8 else _by_eight
        found[first : first + step] = squeeze(part, bits)[:, :dense]
    return found


def _by_lane(beats: Bytes, bits: int) -> Bytes:
    """Fewer than eight lanes: each lane is shifted to its place in one word a beat."""
    rows, lanes = beats.shape
    kind = np.dtype(
        next(t for t in ("<u2", "<u4", "<u8") if lanes * bits <= 8 * np.dtype(t).itemsize)
    )
    mask = kind.type((1 << bits) - 1)
    words = beats[:, 0].astype(kind) & mask
    for lane in range(1, lanes):
        words |= (beats[:, lane].astype(kind) & mask) << kind.type(bits * lane)
    return words.view(np.uint8).reshape(rows, -1)


def _by_eight(beats: Bytes, bits: int) -> Bytes:
    """Eight elements in a word: neighbours close their gap, then pairs, then fours."""
    rows, lanes = beats.shape
    wide = np.zeros((rows, -(-lanes // 8) * 8), np.uint8)
    wide[:, :lanes] = beats
    words = wide.reshape(-1).view("<u8")
    words &= _ones(bits, 8)
    spare = np.empty_like(words)
    step = 8
    while step < 64:
        width = bits * step // 8
        np.bitwise_and(words, _ones(width, 2 * step), out=spare)
        words &= _ones(width, 2 * step) << np.uint64(step)
        words >>= np.uint64(step - width)
        words |= spare
        step *= 2
    return words.view(np.uint8).reshape(-1, 8)[:, :bits].reshape(rows, -1)


def _ones(width: int, step: int) -> np.uint64:
    """`width` ones at every multiple of `step` bits."""
    return np.uint64(sum(((1 << width) - 1) << at for at in range(0, 64, step)))
