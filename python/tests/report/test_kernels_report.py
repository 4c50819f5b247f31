"""The section of report.html about layers that skip zeros or share weights."""

from __future__ import annotations

from exeunt.report import kernels


def way(kernel: str, lut: int, bram18: int = 0, *, skips: bool = False) -> dict:
    return {
        "kernel": kernel, "skips": skips, "pe": 4, "simd": 2, "cycles": 1200, "lut": lut,
        "bram18": bram18,
    }  # fmt: skip


FOUND = {
    "seg0": [
        {"layer": "MVAU_0", **way("scheduled", 800, skips=True), "dense": way("dense", 1900, 2),
         "others": [way("scheduled", 800, skips=True), way("codebook", 950, skips=True)]},
        {"layer": "MVAU_1", **way("dense", 500), "dense": way("dense", 500), "others": []},
    ],
    "head0": [{"layer": "MVAU_2", **way("codebook", 70), "dense": None, "others": []}],
}  # fmt: skip


def test_what_was_chosen_and_what_stood_beside_it() -> None:
    found = kernels.kernels({"compile": {"kernels": FOUND}})
    assert found is not None
    rows = found["parts"][0]["rows"]
    assert rows[0] == [
        "seg0, MVAU_0", "zeros left out, PE 4, SIMD 2", "1,200", "800", "0",
        "shared weights, zeros left out, PE 4, SIMD 2: 950 LUT; all weights, PE 4, SIMD 2: "
        "1,900 LUT, 2 BRAM18",
    ]  # fmt: skip
    assert rows[1][1:] == ["all weights, PE 4, SIMD 2", "1,200", "500", "0", "none is fast enough"]
    assert rows[2][-1] == "none is fast enough"


def test_nothing_is_said_without_a_choice() -> None:
    assert kernels.kernels({"compile": {}}) is None
    assert kernels.kernels({}) is None
    assert kernels.kernels({"compile": {"kernels": {"seg0": []}}}) is None
