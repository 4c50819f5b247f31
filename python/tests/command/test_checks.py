"""What a later step would refuse is refused before the first one."""

from __future__ import annotations

import re

import pytest

from exeunt.command import checks, run
from exeunt.config import tree
from exeunt.errors import InputError, ToolError

TEXT = """
name = "own"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 4 }]
"""


def config(text: str) -> tree.Config:
    return tree.parse(TEXT + text)


@pytest.fixture
def nothing(monkeypatch):
    """No step may be begun."""

    def called(step, context):
        raise AssertionError(step.name)

    monkeypatch.setattr(run.Step, "__call__", called)


def refused(text: str, sentence: str, tmp_path, kind=InputError) -> None:
    context = run.Context(config(text), tmp_path / "run", tmp_path)
    with pytest.raises(kind, match=f"^{re.escape(sentence)}"):
        run.run_all(context)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (None, "no such file or directory"),
        ("{", "something that is no JSON"),
        ("[1]", "something else"),
    ],
)
def test_folding_file(nothing, tmp_path, content, got):
    path = tmp_path / "fold.json"
    if content is not None:
        path.write_text(content)
    refused(
        f"[compile]\nfolding = '{path}'\n",
        f"compile.folding must name a JSON file of FINN nodes and their attributes, got {path} "
        f"({got}): start from report/auto_folding_config.json of a run",
        tmp_path,
    )


def test_board(nothing, tmp_path):
    refused("[bitstream]\nboard = 'pynq'\n", "board must be one of ", tmp_path)


def test_cache(nothing, tmp_path, monkeypatch):
    monkeypatch.setenv("EXEUNT_CACHE", "/proc/x")
    sentence = "EXEUNT_CACHE must be a folder that can be written, got /proc/x (no such file or"
    refused("", sentence, tmp_path)
    checks.before(["train"], config(""))


def test_tools_of_amd(nothing, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = 'compile.kernels = "vitis" must find vivado on the PATH'
    refused("[compile]\nkernels = 'vitis'\n", sentence, tmp_path, ToolError)


def test_what_a_step_does_not_need_is_not_asked_of_it(tmp_path):
    checks.before(["train", "simulate"], config("[compile]\nfolding = 'none.json'\n"))
