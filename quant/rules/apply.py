"""A user's own images under the rules of a run: what they become, and where they leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from exeunt import rules as room
from exeunt.config.tree import Config
from exeunt.errors import InputError
from exeunt.quant.compress import load_network
from exeunt.quant.explain import read_image
from exeunt.quant.network.logits import exact
from exeunt.quant.rules import evidence, form
from exeunt.registers import NEVER
from exeunt.report import heatmaps
from exeunt.rules import NONE, RuleSet

FOLDER = "applied"
_EXITS = "exits.json"


@dataclass(frozen=True)
class Applied:
    """One image: what was done to it at each look, and what became of it."""

    name: str
    looks: tuple[str, ...]  # sentences, in order
    left: int  # 0: leaves at once, k: after further look k, -1: at none, it goes on
    answer: int  # of exit 0, over the looks so far

    @property
    def text(self) -> str:
        """In one line."""
        where = "at once" if not self.left else f"after look {self.left}"
        end = f"leaves {where} as {self.answer}" if self.left >= 0 else "goes on to stage 1"
        return f"{self.name}: {'; '.join(self.looks)}; {end}"


def calibrated_rules(run_dir: Path) -> tuple[RuleSet, int]:
    """The rules in exits.json, and the threshold of exit 0.

    Raises:
        InputError: no exits.json, or one without rules.
    """
    path = run_dir / _EXITS
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(
            f"{path} must hold the thresholds and rules, got none: do `exeunt rules` and `exeunt "
            "calibrate` first"
        ) from None
    if not data.get(room.KEY):
        raise InputError(
            f"{path} must have rules to apply, got none: do `exeunt rules` and `exeunt calibrate`, "
            "or no rule pays for this network"
        )
    return room.from_json(data[room.KEY]), int(data["thresholds"][0])


def apply(
    config: Config, run_dir: Path, paths: Sequence[str], *, resize: bool = False
) -> list[Applied]:
    """Apply the rules to images; leaves a picture for each look in `run_dir`/applied.

    Raises:
        InputError: no rules, rules of another network, or an image that does not fit.
    """
    rules, threshold = calibrated_rules(run_dir)
    network = exact(load_network(config, run_dir), config)
    rules.check(network.image.shape, network=form.fingerprint(network))
    images = np.stack([read_image(Path(p), config.model.input, resize=resize) for p in paths])
    of = evidence.subject(network, config.calibrate.criterion)
    folder = run_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _one(of, rules, threshold, image[None], f"{number}-{Path(path).stem}", folder)
        for number, (image, path) in enumerate(zip(images, paths, strict=True))
    ]


def _one(
    of: evidence.Subject,
    rules: RuleSet,
    threshold: int,
    image: npt.NDArray[np.uint8],
    name: str,
    folder: Path,
) -> Applied:
    """One image (1, H, W, C), look after look until it leaves."""
    total = np.zeros(0, np.int64)
    told: list[str] = []
    answer = 0
    for number, limit in enumerate((threshold, *rules.thresholds)):
        seen, fired = rules.look(image, number)
        place, listed = rules.lists[number]
        which = int(fired[0])
        if number and which == NONE:
            continue
        done = room.sentence(listed[which]) if which != NONE else "no rule applies"
        told.append(f"{place}: {done.rstrip('.')}")
        picture = heatmaps.enlarged(heatmaps.plain(seen[0]))
        Image.fromarray(picture).save(folder / f"{name}-{place.replace(' ', '')}.png")
        logits = of.head.logits(seen)[0]
        total = logits if not total.size else total + logits
        said = of.scored(total)
        answer = int(said.classes[0])
        if limit != NEVER and said.scores[0] >= limit:
            return Applied(name, tuple(told), number, answer)
    return Applied(name, tuple(told), -1, answer)
