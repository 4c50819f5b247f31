"""The comparison at equal LUT: which folding without exits is taken, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from exeunt import manifest, samples
from exeunt.command import run, steps
from exeunt.config import tree
from exeunt.hls.back import stitch
from exeunt.reference import system
from exeunt.report import document, store
from exeunt.report import equal as section
from exeunt.synth import counts, equal, step, yosys
from exeunt.synth.equal import Rung

LADDER = [Rung(Path(str(c)), c, lut) for c, lut in ((400, 70), (300, 90), (200, 110), (100, 150))]


@pytest.mark.parametrize(
    ("counted", "start", "taken", "last", "asked"),
    [
        ((80, 95, 120, 160), 300, 300, False, [300, 200]),  # the next one has more
        ((80, 95, 100, 160), 300, 200, False, [300, 200, 100]),  # it had fewer than predicted
        ((80, 95, 99, 100), 300, 100, True, [300, 200, 100]),  # as many is not more
        ((80, 101, 120, 160), 300, 400, False, [300, 400]),  # more than predicted: a slower one
        ((101, 102, 120, 160), 200, None, False, [200, 300, 400]),
        ((90, 101, 120, 160), 400, 400, False, [400, 300]),
    ],
)
def test_fastest_folding_that_has_no_more_lut(counted, start, taken, last, asked):
    table = dict(zip((400, 300, 200, 100), counted, strict=True))
    seen = []

    def count(rung):
        seen.append(rung.cycles)
        return table[rung.cycles]

    begin = next(rung for rung in LADDER if rung.cycles == start)
    found, end = equal.climb(LADDER, begin, 100, count)
    assert (found and found.cycles, end, seen) == (taken, last, asked)


@pytest.mark.parametrize(("ours", "cycles"), [(69, 400), (70, 400), (100, 300), (999, 100)])
def test_ladder_is_entered_where_the_model_expects_it(ours, cycles):
    assert equal.first(LADDER, ours).cycles == cycles


def test_without_dsp_is_what_the_cost_model_was_fitted_to():
    mapped = equal.of_luts(counts.XC7)
    assert (mapped.name, mapped.command, mapped.cells) == (
        counts.XC7_LUTS.name,
        counts.XC7_LUTS.command,
        counts.XC7_LUTS.cells,
    )
    assert equal.of_luts(counts.ECP5).command == "synth_ecp5 -noflatten -nodsp"


@pytest.fixture
def ladder(tmp_path, fake, netlist):
    """A run folder with three foldings without exits; Yosys counts as many LUT as are in `luts`."""
    folder = tmp_path / "run"
    stitch.write(samples.accelerator(sized=False), folder)
    store.update(folder, {"name": "x", "hardware": {"clock_mhz": 100.0}})
    single = samples.without_exits(samples.accelerator(sized=False))
    for cycles in (900, 500, 200):
        out = folder / equal.LADDER / str(cycles)
        stitch.write(single, out)
        top = out / "rtl" / "exeunt_top.sv"
        top.write_text(f"{top.read_text()}// rung {cycles}\n")
        known = manifest.read(out, verify=False).data
        manifest.write(out, {**known, "files": list(known["files"])})

    def luts(ours, **rungs):
        body = []
        for name, count in {"ours": ours, **rungs}.items():
            (tmp_path / f"{name}.json").write_text(
                netlist({f"x{i}": {"type": "LUT4"} for i in range(count)})
            )
        body.append(f"f={tmp_path}/ours.json")
        body += [
            f"grep -q 'rung {name[1:]}$' exeunt_top.sv && f={tmp_path}/{name}.json"
            for name in rungs
        ]
        body.append(f"cp $f netlist.json; echo '{yosys.END}' > yosys.log")
        fake("\n".join(body) + "\n")

    return folder, luts


ONE = tree.parse(tree.to_toml(tree.load("digits")).replace('["xc7", "xcup", "ecp5"]', '["xc7"]'))


def test_step_counts_both_without_dsp_and_takes_the_cycles_of_the_reference(ladder, fake):
    folder, luts = ladder
    luts(50, r900=20, r500=40, r200=60)
    told = []
    step.synth(ONE, folder, progress=lambda *a: told.append(a[2]))
    found = store.read(folder)["hardware"]["equal"]["lut"]
    assert found["target"] == "xc7_luts"
    assert found["ours"]["resources"]["lut"] == 54
    assert found["baseline"]["folder"] == "baseline/ladder/500"
    assert found["baseline"]["resources"]["lut"] == 44
    assert found["baseline"]["fastest_folding"] is False
    assert found["speedup"] is None
    assert told[-1].endswith("; the speedup at equal LUT needs `exeunt simulate`")
    # the cycles of both come when the design has been simulated, whichever step is first
    store.update(folder, {"simulation": {"images": 7, "cycles_per_image": 100.0}})
    equal.settle(folder)
    found = store.read(folder)["hardware"]["equal"]["lut"]
    design = manifest.read(folder / "baseline/ladder/500")
    cycles = system.predict(
        design.accelerator(),
        np.zeros(7, np.int64),
        sizes=system.Sizes.of(design.data),
    ).cycles
    assert found["speedup"] == pytest.approx(cycles / 7 / 100.0)
    assert found["baseline"]["cycles_per_image"] == pytest.approx(cycles / 7)
    before = fake.calls()
    step.synth(ONE, folder, progress=lambda *a: told.append(a[2]))
    assert fake.calls() == before
    assert store.read(folder)["hardware"]["equal"]["lut"] == found
    assert told[-1].endswith(f"{found['speedup']:.1f} times as fast as without exits at equal LUT")


def test_no_folding_is_small_enough(ladder):
    folder, luts = ladder
    luts(5, r900=20, r500=40, r200=60)
    store.update(folder, {"simulation": {"images": 7, "cycles_per_image": 100.0}})
    told = []
    step.synth(ONE, folder, progress=lambda *a: told.append(a[2]))
    found = store.read(folder)["hardware"]["equal"]["lut"]
    assert (found["baseline"], found["speedup"]) == (None, None)
    assert told[-1].endswith("; no folding without exits has as few LUT")
    assert "no folding is so small" in document.write(folder).read_text()


def test_expected_time_counts_the_comparison(ladder):
    folder, luts = ladder
    luts(50, r900=20, r500=40, r200=60)
    context = run.Context(ONE, folder, folder)
    with_ladder = steps.step_of("synth").expected(context)
    for path in (folder / equal.LADDER).iterdir():
        (path / manifest.NAME).unlink()
    assert 0 < steps.step_of("synth").expected(context) < 0.7 * with_ladder


def test_report_says_what_was_equal_and_what_both_spent():
    report = {
        "hardware": {
            "equal": {
                "multipliers": {
                    "speedup": 13.91,
                    "ours": {"multipliers": 25, "cycles_per_image": 3607.7},
                    "baseline": {"multipliers": 23, "cycles_per_image": 50188.2},
                },
                "lut": {
                    "speedup": 5.21,
                    "ours": {"resources": {"lut": 7001}, "cycles_per_image": 3607.7},
                    "baseline": {"resources": {"lut": 6500}, "cycles_per_image": 18816.0},
                },
            }
        }
    }
    assert section.speedups(report) == [
        ("multipliers", 13.91, "25 and 23 multipliers"),
        ("LUT", 5.21, "7,001 and 6,500 LUT"),
    ]
    assert [(t["label"], t["value"], t["note"]) for t in section.tiles(report)] == [
        ("faster, equal multipliers", "13.9 x", "25 and 23 multipliers"),
        ("faster, equal LUT", "5.2 x", "7,001 and 6,500 LUT"),
    ]
    part = section.equal(report)
    assert part is not None
    assert part["parts"][0]["rows"] == [
        ["multipliers", "25", "23", "3,608", "50,188", "13.9"],
        ["LUT", "7,001", "6,500", "3,608", "18,816", "5.2"],
    ]
    del report["hardware"]["equal"]["lut"]["speedup"]  # not simulated yet
    assert section.speedups(report) == [("multipliers", 13.91, "25 and 23 multipliers")]
    assert section.equal(report)["parts"][0]["rows"][1][-1] == "-"
    assert section.equal({}) is None
    assert json.dumps(section.tiles({})) == "[]"
