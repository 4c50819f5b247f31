"""The deploy package: same bytes each time, all that a board needs, nothing that it has not."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from exeunt import manifest
from exeunt.bench.network import load
from exeunt.config import tree
from exeunt.deploy import archive, contents, step
from exeunt.errors import InputError
from exeunt.reference import controller, network
from exeunt.report import document, store
from exeunt.runtime import golden

CONFIG = tree.parse(
    """
name = "small"
[data]
dataset = "digits"
[model]
source = "qonnx:none.onnx"
input = [8, 8, 1]
classes = 10
"""
)
BIT = b"\x00\x09bits"
LAZY = {"pynq", "serial", "onnxruntime"}  # imported where they are asked for, with a sentence


@pytest.fixture(scope="module")
def folder(compiled, tmp_path_factory):
    """A run folder with a bitstream for one board."""
    copy = tmp_path_factory.mktemp("deploy") / "run"
    shutil.copytree(compiled, copy)
    place = copy / "bitstream" / "zcu104"
    place.mkdir(parents=True)
    (place / "exeunt.bit").write_bytes(BIT)
    (place / "exeunt.hwh").write_text("<xml/>")
    entry = {
        "board": "zcu104",
        "bitstream": "bitstream/zcu104/exeunt.bit",
        "clock_mhz": 123.0,
        "design_hash": manifest.read(copy).data["design_hash"],
    }
    store.update(copy, {"synthesis": [entry]})
    return copy


@pytest.fixture(scope="module")
def packed(folder):
    step.deploy(CONFIG, folder, board="zcu104")
    return folder / "deploy" / "small-zcu104.zip"


@pytest.fixture(scope="module")
def unpacked(packed, tmp_path_factory):
    out = tmp_path_factory.mktemp("board")
    with zipfile.ZipFile(packed) as found:
        found.extractall(out)
    return out / "small-zcu104"


def test_same_bytes_each_time(folder, packed, tmp_path):
    first = packed.read_bytes()
    step.deploy(CONFIG, folder, board="zcu104", archive_path=str(tmp_path / "b" / "other.zip"))
    with zipfile.ZipFile(tmp_path / "b" / "other.zip") as other, zipfile.ZipFile(packed) as found:
        assert {i.date_time for i in found.infolist()} == {archive.EPOCH}
        names = [i.filename for i in found.infolist()]
        assert names == sorted(names)
        assert [other.read(i) for i in other.infolist()] == [
            found.read(i) for i in found.infolist()
        ]
    step.deploy(CONFIG, folder, board="zcu104")
    assert packed.read_bytes() == first


def test_what_is_in_it(folder, unpacked):
    for name in ("README.md", "bench.py", "exeunt.ipynb", "pyproject.toml", "_build.py"):
        text = (unpacked / name).read_text()
        assert "{{" not in text, name
    inside = unpacked / "network"
    assert (inside / "exeunt.bit").read_bytes() == BIT
    assert (inside / "exeunt.hwh").read_text() == "<xml/>"
    assert (inside / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    facts = json.loads((inside / "board.json").read_text())
    assert (facts["name"], facts["bitstream"], facts["clock_mhz"]) == ("zcu104", "exeunt.bit", 123)
    assert facts["sensors"]["total"] == "12V"
    assert facts["without_onnxruntime"] == "there is no model.onnx"
    readme = (unpacked / "README.md").read_text()
    assert "# small on AMD ZCU104" in readme
    assert "Energy is read from the rails 12V, INT, 1V8, 1V2. The clock" in readme


def test_driver_has_all_that_it_imports():
    """What its modules import when they are loaded went with them."""
    driver = contents.driver()
    names = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in driver
    }
    for path, data in driver.items():
        for node in ast.parse(data).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("exeunt"):
                module = node.module.partition(".")[2]
                wanted = [module] if module else [alias.name for alias in node.names]
                wanted = [w for w in wanted if w != "__version__"]
                assert names >= set(wanted), f"{path} imports {module}"


def test_golden_vectors_are_the_reference(folder, unpacked):
    vectors = golden.read(unpacked / "network" / "golden.npz")
    graph = manifest.read(folder).accelerator()
    logits = network.run(graph, vectors.images).logits
    want = controller.decide(logits, [int(t) for t in vectors.thresholds])
    np.testing.assert_array_equal(vectors.classes, want.classes)
    np.testing.assert_array_equal(vectors.exits, want.exits)
    assert len(vectors.images) == 60
    assert set(vectors.exits.tolist()) == {0, 1, 2}


def test_golden_images_are_of_every_exit(folder):
    found = load(folder)
    logits = network.run(found.accelerator, found.images).logits
    left = controller.decide(logits, found.thresholds).exits
    few = contents.of_every_exit(found, 6)
    assert np.bincount(left[few], minlength=3).tolist() == [2, 2, 2]
    assert few.tolist() == sorted(set(few.tolist()))
    assert contents.of_every_exit(found, 99).tolist() == list(range(60))


def test_report_says_what_was_packed(folder, packed):
    (entry,) = (e for e in store.read(folder)["deploy"] if e["board"] == "zcu104")
    assert entry["bytes"] == packed.stat().st_size
    assert entry["bitstream"] == "exeunt.bit"
    assert entry["archive"] == "deploy/small-zcu104.zip"
    assert (entry["images"], entry["onnxruntime"]) == (60, False)
    page = document.write(folder).read_text()
    assert '<h2 id="deploy">Deploy packages</h2>' in page
    assert entry["sha256"] in page


def test_without_a_bitstream_it_goes_on_and_says_so(folder):
    seen = []
    step.deploy(
        CONFIG, folder, board="pynq-z2", images=7, progress=lambda *told: seen.append(told[-1])
    )
    assert re.fullmatch(r"small-pynq-z2\.zip, \d\.\d MB, without a bitstream", seen[-1])
    with zipfile.ZipFile(folder / "deploy" / "small-pynq-z2.zip") as found:
        readme = found.read("small-pynq-z2/README.md").decode()
        facts = json.loads(found.read("small-pynq-z2/network/board.json"))
        assert not [n for n in found.namelist() if n.endswith((".bit", ".hwh"))]
    assert "There is no bitstream in it: `exeunt bitstream --board pynq-z2` makes one" in readme
    assert "This board has no power sensors: give `--watts`" in readme
    assert facts["bitstream"] is None


def test_board_behind_a_serial_port(folder):
    step.deploy(CONFIG, folder, board="ulx3s-85f", images=3)
    with zipfile.ZipFile(folder / "deploy" / "small-ulx3s-85f.zip") as found:
        readme = found.read("small-ulx3s-85f/README.md").decode()
    assert "\npython3 bench.py --selftest --port /dev/ttyUSB0\n" in readme
    assert "openFPGALoader" in readme


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"board": "zcu105"}, r"got 'zcu105': did you mean 'zcu104'\?"),
        (
            {"board": "zcu104", "archive_path": "/dev/null/a.zip"},
            r"archive /dev/null/a\.zip must be writable, got .*: choose another --archive or --out",
        ),
        ({"board": "zcu104", "images": 61}, r"images must be 0 \(all\) to 60, .* got 61: ask for"),
    ],
)
def test_what_cannot_be_asked_for(folder, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        step.deploy(CONFIG, folder, **arguments)


def test_run_folder_that_was_not_compiled(tmp_path):
    with pytest.raises(InputError, match=r"must hold a manifest\.json and has none; run `exeunt"):
        step.deploy(CONFIG, tmp_path, board="pynq-z2")


def test_bitstream_of_another_compile_is_refused(folder, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    data = store.read(copy)
    data["synthesis"][0]["design_hash"] ^= 1
    (copy / "report.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"exeunt\.bit must be of this compile, got one of design"):
        step.deploy(CONFIG, copy, board="zcu104")


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_driver_is_python_310_and_needs_numpy_alone():
    files = contents.driver()
    assert {"runtime/pynq.py", "reference/modelled.py", "bench/board.py", "errors.py"} <= set(files)
    for name, text in files.items():
        tree = ast.parse(text, name, feature_version=(3, 10))
        strangers = imports(tree) - set(sys.stdlib_module_names) - {"exeunt", "numpy"} - LAZY
        assert not strangers, f"{name} imports {strangers}"
        assert "tomllib" not in imports(tree), name
    for name in ("bench.py.in", "_build.py.in"):
        ast.parse(contents.template(name, {}), name, feature_version=(3, 10))


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("exeunt", "numpy"):
            raise ImportError("not on this board: " + name)
        if name.startswith("exeunt.") and path and not path[0].startswith({root!r}):
            raise ImportError("not of the package: " + name)
sys.meta_path.insert(0, Block())
sys.path.insert(0, {root!r})
sys.argv = ["bench.py", "--device", "modelled", "--selftest"]
import runpy
runpy.run_path({root!r} + "/bench.py", run_name="__main__")
"""


