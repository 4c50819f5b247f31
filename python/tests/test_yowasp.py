"""Tools as WebAssembly: each compiles itself once, however many start at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exeunt import yowasp
from exeunt.errors import ToolError

# What the real ones do: compile into the cache unless something is there, and die of a half-written
# file as a mapped one dies.
TOOL = """#!{python}
import os, sys, time
from pathlib import Path
kept = Path(os.environ["YOWASP_CACHE_DIR"]) / "module"
if not kept.exists():
    kept.touch()
    with open({calls!r}, "a") as calls:
        calls.write("x")
    time.sleep(1)
    kept.write_text("whole")
elif kept.read_text() != "whole":
    sys.exit(135)
print("tool 1.0")
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    path = tmp_path / "yowasp-tool"
    path.write_text(TOOL.format(python=sys.executable, calls=str(tmp_path / "calls")))
    path.chmod(0o755)
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "cache"))
    return path


def start(tool: Path) -> subprocess.Popen:
    code = (
        "import sys, subprocess\nfrom pathlib import Path\nfrom exeunt import yowasp\n"
        "tool = Path(sys.argv[1])\nyowasp.prepare(tool)\n"
        "sys.exit(subprocess.run([str(tool)], stdout=subprocess.DEVNULL).returncode)\n"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(tool)])


def test_processes_that_start_at_once_compile_once(tool, tmp_path):
    assert [process.wait(60) for process in [start(tool) for _ in range(4)]] == [0] * 4
    assert (tmp_path / "calls").read_text() == "x"


def test_broken_cache_is_said(tool, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "module").write_text("hal")
    with pytest.raises(ToolError) as error:
        yowasp.prepare(tool)
    assert str(error.value) == (
        f"yowasp-tool must start, got exit code 135 and '': delete {tmp_path / 'cache'} and try "
        "again"
    )


def test_tool_that_cannot_start(tool):
    os.chmod(tool, 0o644)
    with pytest.raises(ToolError) as error:
        yowasp.prepare(tool)
    assert str(error.value) == (
        f"yowasp-tool must start, got Permission denied from {tool}: install it again"
    )


def test_other_tools_are_not_run(tmp_path):
    yowasp.prepare(tmp_path / "yosys")  # there is none


@pytest.mark.parametrize(
    ("home", "folder"),
    [({"YOWASP_CACHE_DIR": "a"}, "a"), ({"XDG_CACHE_HOME": "b"}, "b/YoWASP")],
)
def test_cache_is_where_the_tools_keep_it(monkeypatch, tmp_path, home, folder):
    monkeypatch.delenv("YOWASP_CACHE_DIR", raising=False)
    for name, value in home.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    assert yowasp.folder() == tmp_path / folder


def test_version_is_the_packages_or_what_the_tool_says(tool):
    yowasp.prepare(tool)
    assert yowasp.version(tool) == "tool 1.0"
    assert yowasp.version(tool, "pytest").partition(".")[0].isdigit()
    assert yowasp.version(tool.parent / "none") == "unknown"
