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
    refused("[compile]\nboard = 'pynq'\n", "board must be one of ", tmp_path)


def test_files_of_the_network(nothing, tmp_path):
    context = run.Context(config(""), tmp_path / "run", tmp_path)
    files = {"source": "python:net.py:Net", "files": ("weights.pt",), "stages": ()}
    model = context.config.model.model_copy(update=files)
    found = context.config.model_copy(update={"model": model})
    sentence = "model.files must name files that the network opens, got no file weights.pt: correct"
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}"):
        checks.before(["train"], found)
    checks.before(["simulate"], found)


def test_cache(nothing, tmp_path, monkeypatch):
    monkeypatch.setenv("EXEUNT_CACHE", "/proc/x")
    sentence = "EXEUNT_CACHE must be a folder that can be written, got /proc/x (no such file or"
    refused("", sentence, tmp_path)
    checks.before(["train"], config(""))


def test_tools_of_amd(nothing, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = 'compile.kernels = "vitis" must find vivado on the PATH'
    refused("[compile]\nkernels = 'vitis'\n", sentence, tmp_path, ToolError)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "{ kind = 'filters', budget = 0.001, multiple = 1, floor = 0.5 }",
            "budget of a filters pass must leave every layer its floor of filters, got 2 ",
        ),
        (
            "{ kind = 'weights', sparsity = 0.999 }",
            "sparsity of a weights pass must leave every row one block, got 1 of 1,476 weights",
        ),
        (
            "{ kind = 'weights', group = 3 }",
            "group of a weights pass must divide the 4 outputs of segments.0.0, got 3: choose a ",
        ),
        (
            "{ kind = 'blocks', block = 10 }",
            "block of a blocks pass must fit the 9 inputs of segments.0.0, got 10: lower it",
        ),
        (
            "{ kind = 'sharing', centroids = 37, centroid_bits = 8 }",
            "a codebook must not be larger than its layer, got 37 centroids for the 36 weights of ",
        ),
        (
            "{ kind = 'precision', weight_budget = 0.4 }",
            "weight_budget of a precision pass must be reachable, got 2,362 weight bits where the "
            "narrowest widths have 2,952: raise it or allow narrower widths",
        ),
        (
            "{ kind = 'precision', weight_budget = 0.9, lut_budget = 0.01 }",
            "lut_budget of a precision pass must be reachable, got 0.01 where the narrowest widths "
            "leave 0.",
        ),
    ],
)
def test_passes_that_the_layers_do_not_allow(monkeypatch, tmp_path, text, sentence):
    """They are seen before the training, though the pass would be the one to refuse."""
    begun = []
    monkeypatch.setattr(run.Step, "__call__", lambda step, context: begun.append(step.name))
    passes = f"[compress]\npasses = [{text}]\n"
    context = run.Context(config(passes), tmp_path / "run", tmp_path)
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}"):
        run.run_all(context)
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}"):
        run.run_step("train", context)
    assert begun == []


def test_passes_that_the_layers_allow():
    passes = (
        "{ kind = 'weights' }",
        "{ kind = 'blocks', block = 2 }",
        "{ kind = 'precision', criterion = 'uniform', weight_budget = 0.01 }",
        "{ kind = 'precision' }",
        "{ kind = 'filters', multiple = 1 }",
        "{ kind = 'weights', group = 99 }",  # the layers are others behind the filters
        "{ kind = 'sharing' }",
    )
    checks.before_training(config(f"[compress]\npasses = [{', '.join(passes)}]"))


def test_what_a_step_does_not_need_is_not_asked_of_it(tmp_path):
    checks.before(["train", "simulate"], config("[compile]\nfolding = 'none.json'\n"))
