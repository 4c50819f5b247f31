"""A config, and single values, as TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def to_toml(config: BaseModel) -> str:
    """The resolved config as TOML: every value written out, `parse` gives the same config."""
    data = config.model_dump(mode="json", exclude_none=True)
    stages = data["model"].pop("stages", [])
    lines = [f"name = {toml(data.pop('name'))}"]
    for section, values in data.items():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {toml(value)}" for key, value in values.items()]
        if section == "model":
            for stage in stages:
                lines += ["", "[[model.stages]]"]
                for key in ("blocks", "head"):
                    rows = "".join(f"  {toml(layer)},\n" for layer in stage[key])
                    lines.append(f"{key} = [\n{rows}]" if rows else f"{key} = []")
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    raise TypeError(f"{type(value).__name__} has no TOML form")
