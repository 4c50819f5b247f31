"""Reference images: what "nothing" looks like, which contributions are counted from."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError

FloatArray = npt.NDArray[np.float32]
KINDS = ("zeros", "mean", "class-mean", "blurred", "several")
_OF_IMAGES = ("zeros", "mean", "blurred")  # those that need nothing but the images
_BLUR = 0.15  # standard deviation, as a share of the shorter side


def reference_images(
    kind: str,
    images: npt.NDArray[Any],
    *,
    population: npt.NDArray[Any] | None = None,
    population_labels: npt.NDArray[Any] | None = None,
    target: npt.NDArray[Any] | None = None,
    count: int = 4,
    seed: int = 0,
) -> FloatArray:
    """Reference images for `images` (N, H, W, C), float32, in a shape that `attribute` takes.

    Args:
        kind: "zeros"; "mean" of the population, (H, W, C); "class-mean" of the population's other
            classes than an image's target, (N, H, W, C); "blurred", each image by itself, a
            Gaussian of 0.15 of its shorter side, (N, H, W, C); "several": `count` images of the
            population, (count, 1, H, W, C), over which results are averaged.
        images: what will be explained.
        population: images (M, H, W, C) to take means and examples from; default: `images`.
        population_labels: int (M,), for "class-mean".
        target: int (N,), for "class-mean".
        count: how many for "several".
        seed: which for "several".

    Raises:
        InputError: no such kind, or what it needs is absent.
    """
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1, cutoff=0.0)[0]
        raise InputError(
            f"reference must be one of {', '.join(KINDS)}, got {kind!r}: did you mean {near!r}?"
        )
    people = images if population is None else population
    if kind == "zeros":
        return np.zeros(images.shape[1:], np.float32)
    if kind == "mean":
        return people.mean(axis=0, dtype=np.float64).astype(np.float32)
    if kind == "blurred":
        return _blurred(images)
    if kind == "several":
        order = np.random.default_rng(seed).permutation(len(people))[: max(count, 1)]
        return people[np.sort(order), None].astype(np.float32)
    if population_labels is None or target is None or len(target) != len(images):
        raise InputError(
            "reference class-mean must have labels of the population and a target for each image, "
            "got none: give both or use the mean"
        )
    means = {}
    for label in np.unique(target):
        others = people[population_labels != label]
        means[label] = (others if len(others) else people).mean(axis=0, dtype=np.float64)
    return np.stack([means[label] for label in target]).astype(np.float32)


def _blurred(images: npt.NDArray[Any]) -> FloatArray:
    sides = images.shape[1:3]
    sigma = _BLUR * min(sides)
    out = images.astype(np.float64)
    for axis, side in zip((1, 2), sides, strict=True):
        places = np.arange(side)
        kernel = np.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
        kernel /= kernel.sum(axis=1, keepdims=True)
        out = np.moveaxis(np.tensordot(kernel, out, axes=(1, axis)), 0, axis)
    return out.astype(np.float32)


def resolved(reference: str | npt.NDArray[Any], images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """The references one by one, each float32 (1, H, W, C) or (N, H, W, C).

    Raises:
        InputError: no such kind, or an array of another shape than the images.
    """
    if isinstance(reference, str):
        if reference in KINDS and reference not in _OF_IMAGES:
            raise InputError(
                f"reference by name must be one of {', '.join(_OF_IMAGES)}, got {reference!r}: "
                "make the array with reference_images"
            )
        array = reference_images(reference, images)
    else:
        array = np.asarray(reference, np.float32)
    one, count = images.shape[1:], len(images)
    if array.shape == one:
        parts: Sequence[npt.NDArray[Any]] = [array[None]]
    elif array.shape in ((count, *one), (1, *one)):
        parts = [array]
    elif array.ndim == 5 and array.shape[1] in (1, count) and array.shape[2:] == one and len(array):
        parts = list(array)
    else:
        raise InputError(
            f"reference image must have the images' shape {'x'.join(map(str, one))} (H x W x C), "
            f"got {'x'.join(map(str, array.shape))}: resize it"
        )
    if not all(np.isfinite(part).all() for part in parts):
        raise InputError(
            "reference image must be finite, got a nan or an infinity: make it of numbers 0..255"
        )
    return [np.ascontiguousarray(part, np.float32) for part in parts]
