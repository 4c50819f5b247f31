"""Pages that are made from the code: Markdown of the config, the register map and the packets.

Needs nothing but the package, so that the tests can hold it without Sphinx.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator

from pydantic import BaseModel

from exeunt import criteria, registers
from exeunt.config import manual, tree
from exeunt.runtime import framing, maps, results

BREAK = "\n"  # of a line in a cell


def config() -> str:
    """Every key of the config: what it means, what it may be, and what it is when not given."""
    root = tree.Config
    texts = manual.meanings(root)
    lines = ["## At the top", "", *_keys(root, {k for k in root.model_fields if k != "name"})]
    told: dict[type[BaseModel], str] = {}
    for name, field in root.model_fields.items():
        for table in manual.models(field.annotation):
            shown = "" if manual.default(field) != "unset" else " Absent unless you write it."
            lines += ["", f"## [{name}]", "", f"{_sentence(texts[name])}{shown}", "", *_keys(table)]
            lines += _below(name, table, told)
    return "\n".join(lines)


def _below(path: str, table: type[BaseModel], told: dict[type[BaseModel], str]) -> Iterator[str]:
    """The tables that keys of this table hold, each told once."""
    for name, field in table.model_fields.items():
        for inner in manual.models(field.annotation):
            if inner in told:
                continue
            told[inner] = heading = _heading(f"{path}.{name}", inner, field.annotation)
            yield from ("", f"### {heading}", "", _sentence(manual.summary(inner)), "")
            yield from _keys(inner)
            yield from _below(f"{path}.{name}", inner, told)


def _heading(path: str, table: type[BaseModel], annotation: object) -> str:
    several = len(manual.models(annotation)) > 1
    return f"{path}: {table.__name__.lower()}" if several else path


def _keys(table: type[BaseModel], without: Iterable[str] = ()) -> list[str]:
    texts = manual.meanings(table)
    rows = []
    for name, field in table.model_fields.items():
        if name in without:
            continue
        unset = manual.default(field)
        if manual.models(field.annotation):
            may = "tables, see below"
        else:
            may = manual.allowed(field.annotation, field.metadata)
        given = "**must be given**" if unset is None else _default(unset)
        rows.append((f"`{name}`", texts[name], may, given))
    return _table(("key", "meaning", "may be", "unless given"), rows)


def _default(text: str) -> str:
    return text if text in ("unset", "none", "as below") else f"`{text}`"


def register_map() -> str:
    """Every register, by what has it."""
    groups = (
        ("Every accelerator", registers.MAP, "These are always there."),
        ("With rules", registers.RULES, "These are there with `[rules]` in the config."),
        ("With heat maps", registers.EXPLAIN, "These are there with `[explain.hardware]`."),
        ("With a held rate", registers.HOLD, "These are there with `[compile.hold]`."),
    )
    lines: list[str] = []
    for title, group, text in groups:
        rows = []
        for r in group:
            last = f" to `0x{r.address + 4 * (registers.MAX_EXITS - 1):03X}`" if r.per_exit else ""
            where = f"`0x{r.address:03X}`{last}"
            bits = BREAK.join(f"{_bits(f)} `{name}`" for name, f in r.fields.items())
            name = f"`{r.name}`" + (", one per exit" if r.per_exit else "")
            rows.append((where, name, r.access, _reset(r.reset), bits, _sentence(r.text)))
        heads = ("address", "register", "access", "after a reset", "bits", "meaning")
        lines += [f"## {title}", "", text, "", *_table(heads, rows), ""]
    codes = registers.criteria_codes()
    rows = [(f"{code}", f"`{n}`", _sentence(criteria.get(n).score)) for n, code in codes.items()]
    lines += ["## Criteria", "", "What the register `criterion` reads, and what a score is.", ""]
    return "\n".join([*lines, *_table(("code", "criterion", "score"), rows)])


def _bits(field: registers.Field) -> str:
    high = field.low + field.width - 1
    return f"{field.low}" if field.width == 1 else f"{field.low}..{high}"


def _reset(value: int) -> str:
    if value in (registers.NEVER, registers.ALWAYS):
        return registers.threshold_text(value).upper()
    return str(value) if value < 1 << 16 else f"`0x{value:08X}`"


def packets() -> str:
    """What travels: results, serial packets, heat maps."""
    fields = results.RESULT.fields or {}
    words = {"u": "unsigned", "i": "signed"}
    meaning = {
        "id": "count of frames since the reset",
        "score": "how sure the exit was, as its criterion counts",
        "latency": "cycles from the first beat to the result",
        "class": "the answer",
        "exit": "where the frame left, 0 first",
        "flags": f"{results.FLAG_BAD}: the frame was cut short; {results.FLAG_BANK}: which "
        "threshold bank was in force",
    }
    rows = [
        (f"{offset}", f"`{name}`", f"{words[kind.kind]}, {8 * kind.itemsize} bits", meaning[name])
        for name, (kind, offset, *_) in fields.items()
    ]
    size = results.RESULT.itemsize
    return "\n".join(
        (
            "## A result",
            "",
            f"{size} bytes, little-endian.",
            "",
            *_table(("byte", "field", "number", "meaning"), rows),
            "",
            "## A packet on the serial line",
            "",
            inspect.getdoc(framing) or "",
            "",
            "## A heat map",
            "",
            inspect.getdoc(maps) or "",
        )
    )


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a name of the code, and with a full stop."""
    first = text.split()[0].rstrip(":")
    plain = first.isalpha()
    return (text[:1].upper() + text[1:] if plain else text) + ("" if text.endswith(".") else ".")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [
        [cell.replace("|", "\\|").replace("<", "\\<").replace(BREAK, "<br>") for cell in row]
        for row in rows
    ]
    lines = [heads, ["---"] * len(heads), *cells]
    return ["| " + " | ".join(line) + " |" for line in lines]


PARTS: dict[str, Callable[[], str]] = {
    "config": config,
    "registers": register_map,
    "packets": packets,
}
"""What a page can ask for, by name."""
