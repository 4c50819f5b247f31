"""What lies in a folder or zip of class folders, before there is a config for it."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from exeunt.errors import InputError
from exeunt.quant.data import folders


@dataclass(frozen=True)
class Survey:
    """Images in class folders.

    Attributes:
        classes: names, in the order in which they are numbered.
        shape: height, width and channels of every image.
        counts: images of each half: "all" where no folder names halves, else those of "train",
            "validation" and "test" that there are.
        least: images of the class of "all" or "train" that has the fewest.
        packed: they are in a zip.
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    counts: dict[str, int]
    least: int
    packed: bool


def survey(path: Path) -> Survey:
    """Read the layout of a folder or zip, and size and type of every image, but no pixels.

    Raises:
        InputError: there is nothing, no image, an image that is none, one class, images of more
            than one size or type, or a layout that cannot be meant.
    """
    if not path.exists():
        raise InputError(
            f"the images must be a folder or a zip of <class>/<image>, got {path}, where there is "
            "nothing: check the path"
        )
    entries, below = folders.entries(path)
    found = folders.layout(entries, str(path), below)
    classes = tuple(sorted({c for _, c, _ in found.files}))
    if len(classes) < 2:
        raise InputError(
            f"{path} must hold at least two classes, got one ({classes[0]}): put the images of "
            "each class into a folder of its own"
        )
    halves = Counter(half for half, _, _ in found.files)
    if not {"all", "train"} & set(halves):
        raise InputError(
            f"{path} must hold its classes below train/ or at the top, got "
            f"{', '.join(sorted(halves))}/: move the training images to train/<class>/"
        )
    kinds: dict[tuple[str, tuple[int, int]], list[str]] = {}
    for _, _, name in found.files:
        kinds.setdefault(_kind(entries[name], f"{path}:{name}"), []).append(name)
    for (mode, _), names in kinds.items():
        if mode not in folders.MODES.values():
            meant = folders.MEANING.get(mode)
            raise InputError(
                f"images of {path} must be 8-bit grey (L) or colour (RGB), got "
                f"{mode}{f' ({meant})' if meant else ''} in {len(names)}, such as {names[0]}: "
                "convert them"
            )
    if len(kinds) > 1:
        said = [
            f"{size[1]} x {size[0]} {'grey' if mode == 'L' else 'colour'} ({len(names)}, such as "
            f"{names[0]})"
            for (mode, size), names in sorted(kinds.items(), key=lambda k: -len(k[1]))[:2]
        ]
        raise InputError(
            f"images of {path} must all have one size and one type, since a network takes no "
            f"other, got {' and '.join(said)}: resize or convert them"
        )
    ((mode, size),) = kinds
    channels = next(count for count, name in folders.MODES.items() if name == mode)
    trained = Counter(c for half, c, _ in found.files if half in ("all", "train"))
    least = min(trained[c] for c in classes)
    if not least:
        raise InputError(
            f"every class of {path} must have training images, got none for "
            f"{next(c for c in classes if not trained[c])!r}: add some or take it out of the other "
            "images"
        )
    return Survey(classes, (size[1], size[0], channels), dict(halves), least, path.is_file())


def _kind(opened: folders.Opener, where: str) -> tuple[str, tuple[int, int]]:
    """Pillow's mode of an image, and its width and height, from its first bytes."""
    with opened() as stream:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = Image.open(stream)
        except Exception as error:  # Pillow's errors have no common base
            raise folders.undecodable(where, error) from None
        return image.mode, image.size
