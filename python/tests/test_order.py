"""The order in which workers of `make test` get the files, and what is kept for the next run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SLOW = "import time\n\ndef test_a(): time.sleep({})\n\ndef test_b(): pass\n"


def run(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-v", "-p", "xdist", *options]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # for speed
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_long_files_first(tmp_path):
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = sim: x\n")
    for name, seconds in (("a", 0.0), ("b", 0.4), ("c", 0.1)):
        (tmp_path / f"test_{name}.py").write_text(SLOW.format(seconds))
    sim = "import pytest\n\n@pytest.mark.sim\ndef test_s(): pass\n"
    (tmp_path / "test_s.py").write_text(sim)
    (options,) = re.findall(r"^SHARED := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    options = options.replace("$(WORKERS)", "1").split()

    def order(said: str) -> list[str]:
        return list(dict.fromkeys(re.findall(r"PASSED (test_\w)\.py", said)))

    assert order(run(tmp_path, *options)) == ["test_s", "test_a", "test_b", "test_c"]  # guessed
    said = run(tmp_path, *options)  # as they took the first time
    assert order(said)[:2] == ["test_b", "test_c"]
    assert "workers ended" not in said  # there was one
    plain = re.findall(r"(test_\w)\.py::\w+ PASSED", run(tmp_path))
    assert list(dict.fromkeys(plain)) == ["test_a", "test_b", "test_c", "test_s"]
    said = run(tmp_path, "-n", "2", *options[2:])
    assert re.search(r"^workers ended after: gw0 \d+ s, gw1 \d+ s$", said, re.MULTILINE)
