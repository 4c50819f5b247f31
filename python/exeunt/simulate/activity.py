"""How often signals toggle while images run, block by block, and the energy that this stands for.

The toggles of every named signal are written by Verilator in SAIF, the format that power estimators
of FPGA vendors read. From them an estimate is made:

    energy of an image = toggles of an image x 1/2 C V^2

with C the capacitance of a routed signal with the LUT inputs behind it. C is assumed, not measured:
the figure is for comparing blocks and designs. The clock tree, memories' insides, glitches and what
the device draws at rest are not in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt import manifest as manifests
from exeunt.cost.energy import joules
from exeunt.errors import CheckFailed, InputError
from exeunt.manifest import Manifest
from exeunt.progress import Progress, part, silent
from exeunt.report import store
from exeunt.simulate import bulk, verilator
from exeunt.simulate.answers import Images, load_images
from exeunt.simulate.run import BASELINE, CACHE

if TYPE_CHECKING:
    from exeunt.config.tree import Config

FOLDER = "activity"
FILE = "activity.saif"
CORE = "exeunt_core"
CLOCKS = re.compile(r"^(clk|tick)")
CHAIN = re.compile(r"^u_(seg|head)\d+$")
_NET = re.compile(r"^\s*\((\S+) \(T0 (\d+)\) \(T1 (\d+)\).*\(TC (\d+)\)\)")

Signature = tuple[int, int, int]


@dataclass
class Scope:
    """An instance: its signals' times at 0 and 1 and toggles, and what is inside."""

    name: str
    nets: Counter[Signature] = field(default_factory=Counter)
    inside: list[Scope] = field(default_factory=list)


def read(lines: Iterable[str]) -> Scope:
    """The instances of a SAIF file as Verilator writes it; clocks are left out.

    Raises:
        InputError: it is no such file.
    """
    root = Scope("")
    stack = [root]
    nets = False
    for line in lines:
        text = line.strip()
        if text.startswith("(INSTANCE"):
            scope = Scope(text.split()[1])
            stack[-1].inside.append(scope)
            stack.append(scope)
        elif text == "(NET":
            nets = True
        elif text == ")" and nets:
            nets = False
        elif text == ")" and len(stack) > 1:
            stack.pop()
        elif nets:
            found = _NET.match(line)
            if found is not None and not CLOCKS.match(found[1]):
                stack[-1].nets[(int(found[2]), int(found[3]), int(found[4]))] += 1
    if not root.inside:
        raise InputError("activity must be a SAIF file of Verilator, got one without an instance")
    return root


def core(root: Scope) -> Scope:
    """The design itself, without what stands around it.

    Raises:
        InputError: it is not in the file.
    """
    for scope in _all(root):
        if scope.name == CORE:
            return scope
    raise InputError(f"activity must be of {CORE}, got a SAIF file without it: simulate again")


def toggles(scope: Scope, around: Counter[Signature] | None = None) -> int:
    """Toggles of all signals of an instance and of those inside.

    A signal that goes on under another name into an instance counts once: one that has the times
    and the toggles of a signal around its instance is taken for that.
    """
    own = scope.nets - (around or Counter())
    count = sum(each * number for (_, _, each), number in own.items())
    return count + sum(toggles(inner, scope.nets) for inner in scope.inside)


def blocks(design: Scope) -> dict[str, int]:
    """Toggles by block: kernels of segments and heads, parts of the controller, streams between."""
    found: dict[str, int] = {}
    streams = sum(each * number for (_, _, each), number in design.nets.items())
    for scope in design.inside:
        if not CHAIN.match(scope.name):
            found[_short(scope.name)] = toggles(scope, design.nets)
            continue
        alone = Scope(scope.name, scope.nets)
        streams += toggles(alone, design.nets)
        for inner in scope.inside:
            found[_short(inner.name)] = toggles(inner, scope.nets)
    return {**{name: count for name, count in found.items() if count}, "streams between": streams}


def energy(config: Config, run_dir: Path, *, progress: Progress = silent) -> dict[str, Any]:
    """Count toggles over `simulate.activity` test images; writes `run_dir`/activity and the report.

    The network without exits runs the same images where it was compiled.

    Raises:
        InputError: the design is missing or was changed by hand.
        CheckFailed: an image has no answer.
        ToolError: Verilator or g++ is missing or failed.
    """
    manifest = manifests.read(run_dir)
    wanted = config.simulate.activity
    test = load_images(run_dir, manifest, 0)[0].some(wanted)
    folder = run_dir / FOLDER
    folder.mkdir(exist_ok=True)
    twin = run_dir / BASELINE
    base = manifests.read(twin) if (twin / manifests.NAME).is_file() else None
    end = 50 if base else 100
    found = measured(manifest, test.images, folder / FILE, run_dir / CACHE,
                     progress=part(progress, 0, end))  # fmt: skip
    if base is not None:
        file = folder / "baseline.saif"
        plain = measured(base, test.images, file, run_dir / CACHE, progress=part(progress, 50, 100))
        found["baseline"] = {key: plain[key] for key in ("toggles", "nanojoules", "cycles")}
    store.update(run_dir, {"activity": found})
    told = f"{found['nanojoules']:,.1f} nJ per image by {len(test.labels)} images"
    progress(100, 100, f"{told}, an estimate from toggles")
    return found


def measured(
    manifest: Manifest, images: Images, file: Path, cache: Path, *, progress: Progress = silent
) -> dict[str, Any]:
    """Run images and count: toggles, nanojoules and cycles of an image, and the blocks' toggles."""
    progress(0, 2, f"compiling {manifest.data['name']} with toggles")
    library = verilator.build(manifest, options=verilator.Options(waves="saif"), cache=cache)
    progress(1, 2, f"{len(images)} images")
    (done,) = bulk.run(manifest, library, images, waves=file)
    count = len(done.trace.results)
    if count != len(images):
        raise CheckFailed(f"{len(images)} images must have an answer, got {count}: simulate first")
    with file.open(encoding="utf-8") as lines:
        found = blocks(core(read(lines)))
    total = sum(found.values()) / count
    return {
        "images": count,
        "toggles": total,
        "nanojoules": 1e9 * joules(total),
        "picojoules_per_toggle": 1e12 * joules(1),
        "cycles": float(done.trace.result_cycles[-1]) / count,
        "blocks": {name: value / count for name, value in _largest(found)},
    }


def _largest(found: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _short(name: str) -> str:
    return name.removeprefix("u_")


def _all(scope: Scope) -> Iterator[Scope]:
    yield scope
    for inner in scope.inside:
        yield from _all(inner)
