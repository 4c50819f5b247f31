"""Multi-exit networks by one word: the stages of `model.preset`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeGuard

Name = Literal["vgg", "resnet8"]
WIDTHS: dict[str, int] = {"vgg": 32, "resnet8": 16}  # channels of the first layer

Shape = tuple[int, int, int]
Table = dict[str, Any]


def stages(name: str, width: int, shape: Shape) -> tuple[Table, ...]:
    """Tables of three stages, as a config writes them.

    "vgg": seven convolutions of 3 x 3 and three pools, after 1409.1556, an exit behind the second,
    the fourth and the seventh. "resnet8": a convolution and three residual blocks, the ResNet of
    MLPerf Tiny (2106.07597), an exit behind each block. Every head pools its map to about 4 x 4.

    Args:
        name: a preset.
        width: channels of the first layer; the others have a multiple of it.
        shape: height, width and channels of the images.

    Raises:
        ValueError: the images are too small.
    """
    if min(shape[:2]) < 8:
        raise ValueError(
            f'input must have sides of at least 8 for preset = "{name}", got {shape[0]} x '
            f"{shape[1]}: write the stages yourself"
        )
    made = _vgg(width) if name == "vgg" else _resnet8(width)
    halved = (1, 2, 3) if name == "vgg" else (0, 1, 2)
    return tuple(
        {"blocks": blocks, "head": _head(min(shape[:2]) >> times)}
        for blocks, times in zip(made, halved, strict=True)
    )


def expanded(given: Mapping[str, Any]) -> dict[str, Any]:
    """A table [model] with the stages that its preset stands for; as it is where it has none.

    What is of the wrong type is left for whoever checks types.

    Raises:
        ValueError: a width without a preset, or stages that are not the preset's.
    """
    name, width, shape = given.get("preset"), given.get("width"), given.get("input")
    if name is None and width is not None:
        raise ValueError(f"width must be absent without a preset, got {width}")
    if name not in WIDTHS or not isinstance(width, int | None) or not _shape(shape):
        return dict(given)
    if str(given.get("source", "config")) != "config":
        raise ValueError(f'preset must be absent unless source is "config", got "{name}"')
    if "stages" in given:
        return dict(given)
    return {**given, "stages": stages(name, WIDTHS[name] if width is None else width, shape)}


def _shape(value: Any) -> TypeGuard[Shape]:
    return isinstance(value, tuple) and len(value) == 3 and all(isinstance(n, int) for n in value)


def _conv(channels: int, stride: int = 1) -> Table:
    return {"conv": channels, "kernel": 3, "stride": stride, "padding": 1}


def _head(side: int) -> tuple[Table, ...]:
    return ({"pool": "max", "size": side // 4},) if side >= 8 else ()


def _vgg(w: int) -> tuple[tuple[Table, ...], ...]:
    pool: Table = {"pool": "max", "size": 2}
    return (
        (_conv(w), pool, _conv(3 * w // 2)),
        (_conv(2 * w), pool, _conv(3 * w)),
        (_conv(3 * w), _conv(4 * w), pool, _conv(4 * w)),
    )


def _resnet8(w: int) -> tuple[tuple[Table, ...], ...]:
    def block(channels: int, stride: int) -> Table:
        return {"residual": (_conv(channels, stride), _conv(channels))}

    return (_conv(w), block(w, 1)), (block(2 * w, 2),), (block(4 * w, 2),)
