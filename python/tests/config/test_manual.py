"""`exeunt config`: a config file that explains itself."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from pydantic import BaseModel

from exeunt.config import tree
from exeunt.config.manual import manual, meanings, models

SMALLER = """
name = "smaller"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 8, kernel = 3, stride = 2, padding = 1 }, { pool = "average" }]
[[model.stages]]
blocks = [{ conv = 16, kernel = 3, padding = 1, weight_bits = 2 }]
head = [{ pool = "max", size = "global" }, { linear = 12 }]
[train]
exit_weights = [0.5, 1.0]
[compress]
images = 9
passes = [{ kind = "filters", budget = 0.5 }, { kind = "sharing", criterion = "uniform" }]
compare = { seeds = [3], settings = { lrp = { reference = "mean" } } }
[compile]
folding = "fold.json"
"""
THEIRS = """
name = "theirs"
[data]
dataset = "pets.zip"
format = "zip"
[model]
source = "qonnx:net.onnx"
input = [8, 8, 1]
classes = 2
"""
CONFIGS = {name: tree.load(name) for name in tree.shipped()}
CONFIGS |= {"smaller": tree.parse(SMALLER), "theirs": tree.parse(THEIRS)}


def tables(root: type[BaseModel]) -> set[type[BaseModel]]:
    below = [m for field in root.model_fields.values() for m in models(field.annotation)]
    return {root}.union(*(tables(m) for m in below))


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_it_is_the_same_config(name):
    assert tree.parse(manual(CONFIGS[name])) == CONFIGS[name]


@pytest.mark.parametrize("table", sorted(tables(tree.Config), key=lambda t: t.__name__))
def test_every_key_of_every_table_has_a_meaning(table):
    assert set(meanings(table)) == set(table.model_fields)
    for key, text in meanings(table).items():
        assert len(text) > 5, key
        assert not text.endswith("."), key


def test_every_key_is_there_with_what_it_may_be_and_its_default():
    text = manual(tree.load("digits"))
    told = " ".join(line.lstrip("# ") for line in text.splitlines())
    for table in tables(tree.Config) - {tree.Config}:
        for key, field in table.model_fields.items():
            if not any(models(field.annotation)):
                assert re.search(rf"\b{key}: .{{0,400}}?(default: |must be given)", told), key
    for sentence in (
        "passes over the training images (integer from 1 to 1,000,000; default: 30)",
        'format: how it is stored; unset: as it looks ("digits" or "idx" or "cifar"',
        "seed: of weights and batches (integer from 0 below 2^63; default: 0)",
        'families of devices (list of: "xc7" or "xcup" or "ecp5"; default: ["xc7"',
    ):
        assert sentence in told
    assert "\n# [compress]\n" in text
    assert max(map(len, text.splitlines())) <= 100


def test_what_is_unset_can_be_taken_out_of_its_comment():
    text = manual(tree.load("digits")).replace('# format = "digits"', 'format = "digits"')
    assert tree.parse(text).data.format == "digits"


def test_command_is_light():
    code = (
        "import sys\nfrom exeunt.command import cli\ntry:\n    cli.main(['config', 'mnist'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'rich', 'jinja2', 'matplotlib', 'finn', 'qonnx', 'onnx'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree.parse(done.stdout) == tree.load("mnist")
