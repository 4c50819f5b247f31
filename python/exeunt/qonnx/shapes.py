"""Shapes of a graph's tensors, for one image: what each operator makes of those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.window import extent

Shape: TypeAlias = tuple[int, ...]
Quad: TypeAlias = tuple[int, int, int, int]  # top, left, bottom, right
Pair: TypeAlias = tuple[int, int]
MAX_SIDE = 1 << 12  # of a window, its padding and its steps


def dilations(attributes: Mapping[str, Any], kernel: Sequence[int]) -> Pair:
    """How far the elements of a window lie apart (y, x); 1 along an axis with one element."""
    found = [int(d) for d in attributes.get("dilations") or [1, 1]]
    rows, columns = (d if k > 1 else 1 for d, k in zip(found, kernel, strict=True))
    return rows, columns


def window(
    attributes: Mapping[str, Any],
    shape: Shape,
    kernel: Sequence[int] | None,
    label: str,
    *,
    dilated: bool = False,
) -> tuple[Pair, Pair, Quad]:
    """Kernel, strides and explicit pads of a convolution or pool over a (1, C, H, W) tensor.

    Absent attributes have ONNX's defaults, `auto_pad` and `ceil_mode` become pads. `dilated` layers
    may have `dilations`.

    Raises:
        InputError: not a window in two dimensions, a dilation, or one that fits nowhere.
    """
    if len(shape) != 4:
        raise InputError(
            f"{label} must work on a (1, C, H, W) map but gets {shape}; "
            "reshape to four dimensions in front of it"
        )
    sizes = [int(k) for k in attributes.get("kernel_shape") or kernel or ()]
    strides = [int(s) for s in attributes.get("strides") or [1] * len(sizes)]
    pads = [int(p) for p in attributes.get("pads") or [0] * 2 * len(sizes)]
    steps = [int(d) for d in attributes.get("dilations") or [1, 1]]
    if sizes and strides and min(*sizes, *strides) < 1:
        raise InputError(
            f"{label} must have a kernel and strides of 1 or more but has {sizes} and {strides}; "
            "export it again"
        )
    if not len(sizes) == len(strides) == len(pads) / 2 == 2:
        raise InputError(
            f"{label} must have a kernel, strides and pads in two dimensions but has {sizes}, "
            f"{strides} and {pads}; write one-dimensional layers as 1 x K ones"
        )
    if len(steps) != 2 or min(steps) < 1:
        raise InputError(
            f"{label} must have dilations of 1 or more in two dimensions but has {steps}; export "
            "it again"
        )
    apart = dilations(attributes, sizes)
    if min(apart) < 1 or (apart != (1, 1) and not dilated):
        raise InputError(f"dilation is not supported but {label} has {list(apart)}; use 1")
    over = extent((sizes[0], sizes[1]), apart)
    if min(pads) < 0:
        raise InputError(f"{label} must have pads of 0 or more but has {pads}; crop before it")
    if max(*sizes, *pads, *steps, *strides) > MAX_SIDE:
        raise InputError(
            f"{label} must have a window of at most {MAX_SIDE} pixels but has the kernel {sizes}, "
            f"the strides {strides}, the pads {pads} and the dilations {steps}; shrink it"
        )
    mode = _text(attributes.get("auto_pad", b"NOTSET"))
    if mode == "VALID":
        pads = [0, 0, 0, 0]
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        for axis in range(2):
            size, step = shape[2 + axis], strides[axis]
            total = max(0, (-(-size // step) - 1) * step + over[axis] - size)
            small, large = total // 2, total - total // 2
            first, last = (small, large) if mode == "SAME_UPPER" else (large, small)
            pads[axis], pads[2 + axis] = first, last
    elif mode != "NOTSET":
        raise InputError(f"{label} must have a known auto_pad but has {mode}; give explicit pads")
    if attributes.get("ceil_mode", 0):
        for axis in range(2):
            pads[2 + axis] += _ceiling(shape[2 + axis], axis, over, strides, pads)
    for axis in range(2):
        if shape[2 + axis] + pads[axis] + pads[2 + axis] < over[axis]:
            raise InputError(
                f"{label} must have a window within its padded map but has {list(over)} over "
                f"{list(shape[2:])} with pads {pads}; shrink it or pool less before it"
            )
    return (sizes[0], sizes[1]), (strides[0], strides[1]), (pads[0], pads[1], pads[2], pads[3])


def _ceiling(
    size: int, axis: int, sizes: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> int:
    """What rounding up adds to the pads behind a map; a window must begin before them."""
    reach = size + pads[axis] + pads[2 + axis] - sizes[axis]
    more = -reach % strides[axis]
    starts = (reach + more) // strides[axis] * strides[axis]
    return more if more and starts < size + pads[axis] else 0


def out(shape: Shape, kernel: Pair, strides: Pair, pads: Quad) -> Pair:
    """Height and width behind a window that reaches over `kernel`."""
    height = (shape[2] + pads[0] + pads[2] - kernel[0]) // strides[0] + 1
    return height, (shape[3] + pads[1] + pads[3] - kernel[1]) // strides[1] + 1


def counts(shape: Shape, window: tuple[Pair, Pair, Quad], counted: Quad) -> npt.NDArray[np.int64]:
    """How many elements count in each window of a pool, int64 (1, 1, OH, OW).

    Args:
        shape: (1, C, H, W) of the map.
        window: kernel, strides, and the pads within which windows lie.
        counted: how much of the padding counts.
    """
    kernel, strides, pads = window
    sizes = []
    for axis, count in enumerate(out(shape, kernel, strides, pads)):
        first = np.arange(count) * strides[axis] - pads[axis]
        low, high = -counted[axis], shape[2 + axis] + counted[2 + axis]
        last = np.minimum(first + kernel[axis], high)
        sizes.append(np.maximum(last - np.maximum(first, low), 0))
    return np.asarray((sizes[0][:, None] * sizes[1])[None, None], np.int64)


def reshaped(shape: Shape, wanted: Sequence[int], label: str, *, allow_zero: bool = False) -> Shape:
    """The shape that ONNX's Reshape gives.

    Raises:
        InputError: another number of elements.
    """
    dims = [int(d) for d in wanted]
    if not allow_zero:
        dims = [shape[i] if d == 0 and i < len(shape) else d for i, d in enumerate(dims)]
    total = int(np.prod(shape))
    if dims.count(-1) == 1:
        rest = int(np.prod([d for d in dims if d != -1]))
        dims[dims.index(-1)] = total // rest if rest and total % rest == 0 else -1
    if min(dims, default=1) < 0 or int(np.prod(dims)) != total:
        raise InputError(
            f"{label} must keep the {total} elements of {shape} but asks for "
            f"{[int(d) for d in wanted]}; export the network for one image"
        )
    return tuple(dims)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
