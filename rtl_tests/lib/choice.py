"""Which corners of a block run, smallest first, and what is told of those that fail.

The environment variable CORNERS says which: `all` (also when it is not set), `fast`, or names of
corners with commas between them. `make block BLOCK=mvu` runs the fast ones.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.bench import Corner

FAST = 14  # at most so many corners are fast; a build of that size takes some seconds


def size(corner: Corner) -> tuple[int, int]:
    """What makes a corner large: words in a frame, in and out; then bits of its ports."""
    node = corner.node
    words = 0 if node is None else node.input.words + node.output.words
    return words, sum(port.width for port in corner.ports)


def fast(corners: Sequence[Corner]) -> list[Corner]:
    """Of corners that are sorted by size, the first ones with a value of a parameter that is new.

    Most values of most parameters are tried, at most FAST corners are taken.
    """
    seen: set[tuple[str, int | str]] = set()
    found: list[Corner] = []
    for corner in corners:
        values = {(k, v) for k, v in corner.parameters.items() if isinstance(v, int)}
        if not found or values - seen:
            found.append(corner)
            seen |= values
        if len(found) == FAST:
            break
    return found


def chosen(block: str, corners: Sequence[Corner]) -> tuple[str, list[Corner]]:
    """The corners that CORNERS asks for, smallest first, and the name of their build folder.

    Raises:
        AssertionError: CORNERS names a corner that the block does not have.
    """
    ordered = sorted(corners, key=size)
    asked = os.environ.get("CORNERS", "") or "all"
    if asked == "all":
        return block, ordered
    if asked == "fast":
        some = fast(ordered)
        return (block if len(some) == len(ordered) else f"{block}_fast"), some
    names = asked.split(",")
    known = [c.name for c in ordered]
    unknown = [name for name in names if name not in known]
    assert not unknown, (
        f"CORNERS must be all, fast or names of corners of {block}, got {unknown[0]!r}: "
        f"take some of {', '.join(known)}"
    )
    return f"{block}_{'_'.join(names)}", [c for c in ordered if c.name in names]


def digest(
    block: str, failures: Sequence[tuple[str, str]], corners: Sequence[Corner], folder: Path
) -> str:
    """What a person needs first: the smallest failing corner, its first fault and its waves.

    Where no message names a corner, all messages are told as they are.

    Args:
        block: name of the bench.
        failures: names of the cocotb tests that failed, and their messages; a line of a message
            belongs to the corner whose name stands in it.
        corners: those that ran, smallest first.
        folder: that has the benches' build folders.
    """
    faults: dict[int, list[tuple[str, str]]] = {}
    for test, message in failures:
        for line in message.splitlines():
            words = set(re.findall(r"\w+", line))
            for i, corner in enumerate(corners):
                if corner.name in words:
                    faults.setdefault(i, []).append((test, line))
    if not faults:
        said = [f"{block}.{test}: {message}" for test, message in failures]
        waves = folder / block / "dump.vcd"
        return "\n".join([*said, f"the waves, in {_short(waves)}: {command()}"])
    first = corners[min(faults)].name
    lines = [f"{block}: {faults[min(faults)][0][1]}"]
    tests = list(dict.fromkeys(test for test, _ in faults[min(faults)]))
    lines.append(f"{first} is the smallest corner that fails; it fails in {', '.join(tests)}")
    others = len(faults) - 1
    lines.append(f"{others} of the other {len(corners) - 1} corners {_fail(others)} too")
    waves = folder / f"{block}_{first}" / "dump.vcd"
    lines.append(f"its waves, in {_short(waves)}: {command(first)}")
    return "\n".join(lines)


def command(corner: str = "") -> str:
    """What runs the present test again and keeps its waves, with one corner if it is named."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    python = _short(Path(sys.executable))
    chosen = f"CORNERS={corner} " if corner else ""
    return f"WAVES=1 {chosen}{python} -m pytest {shlex.quote(test)}"


def _fail(count: int) -> str:
    return "fails" if count == 1 else "fail"


def _short(path: Path) -> str:
    """The path as seen from the working folder, where it is inside."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
