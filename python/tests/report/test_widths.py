"""The report's tables of chosen widths and of codebooks."""

from __future__ import annotations

from exeunt.report import compression

PRECISION = {
    "kind": "precision",
    "criterion": "deeplift",
    "bits": {"stages[0].blocks[0].weight_bits": 3, "stages[0].blocks[0].activation_bits": 2},
    "uniform": {"weight_bits": 4000, "lut": 1200, "bram18": 2, "cycles": 144.0},
    "chosen": {"weight_bits": 3000, "lut": 900, "bram18": 1, "cycles": 144.0},
}
SHARING = {
    "kind": "sharing",
    "criterion": "uniform",
    "layers": [{"name": "segments.0.0", "count": 72, "codebook": [-3, 0, 2], "index_bits": 2}],
}


def test_widths_before_and_after():
    cost, widths = compression._widths(PRECISION)
    assert cost is not None
    assert widths is not None
    assert cost["rows"][:2] == [
        ["bits of weights", "4,000", "3,000"],
        ["predicted LUT of the kernels, multipliers in LUTs", "1,200", "900"],
    ]
    assert widths["rows"] == [
        ["stages[0].blocks[0].activation_bits", "2"],
        ["stages[0].blocks[0].weight_bits", "3"],
    ]


def test_codebooks():
    (found,) = compression._widths(SHARING)
    assert found is not None
    assert found["rows"] == [["segments.0.0", "72", "-3, 0, 2", "2"]]
    assert compression._widths({"kind": "filters"}) == []
    assert compression._bars(SHARING["layers"]) == []
