"""The key explain.hardware: what it may be, and what it may not be together with."""

from __future__ import annotations

import pytest

from exeunt.config import tree
from exeunt.config.explain import Hardware
from exeunt.config.methods import IN_HARDWARE
from exeunt.errors import InputError
from exeunt.runtime.maps import METHODS

HEAD = """
name = "explained"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
stages = [{ blocks = [{ conv = 4, padding = 1 }] }, { blocks = [{ conv = 4, padding = 1 }] }]
"""


def parsed(entries: str) -> tree.Config:
    return tree.parse(HEAD + entries, where="explained.toml")


def test_methods_are_those_of_the_packets() -> None:
    assert IN_HARDWARE == METHODS


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("true", Hardware()),
        ("{}", Hardware()),
        ("false", None),
        ('{ methods = ["saliency"], when = "all" }', Hardware(methods=("saliency",), when="all")),
    ],
)
def test_what_it_may_be(value: str, found: Hardware | None) -> None:
    assert parsed(f"[explain]\nhardware = {value}\n").explain.hardware == found
    assert parsed("").explain.hardware is None


def test_when() -> None:
    every = {when: Hardware(when=when).every for when in ("all", "none", 7)}
    assert every == {"all": 1, "none": 0, 7: 7}


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (
            "[explain]\nhardware = { lanes = 6 }\n",
            "explain.hardware.lanes must be a power of two from 1 to 256, got 6",
        ),
        (
            '[explain]\nhardware = { methods = ["lime"] }\n',
            "explain.hardware.methods[0] must be",
        ),
        ("[explain]\nhardware = { bits = 3 }\n", "explain.hardware.bits must be"),
        ("[explain]\nhardware = { slots = 0 }\n", "explain.hardware.slots must be"),
        ('[explain]\nhardware = { when = "never" }\n', "explain.hardware.when"),
        ("[explain]\nhardware = { methods = [] }\n", "explain.hardware.methods"),
        (
            '[explain]\nhardware = true\n[compile]\nkernels = "finn"\n',
            'explain.hardware must go with compile.kernels = "exeunt", whose quantizers tell where '
            'gradients pass, got "finn"',
        ),
        (
            "[explain]\nhardware = true\n[rules]\nlooks = 1\n",
            "explain.hardware must go without further looks, got rules.looks = 1",
        ),
    ],
)
def test_what_it_may_not_be(entries: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parsed(entries)
    assert sentence in str(caught.value)
