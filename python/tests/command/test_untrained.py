"""A network that a later step would refuse is refused before it is trained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exeunt.command import run
from exeunt.command.untrained import check
from exeunt.config import tree
from exeunt.errors import InputError

CLASS = """
import torch
from torch import nn
import brevitas.nn as q


class Net(nn.Module):
    def __init__(self):
        super().__init__()

        def block(i, o, behind):
            conv = q.QuantConv2d(i, o, 3, padding=1, bias=False, weight_bit_width=4)
            return nn.Sequential(conv, nn.BatchNorm2d(o), behind, q.QuantReLU(bit_width=4))

        def head():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                 q.QuantLinear(4, 10, bias=False, weight_bit_width=4))

        self.a, self.b, self.c = (block(i, 4, BEHIND) for i in (1, 4, 4))
        self.heads = nn.ModuleList([head(), head(), head()])

    def forward(self, x):
        a = self.a(x)
        b = self.b(a)
        c = self.c(b)
        return OUTPUTS
"""
GOOD = {
    "BEHIND": "nn.ReLU6()",
    "OUTPUTS": "self.heads[0](a), self.heads[1](b), self.heads[2](c)",
}


def config(folder: Path, **changes: str) -> tree.Config:
    text = CLASS
    for key, value in {**GOOD, **changes}.items():
        text = text.replace(key, value)
    (folder / "net.py").write_text(text)
    return tree.parse(
        'name = "n"\n[data]\ndataset = "digits"\n[model]\n'
        f'source = "python:{folder}/net.py:Net"\ninput = [8, 8, 1]\nclasses = 10\n'
    )


def test_networks_that_can_become_hardware(tmp_path: Path) -> None:
    check(tree.load("digits"))
    check(config(tmp_path))  # ReLU6, heads of one pooled average


REFUSED = {
    "operator": (
        {"BEHIND": "nn.Upsample(scale_factor=2)"},
        "the operator Resize (node *) is not supported; see the table of operators in "
        "hls/README.md",
    ),
    "order": (
        {"OUTPUTS": "self.heads[2](c), self.heads[0](a), self.heads[1](b)"},
        "the exits must be ordered by depth but exit 1 can answer before exit 0; give its logits "
        "first",
    ),
    "probabilities": (
        {"OUTPUTS": "tuple(torch.softmax(h(x), 1) for h, x in zip(self.heads, (a, b, c)))"},
        "an exit must give logits but ends in Softmax (node *); leave it out, training and exit "
        "criteria need what is in front of it",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_classes_that_cannot(name: str, tmp_path: Path) -> None:
    changes, sentence = REFUSED[name]
    with pytest.raises(InputError) as error:
        check(config(tmp_path, **changes))
    said = re.sub(r"\(node [^)]*\)", "(node *)", str(error.value))
    assert said == f"python:{tmp_path}/net.py:Net: {sentence}"


def test_exit_weights_of_a_class(tmp_path: Path) -> None:
    found = config(tmp_path)
    weights = found.train.model_copy(update={"exit_weights": (1.0, 1.0)})
    with pytest.raises(InputError) as error:
        check(found.model_copy(update={"train": weights}))
    assert str(error.value) == (
        "train.exit_weights must have one entry for each of 3 exits, got 2: change it"
    )


def test_a_class_that_cannot_train(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        check(config(tmp_path, OUTPUTS="(1 / 0,) if self.training else self.heads[0](a),"))
    assert str(error.value) == (
        f"network python:{tmp_path}/net.py:Net must take a batch of images in training mode, got "
        "ZeroDivisionError (division by zero): correct it"
    )


STAGES = """
name = "n"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 4, stride = 2 }]
[[model.stages]]
blocks = [{ pool = "max" }]
[compile]
"""


def misfolded(folder: Path) -> tree.Config:
    """A config whose folding file names a node that there is not."""
    folding = folder / "folding.json"
    folding.write_text('{"seg0_MVAU_rtl_7": {"PE": 2}}')
    return tree.parse(STAGES + f'folding = "{folding}"\n')


def test_a_config_that_cannot(tmp_path: Path) -> None:
    check(tree.parse(STAGES))  # a stage that is only a pool can
    with pytest.raises(InputError, match=r"seg0_MVAU_rtl_7"):
        check(misfolded(tmp_path))


def test_a_board_that_cannot_hold_it() -> None:
    """Before any training; targets wait for what calibration measures."""
    with pytest.raises(InputError, match=r"the resources must hold the network, which takes"):
        check(tree.parse(STAGES + "resources = { lut = 1500 }\n"))
    check(tree.parse(STAGES + "resources = { lut = 9000 }\nfps = 1e8\n"))


def test_a_training_checks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(*arguments: object, **more: object) -> None:
        raise AssertionError("trained a network that cannot become hardware")

    monkeypatch.setattr("exeunt.quant.train.train", trained)
    context = run.Context(misfolded(tmp_path), tmp_path / "run", tmp_path)
    for work in (lambda: run.run_step("train", context), lambda: run.run_all(context)):
        with pytest.raises(InputError, match=r"seg0_MVAU_rtl_7"):
            work()
