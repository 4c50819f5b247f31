"""What the driver needs of a manifest, read with nothing but JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exeunt import hold, promise
from exeunt import registers as codes
from exeunt.errors import InputError
from exeunt.hold import Hold
from exeunt.promise import Promise
from exeunt.rules import KEY as RULES
from exeunt.rules import RuleSet, from_json
from exeunt.rules.unit import Unit
from exeunt.runtime.packets import KEY as EXPLAIN
from exeunt.runtime.packets import Built

SCHEMA = 1
NAME = "manifest.json"
KEYS = ("name", "design_hash", "input", "classes", "exits", "cycles", "in_flight", "registers")


@dataclass(frozen=True)
class Description:
    """An accelerator as its manifest describes it; `folder` is None for a dictionary.

    `input`: shape (H, W, C), bits, signed, lanes, words, width of the image stream.
    `criterion`: code of what the exits go by. `thresholds`: one signed 32-bit value per exit.
    `promise`: what the calibration promised, and of which thresholds.
    `offsets`: per exit, of each class, what is taken off the score; none: nothing is.
    `rules`: those of its rule unit, and what that was built for, if it has one.
    `cycles`: cycles that one frame may take at most when it passes all parts one after another.
    `explains`: what it was built to explain, if it explains anything.
    """

    folder: Path | None
    name: str
    design_hash: int
    input: Mapping[str, Any]
    classes: int
    exits: int
    criterion: int
    thresholds: tuple[int, ...]
    cycles: int
    in_flight: int
    registers: Mapping[str, Any]
    promise: Promise
    rules: RuleSet | None = None
    unit: Unit | None = None
    offsets: tuple[tuple[int, ...], ...] = ()
    explains: Built | None = None
    hold: Hold | None = None
    held_bits: int = 0

    @property
    def look_thresholds(self) -> tuple[int, ...]:
        """One of exit 0 after each further look at an image."""
        return self.rules.thresholds if self.rules else ()

    @property
    def remembers(self) -> bool:
        """Whether an answer depends on the images before, so that only a reset begins anew."""
        return codes.criterion_of(self.criterion).history is not None


def load(manifest: str | Path | Mapping[str, Any]) -> Description:
    """The description in a manifest: the path of the file or of its folder, or its data.

    Raises:
        InputError: there is no manifest, or it is of another schema.
    """
    folder: Path | None = None
    if isinstance(manifest, Mapping):
        data: Any = manifest
        said = "The manifest"
    else:
        path = Path(manifest)
        path = path / NAME if path.is_dir() else path
        folder, said = path.parent, str(path)
        try:
            data = json.loads(path.read_text())
        except OSError:
            raise InputError(
                f"{path} must be a manifest and cannot be read; give the folder that "
                "`exeunt compile` or `exeunt deploy` wrote."
            ) from None
        except ValueError:
            raise InputError(
                f"{path} must be a JSON file and cannot be read as one; run `exeunt compile` again."
            ) from None
    missing = [k for k in KEYS if k not in data] if isinstance(data, Mapping) else list(KEYS)
    if missing or data.get("schema") != SCHEMA:
        seen = f"no {missing[0]}" if missing else f"schema {data.get('schema')}"
        raise InputError(
            f"{said} must be a manifest of schema {SCHEMA} and has {seen}; run `exeunt compile` "
            "again."
        )
    status = data["registers"].get("status", {})
    if "epoch" not in status.get("fields", {}):
        raise InputError(
            f"{said} must have the register field status.epoch, which this driver needs, and has "
            "none; run `exeunt compile` again."
        )
    unit = Unit.from_json(data[RULES]["unit"]) if RULES in data else None
    cycles = sum(int(c["interval"]) + int(c["last_word"]) for c in data["cycles"].values())
    cycles += unit.beats * 2 + unit.judging if unit else 0
    return Description(
        folder=folder,
        name=str(data["name"]),
        design_hash=int(data["design_hash"]),
        input=data["input"],
        classes=int(data["classes"]),
        exits=len(data["exits"]),
        criterion=_criterion(data["exits"], said),
        thresholds=tuple(int(e["threshold"]) for e in data["exits"]),
        cycles=cycles,
        in_flight=int(data["in_flight"]),
        registers=data["registers"],
        promise=promise.from_json(data.get(promise.KEY)),
        rules=from_json(data[RULES]["set"]) if unit else None,
        unit=unit,
        offsets=tuple(tuple(e["offsets"]) for e in data["exits"] if "offsets" in e),
        explains=Built.of(data[EXPLAIN], cycles) if EXPLAIN in data else None,
        hold=hold.from_json(data[hold.KEY]) if hold.KEY in data else None,
        held_bits=int(data[hold.KEY]["bits"]) if hold.KEY in data else 0,
    )


def _criterion(exits: Sequence[Mapping[str, Any]], said: str) -> int:
    """The code of the criterion that the exits go by."""
    name = exits[0].get("criterion")
    known = codes.criteria_codes()
    if name not in known:
        names = " or ".join(f'"{one}"' for one in known)
        raise InputError(
            f"{said} must have an exit criterion that this driver knows, {names}, and has "
            f"{name!r}; use the driver of the release that compiled it."
        )
    return known[name]
