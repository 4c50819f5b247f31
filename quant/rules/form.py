"""rules.json: what `exeunt rules` learned, for the calibration and for people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import rules as room
from exeunt.config.tree import Config, hash_of
from exeunt.errors import InputError
from exeunt.qonnx.integers import IntegerNetwork, Matrix, Threshold
from exeunt.report import store
from exeunt.rules import RuleSet

RULES = "rules.json"
SCHEMA = 1


@dataclass(frozen=True)
class Learned:
    """What was learned: the rules (None: none pays), and what is told of them."""

    rules: RuleSet | None
    told: Mapping[str, Any]


def fingerprint(network: IntegerNetwork) -> str:
    """Sixteen hex digits that stand for all weights and thresholds of a network."""
    total = hashlib.sha256()
    for operation in network.operations:
        total.update(type(operation).__name__.encode())
        if isinstance(operation, Matrix):
            total.update(np.ascontiguousarray(operation.weights, np.int64).tobytes())
        if isinstance(operation, Threshold):
            total.update(np.ascontiguousarray(operation.thresholds, np.int64).tobytes())
    return total.hexdigest()[:16]


def write(run_dir: Path, config: Config, learned: Learned) -> None:
    """Write rules.json."""
    data = {
        "schema": SCHEMA,
        "config": hash_of(config, "rules"),
        "rules": None if learned.rules is None else room.to_json(learned.rules),
        "told": learned.told,
    }
    text = json.dumps(store.plain(data), indent=1, sort_keys=True)
    store.write_text(run_dir / RULES, text + "\n")


def read(run_dir: Path, network: IntegerNetwork) -> Learned:
    """What rules.json holds, for this network.

    Raises:
        InputError: absent, damaged, or rules of another network or image size.
    """
    path = run_dir / RULES
    if not path.is_file():
        raise InputError(
            f"{path} must hold the rules that [rules] asks for, got no such file: do `exeunt rules`"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rules, told = data["rules"], data["told"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{path} must be what `exeunt rules` wrote, got something else: do `exeunt rules` again"
        ) from None
    if rules is None:
        return Learned(None, told)
    found = room.from_json(rules)
    found.check(network.image.shape, network=fingerprint(network))
    return Learned(found, told)
