"""Who imports whom: one table of the arrows that are allowed, read off the imports with `ast`.

An import inside a function or under TYPE_CHECKING counts, and so does a module that is named in a
string to be imported later. Nothing imports upwards: the table has no circle, and the files have
none either. To add a room, give it a line in ROOMS, and its name to those that use it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"exeunt": "python/exeunt", "exeunt.quant": "quant", "exeunt.hls": "hls"}
FOLDERS["exeunt.boards"] = "boards"
FOLDERS["exeunt.zoo"] = "zoo"

BASE = "errors progress files window"
GRAPH = f"{BASE} graph registers kernels criteria rules hold"
RESULT = f"{GRAPH} packing promise manifest archive splits"  # what a step reads and writes
STEP = f"{RESULT} config report.store"

ROOMS: Mapping[str, str] = {
    # room: the rooms that it may import, all of them below it
    "errors": "",
    "progress": "",
    "window": "",
    "files": "errors",
    "archive": BASE,
    "scheduler": BASE,
    "tool": BASE,
    "yowasp": BASE,
    "splits": BASE,
    "criteria": BASE,
    "registers": f"{BASE} criteria",
    "hold": f"{BASE} criteria",
    "graph": f"{BASE} criteria rules",
    "kernels": f"{BASE} graph",
    "zoo": "",  # files alone
    "config": f"{BASE} criteria rules zoo",
    "packing": GRAPH,
    "promise": "registers",
    "manifest": GRAPH,
    "report.store": BASE,
    "cost": f"{GRAPH} config",
    "optimise": f"{GRAPH} cost config",
    "qonnx": GRAPH,  # what a file means, for training and compiler alike
    "rules": "errors",  # NumPy alone
    "runtime": "errors progress registers promise rules hold",  # the host driver: NumPy alone
    "reference": f"{RESULT} runtime",
    "explain": f"{RESULT} runtime reference",  # NumPy alone
    "samples": f"{RESULT} reference",
    "simulate": f"{STEP} cost runtime reference synth explain scheduler",
    "synth": f"{STEP} cost reference tool yowasp",
    "report": f"{GRAPH} promise splits report.store",
    # the training side: it never sees the compiler
    "quant": "",
    "quant.exits": f"{BASE} criteria registers promise quant",
    "quant.asked": f"{BASE} config criteria splits quant.exits",
    "quant.data": f"{BASE} config splits quant",
    "quant.network": f"{BASE} config qonnx quant quant.data",
    "quant.modified": f"{BASE} config rules quant",
    "quant.train": f"{STEP} quant.exits quant.data quant.network quant.modified",
    "quant.needs": f"{BASE} config quant scheduler",
    "quant.attribution": f"{BASE} config quant.exits quant.data quant.network quant.train",
    "quant.compress": f"{STEP} cost quant.exits quant.data quant.network quant.train "
    "quant.attribution quant.asked quant.needs scheduler",
    "quant.rules": f"{STEP} qonnx quant.exits quant.data quant.network quant.modified quant.train "
    "quant.attribution quant.compress",
    "quant.calibrate": f"{STEP} qonnx quant.exits quant.data quant.network quant.train "
    "quant.compress quant.rules quant.asked",
    "quant.compare": f"{STEP} criteria promise qonnx quant.exits quant.network quant.train "
    "quant.compress quant.asked quant.needs scheduler",
    "quant.resplits": f"{BASE} criteria qonnx promise splits quant.exits",
    "quant.heads": f"{BASE} config qonnx",
    "quant.attach": f"{STEP} qonnx quant.exits quant.data quant.network quant.train quant.compress "
    "quant.heads quant.asked",
    "quant.export": f"{STEP} qonnx quant.data quant.network quant.train quant.compress",
    "quant.explain": f"{STEP} quant.exits report quant.data quant.network quant.train "
    "quant.attribution quant.compress quant.calibrate",
    "quant.rules.against": f"{STEP} cost quant.data quant.network quant.train quant.compress "
    "quant.compare quant.rules",
    "quant.rules.apply": f"{STEP} report quant.network quant.compress quant.explain quant.rules",
    # the compiler: it never sees the training
    "hls": "",
    "hls.back.kernels": f"{GRAPH} hls",
    "hls.front": f"{RESULT} config qonnx hls hls.back.kernels",
    "hls.back": f"{RESULT} config cost reference explain hls hls.front hls.back.kernels",
    "hls.explained": f"{RESULT} config explain hls",
    "hls.compressed": f"{GRAPH} hls hls.front hls.back",
    "hls.folded": f"{GRAPH} reference hls hls.front hls.back hls.compressed",
    "hls.baseline": f"{GRAPH} cost hls hls.front hls.back hls.folded hls.compressed",
    # boards, and what is measured and shown
    "boards": f"{STEP} cost synth tool yowasp",
    "hls.bursts": f"{GRAPH} config cost optimise reference",
    "hls.designs": f"{GRAPH} optimise hls hls.bursts hls.folded",
    "hls.chosen": f"{GRAPH} config optimise hls hls.back hls.beside hls.bursts hls.designs",
    "hls.beside": f"{RESULT} config cost explain reference hls hls.back hls.explained",
    "hls.weighted": f"{GRAPH} qonnx hls",
    "hls.optimised": f"{RESULT} config cost optimise reference qonnx hls hls.front hls.back "
    "hls.folded hls.weighted hls.beside hls.bursts hls.designs hls.chosen boards",
    "hls.compile": f"{STEP} cost qonnx reference hls.beside hls.explained hls.front hls.back "
    "hls.folded "
    "hls.baseline hls.bursts hls.chosen hls.optimised hls.compressed",
    "search": f"{STEP} kernels criteria cost optimise report report.store simulate synth "
    "reference qonnx quant.train quant.calibrate quant.compress quant.export quant.network "
    "quant.needs scheduler "
    "hls.beside hls.bursts hls.designs hls.optimised hls.compile",
    "bench": f"{STEP} qonnx runtime reference simulate boards",
    "simulate.heatmaps": f"{STEP} runtime reference explain simulate report",
    "deploy": f"{STEP} runtime reference boards bench",
    "command": f"{STEP} zoo cost qonnx runtime reference simulate simulate.heatmaps samples "
    "quant.exits synth report boards bench deploy quant.data quant.network quant.train "
    "quant.attribution quant.compress "
    "search scheduler "
    "quant.attach quant.calibrate quant.compare quant.export quant.explain quant.rules "
    "quant.rules.apply quant.rules.against hls hls.front hls.back hls.folded hls.baseline "
    "hls.optimised hls.compile",
}

PACKAGES: Mapping[str, str] = {
    # room: packages beside the standard library that it may import; "" is NumPy alone
    "config": "pydantic",
    "runtime": "pynq serial",  # each where a transport is opened
    "report": "jinja2 matplotlib PIL",
    "simulate.heatmaps": "PIL",
    "bench": "onnx onnxruntime pynq",
    "boards": "jinja2 pydantic",
    "command": "click rich onnx",
    "quant.exits": "torch scipy",
    "quant.data": "PIL pooch sklearn torch",
    "qonnx": "onnx google",
    "quant.network": "torch brevitas onnx",
    "quant.modified": "torch",
    "quant.train": "torch",
    "quant.needs": "torch",
    "quant.attribution": "torch captum quantus scipy",
    "quant.compress": "torch scipy",
    "quant.rules": "torch sklearn scipy",
    "quant.rules.against": "torch",
    "quant.rules.apply": "PIL",
    "quant.calibrate": "torch",
    "quant.attach": "torch",
    "quant.heads": "torch",
    "quant.compare": "torch",
    "quant.export": "torch",
    "quant.explain": "torch PIL jinja2",
    "optimise": "scipy",
    "search": "optuna",
    "scheduler": "dask distributed",
    "hls.front": "finn qonnx onnx onnxruntime",
    "hls.back": "finn qonnx jinja2",
}

PAGE = "exeunt.report.page"
SECTIONS = "exeunt.report.document"  # the one place that lists the sections

NAMED = re.compile(r"(exeunt(?:\.\w+)+)\.?(?::\w+)?$")


class Arrow(NamedTuple):
    """An import: module `source` at `line` of its file imports `target`."""

    source: str
    target: str
    line: int
    named: bool  # in a string


def modules(root: Path) -> dict[str, Path]:
    """Module -> file of everything in the four folders that the packages are made of."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((package, *parts))] = path
    return found


