"""The driver needs NumPy alone and speaks Python 3.10, as a PYNQ image does."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import exeunt

ROOT = Path(exeunt.__file__).parent
FOLDERS = ("runtime", "criteria", "rules")
FILES = ("__init__.py", "errors.py", "hold.py", "promise.py", "registers.py")
TRY = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in {"numpy", "exeunt", "null", *sys.stdlib_module_names} - {"tomllib"}:
            return None
        raise ModuleNotFoundError(f"no {name} on a board")

sys.meta_path.insert(0, Refuse())
import numpy as np
import exeunt
assert exeunt.__path__ == [sys.argv[1] + "/exeunt"], exeunt.__path__
from exeunt.runtime import Accelerator, golden
import exeunt.runtime.pynq
sys.path.insert(0, sys.argv[2])
import null
data = null.manifest((8, 8, 1))
images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
with Accelerator(data, null.Null(data)) as device:
    device.thresholds = [3, None, None]
    found = device.classify(images)
    assert (found.classes == images[:, 0, 0, 0] % 10).all()
    assert [a.class_ for a in device.stream(images)] == found.classes.tolist()
loaded = [m.__file__ for n, m in sys.modules.items() if n.startswith("exeunt.")]
assert all(f.startswith(sys.argv[1]) for f in loaded), loaded
print(len(found), sorted(m for m in sys.modules if m.startswith("exeunt.")))
"""


def test_numpy_alone(tmp_path):
    copy = tmp_path / "exeunt"
    copy.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    tests = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{TRY}",
         str(tmp_path), str(tests)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("50 ")
    assert "exeunt.simulate" not in done.stdout
    assert "exeunt.graph" not in done.stdout


def test_python_3_10():
    parts = [path for name in FOLDERS for path in (ROOT / name).glob("*.py")]
    for path in [*parts, *(ROOT / name for name in FILES)]:
        ast.parse(path.read_text(), feature_version=(3, 10))