def test_selftest_runs_where_there_is_numpy_alone(unpacked):
    code = BLOCKED.format(root=str(unpacked))
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=unpacked.parent
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "self-test: 60 images, every answer as expected\n"


def old_python() -> tuple[str, str]:
    """Python 3.10 with the NumPy of a PYNQ image where it is here, else the nearest to it."""
    places = [shutil.which("python3.10")]
    versions = Path.home() / ".pyenv" / "versions"
    places += [str(p) for p in sorted(versions.glob("3.10.*/bin/python3.10"))]
    for place in places:
        if place and subprocess.run([place, "--version"], capture_output=True).returncode == 0:
            return place, "1.21.5"
    return sys.executable, "1.26.4"


@pytest.mark.slow
def test_board_environment(unpacked, tmp_path):
    """Install with pip in an environment like that of a PYNQ image, and measure there."""
    python, version = old_python()
    here = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", str(here)], check=True, capture_output=True)
    run = [
        str(here / "bin" / "python"),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-q",
        "install",
    ]
    got = subprocess.run([*run, f"numpy=={version}"], capture_output=True, text=True)
    if got.returncode:
        pytest.skip(f"NumPy {version} cannot be had for {python}: {got.stderr.strip()[-200:]}")
    environment = {**os.environ, "PATH": "/nonexistent", "PIP_NO_INDEX": "1", "CC": "/bin/false"}
    done = subprocess.run(
        [*run, "--no-deps", "."], cwd=unpacked, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = (
        "import exeunt, numpy, pathlib, sys\n"
        "from exeunt.bench.board import main\n"
        f"assert exeunt.__file__.startswith({str(here)!r}), exeunt.__file__\n"
        "print(sys.version_info[:2], numpy.__version__)\n"
        f"folder = pathlib.Path({str(unpacked / 'network')!r})\n"
        "assert main(['--device', 'modelled', '--selftest'], folder=folder) == 0\n"
        "sys.exit(main(['--device', 'modelled', '--images', '20'], folder=folder))\n"
    )
    done = subprocess.run([run[0], "-c", code], cwd=elsewhere, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].endswith(version)
    assert said[1] == "self-test: 60 images, every answer as expected"
    data = json.loads((elsewhere / "bench.json").read_text())
    assert (data["images"], data["mismatches"], data["unit"]) == (20, 0, "cycles")
    assert f"NumPy {version}" in data["machine"]
