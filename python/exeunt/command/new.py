"""`exeunt new`: a config for images of a user's own."""

from __future__ import annotations

import re
from pathlib import Path

from exeunt.config import starter, tree
from exeunt.errors import InputError
from exeunt.files import reason, writing
from exeunt.quant.data.survey import Survey, survey

SCARCE = 20  # images of a class; fewer say little


def new(name: str, images: Path, *, data: Path, force: bool) -> list[str]:
    """Write NAME.toml for a folder or zip of <class>/<image>; what is said of it.

    Args:
        name: of the run and, with ".toml", of the file.
        images: the folder or zip.
        data: where datasets are looked for; images in it are named from there, others by their
            whole path.
        force: write over a file that there is.

    Raises:
        InputError: a name that no run can have, a file that is there, one that cannot be written,
            or images that no network can take.
    """
    name = name.removesuffix(".toml")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name in tree.shipped():
        known = ", ".join(tree.shipped())
        raise InputError(
            "the name must be letters, digits, '_', '.' and '-' after a letter or digit, and none "
            f"of {known}, got {name!r}: choose another"
        )
    path = Path(f"{name}.toml")
    if path.exists() and not force:
        raise InputError(
            f"{path} must not be there yet, got a file of that name: choose another name, or add "
            "--force to write over it"
        )
    found = survey(images)
    text = starter.text(
        name,
        starter.Images(
            _named(images, data), found.packed, found.shape, found.classes, found.counts
        ),
    )
    tree.parse(text, where=str(path))
    try:
        with writing(path) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise InputError(
            f"{path} must be a file that can be written, got {reason(error)}: change that, or go "
            "to another folder"
        ) from None
    return _said(path, found)


def _named(images: Path, data: Path) -> str:
    """What data.dataset is to say."""
    whole = images.resolve()
    below = whole.is_relative_to(data.resolve()) and whole != data.resolve()
    return str(whole.relative_to(data.resolve())) if below else str(whole)


def _said(path: Path, found: Survey) -> list[str]:
    height, width, channels = found.shape
    colour = "grey" if channels == 1 else "colour"
    lines = [
        f"{path}: {len(found.classes)} classes, {sum(found.counts.values()):,} images, "
        f"{height} x {width}, {colour}"
    ]
    if found.least < SCARCE:
        lines.append(f"warning: a class has {found.least} images; figures for so few say little")
    lines.append(f"next: exeunt run {path}")
    return lines
