"""The section of report.html about a folding that fills a board."""

from __future__ import annotations

import copy

import pytest

from exeunt.report import document, optimised


def option(pe: int, lut: int, dsp: int = 0, multiplier: str = "lut") -> dict:
    return {
        "pe": pe, "simd": 3, "window": 3 * (pe == 8), "parallel_window": pe == 4,
        "multiplier": multiplier, "cycles": 1000, "lut": lut, "dsp": dsp, "bram18": 0,
    }  # fmt: skip


FOUND = {
    "title": "80% of TUL PYNQ-Z2", "board": "pynq-z2", "use": 0.8, "objective": "throughput",
    "targets": {}, "percentile": 99, "budget": {"lut": 42560, "dsp": 176, "bram18": 224},
    "available": {"lut": 53200, "dsp": 220, "bram18": 280},
    "predicted": {"lut": 3000, "dsp": 12, "bram18": 1},
    "kernels": {"lut": 1800, "dsp": 12, "bram18": 1}, "cycles": 1000, "cycles_per_image": 1010.5,
    "fps": 98_960.9, "gap": 0.0, "seconds": 1.5, "nanojoules": 210.4,
    "latency": {
        "exits": [1100, 5000], "alone": {"p50": 1100, "p95": 5000, "p99": 5000},
        "busy": {"p50": 1500.0, "p95": 6000.0, "p99": 6100.0}, "frames": 2000,
    },
    "nodes": [
        {"name": "seg0_MVAU_rtl_0", "chain": "seg0", **option(4, 800), "allowed": 1200,
         "others": [option(2, -40, 12, "dsp"), option(8, 300)]},
        {"name": "head0_MVAU_rtl_0", "chain": "head0", **option(1, 100), "allowed": 1200,
         "others": []},
        {"name": "seg1_MVAU_rtl_0", "chain": "seg1", **option(2, 900, 12, "dsp"),
         "allowed": 4000, "others": [option(2, 0)]},
    ],
}  # fmt: skip
REPORT = {
    "compile": {"optimiser": FOUND},
    "synthesis": [{"target": "xc7", "resources": {"lut": 3100, "dsp": 12, "bram18": 1, "ff": 9}}],
}


def test_what_was_chosen_and_what_else_would_have_cost() -> None:
    found = optimised.optimised(REPORT)
    assert found is not None
    drawn, totals, waits, layers = found["parts"]
    assert drawn["svg"].count("<svg") == 1
    assert totals["rows"] == [
        ["LUT", "3,000", "3,100", "42,560", "53,200", "5.6%"],
        ["DSP", "12", "12", "176", "220", "5.5%"],
        ["BRAM18", "1", "1", "224", "280", "0.4%"],
    ]
    assert waits["rows"] == [
        ["exit 0", "1,100", "-"], ["exit 1", "5,000", "-"], ["p50", "1,100", "1,500"],
        ["p95", "5,000", "6,000"], ["p99", "5,000", "6,100"],
    ]  # fmt: skip
    assert layers["rows"] == [
        [
            "seg0_MVAU_rtl_0", "PE 4, SIMD 3, whole windows, products in LUT", "1,000 of 1,200",
            "800", "0", "0", "PE 2, SIMD 3, products in DSP: -40 LUT, +12 DSP",
            "PE 8, SIMD 3, windows by 3, products in LUT: +300 LUT",
        ],
        ["head0_MVAU_rtl_0", "PE 1, SIMD 3, products in LUT", "1,000 of 1,200", "100", "0", "0",
         "-", "-"],
        ["seg1_MVAU_rtl_0", "PE 2, SIMD 3, products in DSP", "1,000 of 4,000", "900", "12", "0",
         "PE 2, SIMD 3, products in LUT: the same", "-"],
    ]  # fmt: skip
    assert found["text"].startswith(
        "Asked for: most frames a second within 80% of TUL PYNQ-Z2. No other choice is better by "
        "the cost model. By the cycle reference the design takes 1,010 cycles per image with the "
        "exits of the validation images, 98,961 images a second."
    )


@pytest.mark.parametrize(
    ("objective", "targets", "gap", "said"),
    [
        ("latency", {}, 0.015, "Asked for: least latency within 80% of TUL PYNQ-Z2. No other "
         "choice is better by more than 1.5% by the cost model."),
        ("area", {"fps": 20000.0, "latency_us": 12.5}, 0.0, "Asked for: fewest LUT for 20,000 "
         "frames a second and 12.5 us of latency within 80% of TUL PYNQ-Z2."),
        ("energy", {"fps": 20000.0}, 0.0, "Asked for: least energy of an image for 20,000 frames a "
         "second within 80% of TUL PYNQ-Z2. No other choice is better by the cost model. An image "
         "takes 210.4 nJ by an estimate of sizes and cycles (1/8 toggle of each output in a cycle, "
         "1 pF at 1 V), without controller and power at rest. By the cycle reference"),
        ("throughput", {"target_cycles": 300}, 0.0, "Asked for: fewest resources for 300 cycles "
         "within"),
    ],
)  # fmt: skip
def test_what_was_asked(objective: str, targets: dict, gap: float, said: str) -> None:
    found = {**FOUND, "objective": objective, "targets": targets, "gap": gap}
    section = optimised.optimised({"compile": {"optimiser": found}})
    assert section is not None
    assert section["text"].startswith(said)


def test_resources_without_a_limit() -> None:
    found = copy.deepcopy(FOUND)
    found["budget"] = found["available"] = {"lut": 9000}
    section = optimised.optimised({"compile": {"optimiser": found}})
    assert section is not None
    assert section["parts"][1]["rows"][1:] == [
        ["DSP", "12", "-", "any", "any", "-"],
        ["BRAM18", "1", "-", "any", "any", "-"],
    ]


def test_it_is_part_of_the_page_where_there_is_one(tmp_path) -> None:
    ids = [s["id"] for s in document.sections(tmp_path, REPORT)]
    assert "optimised" in ids
    assert optimised.optimised({"compile": {"multipliers": 3}}) is None
    assert "optimised" not in [s["id"] for s in document.sections(tmp_path, {})]