def imported(path: Path, module: str) -> Iterator[tuple[str, int, bool]]:
    """What a file imports, with the line, and whether it is named in a string."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno, False) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) + 1 - node.level]
                base = ".".join([*above, base]) if base else ".".join(above)
            yield from ((f"{base}.{name.name}", node.lineno, False) for name in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            match = NAMED.match(node.value)
            if match:
                yield match.group(1), node.lineno, True


def arrows(root: Path) -> list[Arrow]:
    """Every import from one of our modules to another."""
    known = modules(root)
    found = []
    for module, path in known.items():
        for name, line, named in imported(path, module):
            target = name
            while target and target not in known:
                target = target.rpartition(".")[0]
            if target and target != module:
                found.append(Arrow(module, target, line, named))
    return found


def room(module: str) -> str:
    """The room of a module; its own name below `exeunt` where the table has none."""
    name = module.partition(".")[2]
    while name and name not in ROOMS:
        shorter = name.rpartition(".")[0]
        if not shorter:
            break
        name = shorter
    return name


def forbidden(found: list[Arrow]) -> list[str]:
    """A sentence for each arrow that the table does not have."""
    wrong = []
    for arrow in found:
        source, target = room(arrow.source), room(arrow.target)
        if target in ("", source) or target in ROOMS.get(source, "").split():
            continue
        wrong.append(
            f"{arrow.source}, line {arrow.line}: {source or 'exeunt'} may import "
            f"{ROOMS.get(source) or 'nothing'}, not {target} ({arrow.target})"
        )
    return wrong


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Names that lead back to the first one, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def by_file(found: list[Arrow]) -> dict[str, set[str]]:
    """What each file imports; a registry's strings are not imports between files."""
    graph: dict[str, set[str]] = {}
    for arrow in found:
        if not arrow.named and arrow.target != "exeunt":
            graph.setdefault(arrow.source, set()).add(arrow.target)
    return graph


