"""`exeunt config`: every key with its meaning, what it may be and its default, as a config file.

Meanings stand in the docstrings of the tables, the rest in their types: nothing is told twice.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exeunt.config.toml import toml

_WIDTH = 96
_ENTRY = re.compile(r"^    (\w+): (.*)$")


def manual(config: BaseModel) -> str:
    """The config as TOML in which a comment explains every key; it parses to the same config.

    Keys that are unset, and sections that are absent, are there as comments.
    """
    root, texts = type(config), meanings(type(config))
    lines = [f"# {summary(root)}"]
    for name, field in root.model_fields.items():
        value = getattr(config, name)
        tables = [m for m in models(field.annotation) if not m.__name__.startswith("_")]
        if not tables:
            lines += ["", *_entry(name, field, value, texts)]
            continue
        lines += ["", *_comment(summary(tables[0]))]
        shown = value if value is not None else tables[0]
        mark = "" if value is not None else "# "
        lines += [f"{mark}[{name}]", *_section(shown)]
    return "\n".join(lines) + "\n"


def meanings(table: type[BaseModel]) -> dict[str, str]:
    """What every key of a table means, by the Attributes in its docstring and its bases'."""
    found: dict[str, str] = {}
    for base in reversed(table.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        inside, last = False, ""
        for line in inspect.cleandoc(base.__doc__ or "").splitlines():
            entry = _ENTRY.match(line)
            inside = inside or line == "Attributes:"
            if inside and entry:
                last = entry[1]
                found[last] = entry[2]
            elif inside and last and line.startswith("        "):
                found[last] += " " + line.strip()
    return found


def _section(shown: BaseModel | type[BaseModel]) -> Iterator[str]:
    """The keys of a section: those of a table with its values, or of an absent one as comments."""
    table = shown if isinstance(shown, type) else type(shown)
    texts = meanings(table)
    nested = []
    for name, field in table.model_fields.items():
        value = getattr(shown, name, None) if isinstance(shown, BaseModel) else None
        if any(models(field.annotation)):
            nested.append((name, field, value))
        else:
            yield from _entry(name, field, value, texts)
    for name, field, value in nested:
        yield from _tables(name, field, value, texts)


def _tables(name: str, field: FieldInfo, value: Any, texts: dict[str, str]) -> Iterator[str]:
    """A key that holds tables: the keys of each kind of table, then the value."""
    yield from ("", *_comment(f"{name}: {texts[name]}."))
    tables = models(field.annotation)
    base = _base(tables)
    for table in [*([base] if base else []), *tables]:
        yield from _comment(f"{table.__name__}: {summary(table)}")
        inside = meanings(table)
        for key, entry in table.model_fields.items():
            if base not in (None, table) and key not in table.__annotations__:
                continue  # told of the base
            if not any(models(entry.annotation)):
                yield from _comment(f"{key}: {_told(entry, inside[key])}", 2)
            else:
                yield from _comment(f"{key}: {inside[key]}", 2)
                for deeper in models(entry.annotation):
                    yield from _comment(summary(deeper), 4)
                    for last, one in deeper.model_fields.items():
                        yield from _comment(f"{last}: {_told(one, meanings(deeper)[last])}", 6)
    if isinstance(value, tuple) and value and name == "stages":
        for stage in value:
            yield from ("", "[[model.stages]]")
            for key in type(stage).model_fields:
                rows = [f"  {toml(_plain(layer))}," for layer in getattr(stage, key)]
                yield from ((f"{key} = [", *rows, "]") if rows else (f"{key} = []",))
    elif isinstance(value, tuple) and value:
        yield from (f"{name} = [", *(f"  {toml(_plain(one))}," for one in value), "]")
    elif isinstance(value, BaseModel):
        yield f"{name} = {toml(_plain(value))}"
    else:
        yield f"# {name} = ..."


def _base(tables: list[type[BaseModel]]) -> type[BaseModel] | None:
    """What several tables have in common, None when nothing."""
    shared = [b for b in tables[0].__mro__ if all(issubclass(t, b) for t in tables)]
    found = [b for b in shared if getattr(b, "model_fields", None)]
    return found[0] if len(tables) > 1 and found else None


def _plain(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json", exclude_none=True)


def _entry(name: str, field: FieldInfo, value: Any, texts: dict[str, str]) -> Iterator[str]:
    yield from _comment(f"{name}: {_told(field, texts[name])}")
    yield f"{name} = {toml(value)}" if value is not None else f"# {name} = {_example(field)}"


def _told(field: FieldInfo, text: str) -> str:
    """Meaning, what is allowed, default."""
    rest = default(field)
    rest = "must be given" if rest is None else f"default: {rest}"
    may = allowed(field.annotation, field.metadata)
    return f"{text} ({'; '.join(part for part in (may, rest) if part)})"


def default(field: FieldInfo) -> str | None:
    """What a key is when it is not given, as TOML; None where it must be given."""
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    if value is None or value == ():
        return "unset" if value is None else "none"
    if isinstance(value, BaseModel):
        return "as below"
    return "{}" if isinstance(value, dict) else toml(value)


def _example(field: FieldInfo) -> str:
    """A value that an unset key might have."""
    choices = list(_choices(field.annotation))
    return toml(choices[0]) if choices else "..."


def allowed(annotation: Any, metadata: Any = ()) -> str:
    """What a value may be, in words."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return allowed(inner, (*more, *metadata))
    if get_origin(annotation) is Literal:
        return " or ".join(toml(c) for c in get_args(annotation))
    parts = [a for a in get_args(annotation) if a not in (type(None), ...)]
    if get_origin(annotation) is tuple:
        return f"{len(parts)} numbers" if len(parts) > 1 else f"list of: {allowed(parts[0])}"
    if get_origin(annotation) is dict:
        return "table"
    if parts:
        return " or ".join(dict.fromkeys(allowed(p, metadata) for p in parts))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"{annotation.__name__} tables"
    name = {bool: "true or false", int: "integer", float: "number", str: "text"}.get(annotation, "")
    return " ".join([name, *_bounds(metadata)])


def _bounds(metadata: Any) -> Iterator[str]:
    words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    for entry in metadata:
        for inner in getattr(entry, "metadata", [entry]):
            for key, word in words.items():
                bound = getattr(inner, key, None)
                if bound is not None:
                    shown = f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
                    yield f"{word} {'2^63' if bound == 1 << 63 else shown}"


def _choices(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from _choices(part)


def models(annotation: Any) -> list[type[BaseModel]]:
    """The tables that a value of this type may be made of, in the order of the type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return list(dict.fromkeys(m for part in get_args(annotation) for m in models(part)))


def summary(table: type[BaseModel]) -> str:
    """The first line of a table's docstring."""
    return inspect.cleandoc(table.__doc__ or "").splitlines()[0]


def _comment(text: str, indent: int = 0) -> list[str]:
    first = "# " + " " * indent
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=first + "  ", break_on_hyphens=False
    )
