"""Sphinx's side of the site: generated text goes in where a page asks for it, links are checked.

A page asks with a comment on a line of its own, `<!-- made: registers -->`; what can be asked for
is in `reference.PARTS`. When the site is written, `links.faults` reads it whole.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import links
import reference
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ENTRY = re.compile(r"^\w+(, \w+)*: ")
MADE = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("env-before-read-docs", _spread)
    app.connect("source-read", _fill)
    app.connect("autodoc-process-docstring", _plain, priority=400)  # before napoleon
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _spread(app: Sphinx, env: Any, docnames: list[str]) -> None:
    """Notebooks evenly among the other pages: processes take pages in rows of ten."""
    del app
    books = [name for name in docnames if "file_format: mystnb" in env.doc2path(name).read_text()]
    plain = [name for name in docnames if name not in books]
    docnames.sort(
        key=lambda name: next((g.index(name) + 0.5) / len(g) for g in (books, plain) if name in g)
    )


def _fill(app: Sphinx, docname: str, source: list[str]) -> None:
    del app, docname
    source[0] = MADE.sub(lambda found: reference.PARTS[found[1]](), source[0])


def _plain(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings as reStructuredText: the fields of a class, and marks that mean nothing here."""
    del app, name, thing, options
    told: list[str] = []
    inside = False
    for line in lines:
        begins = what == "class" and ENTRY.match(line) and not line.startswith("Raises")
        if begins and not inside:
            told += ["", "Attributes:"]
        inside = bool(begins or (inside and line.startswith(" ")))
        told.append(("    " if inside else "") + line)
    lines[:] = [_escaped(line) for line in told]


def _escaped(line: str) -> str:
    parts = line.split("`")  # every second one is code
    parts[::2] = [re.sub(r"([*|]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.name != "html":
        return
    faults = links.faults(Path(app.outdir))
    if faults:
        raise ExtensionError("\n".join(faults))
