"""report.json, which every step adds its part to, and report.html, which shows it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exeunt.errors import InputError

SCHEMA = 1
JSON = "report.json"
HTML = "report.html"
REASONS = "rules_why.npz"  # images that leave and stay, with their maps
EXAMPLES = "rules_shown.npz"  # images before and after a rule, with their maps


def read(run_dir: Path) -> dict[str, Any]:
    """The contents of `run_dir`/report.json; only the schema when there is none yet.

    Raises:
        InputError: the file is not a report.
    """
    path = Path(run_dir) / JSON
    if not path.exists():
        return {"schema": SCHEMA}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        data = None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else "something else"
        raise InputError(
            f"report {path} must be JSON of schema {SCHEMA}, got {found}: "
            "delete it and run the steps again"
        )
    return data


def update(run_dir: Path, mapping: Mapping[str, Any]) -> None:
    """Merge `mapping` into `run_dir`/report.json: tables deeply, everything else replaced.

    The file is replaced whole, its keys are sorted, and NumPy scalars and arrays become numbers
    and lists. A value that is not finite becomes null.

    Raises:
        InputError: the file that is there is not a report.
    """
    data = _merge(read(run_dir), plain(mapping))
    write_text(Path(run_dir) / JSON, json.dumps(data, indent=2, sort_keys=True) + "\n")


def put(run_dir: Path, name: str, key: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Put `entries` into the list `name` of report.json, each in place of the one of its `key`.

    Two kinds of entry share a list by having different keys: what `exeunt synth` counted has a
    `target`, a bitstream has a `board`. New ones go behind, in their order.

    Raises:
        InputError: the file that is there is not a report.
    """
    new = {entry[key]: plain(entry) for entry in entries}
    old = read(run_dir).get(name, [])
    kept = [new.pop(entry[key]) if entry.get(key) in new else entry for entry in old]
    update(run_dir, {name: [*kept, *new.values()]})


def holds(run_dir: Path, name: str) -> bool:
    """Whether `run_dir`/report.json has the dotted key, written as for `discard`."""
    dotted, _, choice = name.partition("[")
    found: Any = read(run_dir)
    for part in dotted.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    key, _, value = choice.rstrip("]").partition("=")
    if not key or found is None:
        return found is not None
    entries = found if isinstance(found, list) else [found]
    return any(key in e and (not value or e[key] == value) for e in entries)


def keep(run_dir: Path, keys: Sequence[str], old: Mapping[str, Any]) -> None:
    """Add to the tables in the lists `keys` what the report `old` had there beside.

    Only lists with as many tables as before, such as `exits`, to which several steps add.
    """
    now = read(run_dir)
    for key in keys:
        tables, before = now.get(key), old.get(key)
        if not isinstance(tables, list) or not isinstance(before, list):
            continue
        if len(tables) == len(before):
            update(run_dir, {key: [{**b, **t} for b, t in zip(before, tables, strict=True)]})


def discard(run_dir: Path, keys: tuple[str, ...]) -> None:
    """Take the dotted `keys` out of `run_dir`/report.json: they are no longer true.

    `synthesis[target]` takes the entries with that key out of a list, `synthesis[board=zcu104]`
    those where it has that value; `bench[board=zcu104]` takes out a table if it has that value.
    `exits.latency_cycles` takes that key out of every entry of a list.
    """
    data = read(run_dir)
    for name in keys:
        dotted, _, choice = name.partition("[")
        *path, last = dotted.split(".")
        table: Any = data
        for part in path:
            table = table.get(part) if isinstance(table, dict) else None
        for entry in table if isinstance(table, list) else []:
            entry.pop(last, None)
        if not isinstance(table, dict):
            continue
        found = table.pop(last, None)
        key, _, value = choice.rstrip("]").partition("=")
        if choice and isinstance(found, dict) and value and found.get(key) != value:
            table[last] = found
        if choice and isinstance(found, list):
            kept = [e for e in found if key not in e or (value and e[key] != value)]
            if kept:
                table[last] = kept
    write_text(Path(run_dir) / JSON, json.dumps(data, indent=2, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write `path` whole or not at all: beside it first, then renamed over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _merge(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(old)
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = _merge(out[key], value)
        else:
            out[key] = value
    return out


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: NumPy as numbers and lists, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy, without importing it
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
