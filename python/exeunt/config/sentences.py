"""What is wrong with a config, as one sentence each: pydantic's complaints in our words."""

from __future__ import annotations

import difflib
import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from exeunt.config.compress import KINDS
from exeunt.config.toml import toml

LAYERS = ("conv", "pool", "linear", "residual")


def did_you_mean(word: str, known: tuple[str, ...] | list[str]) -> str:
    """The end of a sentence: the nearest known word, if one is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f", or did you mean {near[0]!r}?" if near else ""


def with_nul(value: Any, key: str = "") -> str | None:
    """The first key whose text has a NUL, which no name of a file may have."""
    if isinstance(value, str):
        return key if "\0" in value else None
    if isinstance(value, list):
        below = [(v, f"{key}[{i}]") for i, v in enumerate(value)]
    elif isinstance(value, dict):
        below = [(v, f"{key}.{k}" if key else str(k)) for k, v in value.items()]
    else:
        return None
    return next((found for v, k in below if (found := with_nul(v, k)) is not None), None)


def _models(annotation: Any) -> set[type[BaseModel]]:
    """The tables that a value of this type may be made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in _models(part)}


def _known_keys(location: tuple[Any, ...], root: type[BaseModel]) -> list[str]:
    """The keys that the table at `location` below `root` may have."""
    tables = {root}
    for part in location:
        inside = {
            model
            for table in tables
            if part in table.model_fields
            for model in _models(table.model_fields[part].annotation)
        }
        if inside:
            tables = inside
        elif isinstance(part, str):  # the tag of a union: a key of one of its tables, or its kind
            tables = {t for t in tables if part in _tags(t)} or tables
    return list(dict.fromkeys(key for table in tables for key in table.model_fields))


def _tags(table: type[BaseModel]) -> set[str]:
    """What may tell this table from the others of a union."""
    kind = table.model_fields.get("kind")
    return set(get_args(kind.annotation)) if kind is not None else set(table.model_fields)


def _tags_below(key: Any) -> tuple[str, ...]:
    """The tags that pydantic puts into the location of an entry of the list `key`."""
    return {"blocks": LAYERS, "head": LAYERS, "passes": KINDS}.get(key, ())


def _dotted(location: tuple[Any, ...]) -> str:
    """`model.stages[0].blocks[1].kernel` of pydantic's location, which also carries union tags."""
    out = ""
    for i, part in enumerate(location):
        if isinstance(part, int):
            out += f"[{part}]"
        elif i > 1 and isinstance(location[i - 1], int) and part in _tags_below(location[i - 2]):
            continue  # the tag of the union, not a key
        elif part.isidentifier() or not out:
            out += f".{part}" if out else part
    return out


def _shown(value: Any) -> str:
    """A value as TOML would write it, shortened."""
    try:
        text = toml(value)
    except TypeError:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def sentence(error: ValidationError, where: str, root: type[BaseModel]) -> str:
    """The first of pydantic's complaints (an unknown key before others) as one sentence."""
    found = error.errors(include_url=False)
    problem = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    location, kind = tuple(problem["loc"]), problem["type"]
    context, value = problem.get("ctx", {}), problem.get("input")
    key = _dotted(location)
    if kind == "extra_forbidden" and location[-3:-2] == ("residual",) and location[-1] in LAYERS:
        shown = _shown({str(location[-1]): value})
        return (
            f"config {where}: {_dotted(location[:-1])} must be a convolution, as all of a residual "
            f"block, got {shown}: put it into a block of its own"
        )
    if kind == "extra_forbidden":
        known = _known_keys(location[:-1], root)
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.0)
        hint = f"did you mean {near[0]!r}?" if near else "remove it"
        return f"config {where}: key {key!r} must be a known one, got {location[-1]!r}: {hint}"
    if kind == "missing":
        return f"config {where}: key {key!r} must be given, got nothing: add it"
    if kind == "value_error":
        text = str(context["error"])
        joint = " " if text.startswith("must ") else "."  # of the value itself, or of a key below
        return f"config {where}: {key + joint if key else ''}{text}: change it"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        if "passes" in location:
            allowed = f'"kind", one of {", ".join(KINDS)}'
            return f"config {where}: {key} must have a key {allowed}, got {_shown(value)}: add it"
        allowed = '"conv", "pool" or "residual"' if "blocks" in location else '"pool" or "linear"'
        return f"config {where}: {key} must have a key {allowed}, got {_shown(value)}: add it"
    # the members of a union complain one by one: tell all that the value may be
    same = [e["msg"] for e in found if _dotted(tuple(e["loc"])) == key]
    rules = " or ".join(dict.fromkeys(_rule(m) for m in same))
    advice = "change it"
    if kind == "literal_error" and isinstance(value, str) and len(same) == 1:
        known = [word.strip("'") for word in re.findall(r"'[^']*'", context["expected"])]
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
        advice = f'did you mean "{near[0]}"?' if near else advice
    return f"config {where}: {key} must be {rules}, got {_shown(value)}: {advice}"


def _rule(message: str) -> str:
    """The rule in a message of pydantic's: "Input should be ..." without its head."""
    for head, tail in (("Input should be ", ""), ("String should match ", "text that matches ")):
        if message.startswith(head):
            message = tail + message[len(head) :]
    if message.startswith("a valid dictionary"):
        return "a table"
    if message.startswith(("Tuple should have", "String should have")):
        size = message.partition("should have ")[2].partition(" after")[0]
        message = f"{'shorter' if 'at most' in size else 'longer'}: {size}"
    for long, short in (
        ("a valid integer", "an integer"),
        ("a valid number", "a number"),
        ("a valid boolean", "true or false"),
        ("a valid string", "a string"),
        ("a valid tuple", "a list"),
        ("greater than or equal to", "at least"),
        ("less than or equal to", "at most"),
        ("greater than", "above"),
        ("less than", "below"),
    ):
        message = message.replace(long, short)
    return message.replace("'", '"')