@pytest.fixture(scope="module")
def found() -> list[Arrow]:
    return arrows(ROOT)


def test_every_module_is_in_a_room():
    strangers = {room(m) for m in modules(ROOT)} - set(ROOMS) - {""}
    assert not strangers, f"no line in ROOMS for {', '.join(sorted(strangers))}"


def test_the_table_has_no_arrow_upwards():
    names = {name for allowed in ROOMS.values() for name in allowed.split()}
    assert names <= set(ROOMS), f"no line in ROOMS for {sorted(names - set(ROOMS))}"
    assert circle({name: set(allowed.split()) for name, allowed in ROOMS.items()}) == []
    training = [name for name in ROOMS if name.startswith("quant")]
    compiler = [name for name in ROOMS if name.startswith("hls")]
    for name, other in (*((n, "hls") for n in training), *((n, "quant") for n in compiler)):
        assert not [r for r in ROOMS[name].split() if r.split(".")[0] == other], name
    below = {"errors", "progress", "registers", "promise", "rules", "hold"}
    assert set(ROOMS["runtime"].split()) == below


def test_imports_are_those_of_the_table(found):
    assert len(found) > 500
    assert forbidden(found) == []


def test_files_have_no_circle(found):
    assert circle(by_file(found)) == []


def test_sections_know_the_page_and_the_page_no_section(found):
    """A section is listed in document.py and nowhere else; no section knows another one."""
    inside = by_file([a for a in found if room(a.source) == room(a.target) == "report"])
    assert inside[SECTIONS]
    sections = {t for t in inside[SECTIONS] if PAGE in inside.get(t, ())}
    assert len(sections) > 3
    for source, targets in inside.items():
        if source != SECTIONS:
            assert not targets & sections, f"{source} imports {sorted(targets & sections)}"
    assert PAGE not in inside, f"the page imports {sorted(inside.get(PAGE, ()))}"


def test_packages_stay_in_their_rooms():
    wrong = []
    for module, path in modules(ROOT).items():
        here = room(module)
        allowed = {"exeunt", "numpy", *PACKAGES.get(here, "").split(), *sys.stdlib_module_names}
        for name, line, named in imported(path, module):
            if not named and name.partition(".")[0] not in allowed:
                wrong.append(f"{module}, line {line}: {here} may not import {name}")
    assert wrong == []


# ---------------------------------------------------------------------- the reader itself


def tree(root: Path, files: Mapping[str, str]) -> list[Arrow]:
    for name, text in files.items():
        path = root / "python" / "exeunt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return arrows(root)


@pytest.mark.parametrize(
    "text",
    [
        "from exeunt.reference import network",
        "import exeunt.reference.network",
        "def f():\n    from exeunt.reference import network",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from exeunt import reference",
        "from ..reference.network import run",
        "from .. import reference",
        'import importlib\nimportlib.import_module(f"exeunt.reference.{1}")',
        'PLACE = "exeunt.reference.network:run"',
    ],
)
def test_an_arrow_upwards_is_seen(tmp_path, text):
    files = {"reference/__init__.py": "", "reference/network.py": "", "runtime/driver.py": text}
    (wrong,) = forbidden(tree(tmp_path, files))
    assert wrong.startswith("exeunt.runtime.driver, line ")
    assert (
        ": runtime may import errors progress registers promise rules hold, not reference (exeunt"
        in wrong
    )


def test_a_circle_is_seen(tmp_path):
    files = {
        "runtime/a.py": "def f():\n    from exeunt.runtime import b",
        "runtime/b.py": "from exeunt.runtime.c import x",
        "runtime/c.py": "import exeunt.runtime.a",
        "runtime/__init__.py": "",
    }
    found = tree(tmp_path, files)
    assert forbidden(found) == []
    assert set(circle(by_file(found))) == {f"exeunt.runtime.{n}" for n in "abc"}
