"""What is counted of a mapped netlist."""

from __future__ import annotations

import json

import pytest

from exeunt.synth import counts


def test_counts_go_down_the_hierarchy(netlist):
    cells = {
        "m": {"type": "RAMB36E1"},
        "r": {"type": "RAMB18E1"},
        "d": {"type": "DSP48E1"},
        "s": {"type": "RAM32M"},
    }
    total, blocks = counts.count(json.loads(netlist(cells)), counts.XC7, "exeunt_top")
    assert total == {"lut": 1 + 3 + 4, "ff": 3, "dsp": 1, "bram18": 3}
    table = {block["name"]: block for block in blocks}
    assert list(table) == ["a", "b", "seg0", "d"]
    assert table["d"] == {"name": "d", "module": "ex_delay", "level": 2} | {
        "lut": 1,
        "ff": 1,
        "dsp": 0,
        "bram18": 0,
    }
    assert table["seg0"]["lut"] == 5
    assert table["seg0"]["level"] == table["a"]["level"] == 1


@pytest.mark.parametrize(
    ("name", "short"),
    [("$paramod$0a\\ex_mvu", "ex_mvu"), ("$paramod\\ex_mvu\\PE=1", "ex_mvu"), ("seg0", "seg0")],
)
def test_plain_names(name, short):
    assert counts.plain(name) == short
