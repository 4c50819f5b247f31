"""Training images as rules would modify them: drawn at random, or by the rules of another run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from exeunt import rules as room
from exeunt.config.rules import Family
from exeunt.errors import InputError
from exeunt.quant.modified.candidates import candidates
from exeunt.rules import Modification, RuleSet

Images = npt.NDArray[np.uint8]
_PLAIN = 0.5  # of the images stay as they are where modifications are drawn


class Modifier:
    """Modifies batches of images, each by a draw of its own.

    Args:
        shape: (H, W, C) of the images.
        families: kinds of modifications, of which half of the images get one.
        rules: rules.json of another run: each image is shown as one of its looks would see it.

    Raises:
        InputError: no rules in that file, rules for other images, or no modification that fits.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, families: Sequence[Family] = (), rules: str = ""
    ) -> None:
        self._drawn = candidates(shape, families)[1:] if families else ()
        self._rules = None if not rules else read(Path(rules), shape)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """A batch (N, C, H, W) of uint8, modified.

        Args:
            images: on any device, which the result is on too.
            generator: of the draws, on the CPU.
        """
        if not self._drawn and self._rules is None:
            return images
        frames = images.permute(0, 2, 3, 1).cpu().numpy()
        if self._rules is not None:
            frames = _looked(frames, self._rules, generator)
        if self._drawn:
            frames = _changed(frames, self._drawn, generator)
        return torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))).to(
            images.device
        )


def read(path: Path, shape: tuple[int, int, int]) -> RuleSet:
    """The rules in the rules.json of a run, for images (H, W, C).

    Raises:
        InputError: no such file, another one, one without rules, or rules for other images.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = data["rules"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"train.rules must be a rules.json that `exeunt rules` wrote, got {path}: do that "
            "first or correct the path"
        ) from None
    if found is None:
        raise InputError(
            f"train.rules must be a rules.json with rules, got {path}, in which there are none: "
            "leave it out"
        )
    rules = room.from_json(found)
    rules.check(shape)
    return rules


def _looked(frames: Images, rules: RuleSet, generator: torch.Generator) -> Images:
    """Each frame as one of the looks sees it, the first one included."""
    looks = torch.randint(0, len(rules.looks) + 1, (len(frames),), generator=generator).numpy()
    found = frames.copy()
    for number in np.unique(looks):
        here = looks == number
        found[here], _ = rules.look(frames[here], int(number))
    return found


def _changed(frames: Images, drawn: Sequence[Modification], generator: torch.Generator) -> Images:
    """Half of the frames, each with one of the modifications."""
    plain = torch.rand(len(frames), generator=generator).numpy() < _PLAIN
    which = torch.randint(0, len(drawn), (len(frames),), generator=generator).numpy()
    found = frames.copy()
    for number in np.unique(which[~plain]):
        here = (which == number) & ~plain
        found[here] = drawn[int(number)].apply(frames[here])
    return found
