"""Memory contents in the source: a copy of the RTL that reads no file.

An IP is synthesized on its own, in a folder of Vivado's choosing. A file that a $readmemh does not
find there costs a warning, and the memory stays empty. So in a Vivado project every

    initial $readmemh(NAME, array);

of our kernels, where NAME is a string parameter of the module or begins with one, becomes one
assignment for each word. NAME is compared, while an instance is elaborated, with the names of the
files as literals; an instance that finds none ends the elaboration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

READ = re.compile(r"^( *)initial \$readmemh\((.+), (\w+)\);$", re.MULTILINE)
PARAMETER = re.compile(r"\b[A-Z][A-Z0-9_]*_FILE\b")
EMPTY = '$error("a memory has no contents");'
GIVEN = re.compile(r'\.([A-Z][A-Z0-9_]*_FILE)\(\s*"([^"]+)"\s*\)')

Choice = tuple[str, list[str]]
"""A condition and the lines that hold under it."""


def inline(
    sources: Mapping[str, str], memories: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The sources with the contents of their memories in them.

    Args:
        sources: text of every source by its file name; an instance gives as a literal the name of
            a file, or the beginning of names that go on with "_".
        memories: text of every memory file by its name, one hexadecimal word a line.

    Returns:
        The new texts, and the names of the memories that no such line reads: their files are
        still needed.
    """
    given: dict[str, set[str]] = {}  # parameter -> the literals
    for text in sources.values():
        for parameter, value in GIVEN.findall(text):
            given.setdefault(parameter, set()).add(value)
    placed: set[str] = set()

    def replaced(match: re.Match[str]) -> str:
        indent, name, array = match.groups()
        found = PARAMETER.search(name)
        choices: list[Choice] = []
        for value in sorted(given.get(found[0], ())) if found else ():
            files = [f for f in sorted(memories) if f == value or f.startswith(f"{value}_")]
            placed.update(files)
            inner = [(f'{name} == "{f}"', _words(array, memories[f])) for f in files]
            if found and found[0] != name:  # few comparisons for an instance: its own names alone
                inner = [(f'{found[0]} == "{value}"', _chain(inner))]
            choices += inner
        own = found is not None and (name == found[0] or name.startswith(f"{{{found[0]},"))
        if found and own and found[0] not in given:  # no instance has such a file
            return f"{indent}{EMPTY}"
        if not choices:
            return match[0]
        lines = [
            "/* verilator lint_off WIDTHEXPAND */",
            *_chain(choices),
            "/* verilator lint_on WIDTHEXPAND */",
        ]
        return "\n".join(f"{indent}{line}" for line in lines)

    texts = {name: READ.sub(replaced, text) for name, text in sources.items()}
    return texts, tuple(sorted(set(memories) - placed))


def _chain(choices: Sequence[Choice]) -> list[str]:
    """A generate of the choices, the last of which is an error."""
    lines: list[str] = []
    for i, (condition, body) in enumerate(choices):
        lines.append(f"{'end else ' if i else ''}if ({condition}) begin : g_{i}")
        lines += [f"  {line}" for line in body]
    return [*lines, "end else begin : g_none", f"  {EMPTY}", "end"]


def _words(array: str, text: str) -> list[str]:
    """The assignments of a memory file's words; a literal is as wide as its value."""
    values = [int(line, 16) for line in text.split()]
    words = [f"  {array}[{i}] = {max(1, v.bit_length())}'h{v:x};" for i, v in enumerate(values)]
    return ["initial begin", *words, "end"]
