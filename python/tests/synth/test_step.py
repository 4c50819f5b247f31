"""`exeunt synth`: what is counted, kept and reported, and what it says of a Yosys that fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from exeunt import manifest
from exeunt.command import run, steps
from exeunt.config import tree
from exeunt.errors import InputError, ToolError
from exeunt.report import store
from exeunt.synth import counts, step, yosys


@pytest.fixture
def counted(design, make, netlist, fake, tmp_path):
    """A run folder with a baseline of other counts than its own; how often Yosys ran."""
    rtl = make(design / "baseline") / "rtl"
    (rtl / "seg0.sv").write_text((rtl / "seg0.sv").read_text() + "// plain\n")
    known = manifest.read(design / "baseline", verify=False).data
    manifest.write(design / "baseline", {**known, "files": list(known["files"])})
    (design / "synth" / ".work-old").mkdir(parents=True)
    cells = {"l": {"type": "LUT4"}, "f": {"type": "TRELLIS_FF"}}
    (tmp_path / "ours.json").write_text(netlist(cells))
    (tmp_path / "plain.json").write_text(netlist({**cells, "m": {"type": "LUT4"}}))
    fake(
        "test -f seg0.hex || exit 9\n"
        f"if grep -q plain seg0.sv; then sleep 1; cp {tmp_path}/plain.json netlist.json\n"
        f"else cp {tmp_path}/ours.json netlist.json; fi\n"
        f"test -f {tmp_path}/broken && grep -q xcup synth.ys && sleep 1 && exit 1\n"
        f"echo '{yosys.END}' > yosys.log\n"
    )
    return fake.calls


def test_report_gets_every_target_and_the_baseline(design, counted):
    told = []
    entries = step.synth(tree.load("digits"), design, progress=lambda *a: told.append(a))
    assert [e["target"] for e in entries] == ["xc7", "xcup", "ecp5"]
    assert entries[0]["tool"] == "Yosys 0.99"
    found = store.read(design)
    assert found["synthesis"] == entries
    assert found["hardware"]["resources"]["lut"] == 1 + 3 + 1
    assert found["hardware"]["baseline"]["resources"]["lut"] == 1 + 3 + 2
    assert len(json.loads((design / "synth.json").read_text())) == 4
    assert not list(design.glob("synth/.work*"))
    # the baseline is counted last, and what is said of the design is the design's all the same
    assert told[-1] == (
        400,
        400,
        "xc7 5 LUT, 0 DSP; xcup 5 LUT, 0 DSP; ecp5 1 LUT, 0 DSP; without exits 6 LUT, 0 DSP",
    )
    assert told[0] == (0, 400, "0 of 4 counted")
    assert "1 of 4 counted" in " ".join(text for _, _, text in told)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


def test_what_is_counted_is_not_counted_again(design, counted, tmp_path):
    config = tree.load("digits")
    (tmp_path / "broken").touch()
    with pytest.raises(ToolError, match=r"must map .* to xcup, got exit code 1"):
        step.synth(config, design)
    (tmp_path / "broken").unlink()
    before = counted()
    finished = {p.stem for p in (design / "synth").glob("*.json")}
    assert finished
    assert "xcup" not in finished
    step.synth(config, design)
    kept = len(finished) + (design / "synth" / "baseline" / "xc7.json").exists()
    assert counted() - before <= 4 - len(finished)
    assert kept
    after = counted()
    first = step.synth(config, design)
    assert counted() == after
    # a kept count that cannot be read, or of other files or another Yosys, is made again
    (design / "synth" / "ecp5.json").write_text("{")
    assert step.synth(config, design) == first
    assert counted() == after + 1
    seg = design / "rtl" / "seg0.sv"
    seg.write_text(seg.read_text() + "// other\n")
    known = manifest.read(design, verify=False).data
    manifest.write(design, {**known, "files": list(known["files"])})
    step.synth(config, design)
    assert counted() == after + 4


def test_interrupt_ends_yosys_and_keeps_what_is_finished(design, fake, netlist, tmp_path):
    (tmp_path / "n.json").write_text(netlist({"l": {"type": "LUT4"}}))
    fake(
        f"if grep -q ecp5 synth.ys; then echo $$ > {tmp_path}/pid; sleep 60; fi\n"
        f"cp {tmp_path}/n.json netlist.json; echo '{yosys.END}' > yosys.log\n"
    )
    code = (
        "import sys, pathlib\nfrom exeunt.config import tree\n"
        "from exeunt.synth import step, yosys\n"
        "yosys.find = lambda: pathlib.Path(sys.argv[2])\n"
        "step.synth(tree.load('digits'), pathlib.Path(sys.argv[1]))\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code, str(design), str(yosys.find())],
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    kept = [design / "synth" / name for name in ("xc7.json", "xcup.json")]
    for _ in range(300):
        if (tmp_path / "pid").exists() and all(p.exists() for p in kept):
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    assert running.wait(20) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert [p.exists() for p in kept] == [True, True]


def test_expected_time_is_of_the_counts_that_are_missing(tmp_path, fake, netlist):
    from exeunt import samples
    from exeunt.hls.back import stitch

    (tmp_path / "n.json").write_text(netlist({"l": {"type": "LUT4"}}))
    fake(f"cp {tmp_path}/n.json netlist.json; echo '{yosys.END}' > yosys.log\n")
    folder = tmp_path / "run"
    stitch.write(samples.pooling(), folder)
    config = tree.load("digits")
    context = run.Context(config, folder, tmp_path)
    whole = steps.step_of("synth").expected(context)
    one = tree.parse(tree.to_toml(config).replace('["xc7", "xcup", "ecp5"]', '["ecp5"]'))
    assert one != config
    assert 0 < step.expected(one, folder) < whole < 600
    step.synth(one, folder)
    assert step.expected(one, folder) == 0
    assert step.expected(config, folder) > 0


def test_yosys_that_fails_says_why(design, fake):
    fake("echo 'ERROR: no such module ex_x' >&2; exit 1\n")
    sentence = r"got exit code 1 and 'ERROR: no such module ex_x': see .*xc7.log$"
    with pytest.raises(ToolError, match=sentence):
        step.map_design(design, counts.XC7, design / "synth")
    assert "ex_x" in (design / "synth" / "xc7.log").read_text()


def test_yosys_that_dies_silently_is_noticed(design, fake):
    fake("echo 'ABC: running' > yosys.log; echo '{}' > netlist.json; exit 0\n")
    with pytest.raises(ToolError, match=r"got exit code 0 and 'ABC: running'"):
        step.map_design(design, counts.XC7, design / "synth")


def test_design_without_logic_is_noticed(design, fake, tmp_path):
    empty = {"modules": {"exeunt_top": {"attributes": {}, "cells": {}}}}
    (tmp_path / "n.json").write_text(json.dumps(empty))
    fake(f"cp {tmp_path}/n.json netlist.json; echo '{yosys.END}' > yosys.log\n")
    with pytest.raises(ToolError, match=r"got a design without a LUT: see .*xc7.log$"):
        step.map_design(design, counts.XC7, design / "synth")


def test_yosys_that_cannot_start(design, monkeypatch, tmp_path):
    monkeypatch.setattr(yosys, "find", lambda: tmp_path)
    with pytest.raises(ToolError, match=r"Yosys must start, got Permission denied from"):
        step.map_design(design, counts.XC7, design / "synth")


def test_changed_rtl_is_not_counted(design):
    (design / "rtl" / "seg0.sv").write_text((design / "rtl" / "seg0.sv").read_text() + "// mine\n")
    with pytest.raises(InputError, match=r"changed by hand"):
        step.map_design(design, counts.XC7, design / "synth")


def test_finns_kernels_are_refused(design):
    (design / "rtl" / "ex_finn_mvu.sv").write_text("module ex_finn_mvu; endmodule\n")
    known = manifest.read(design, verify=False).data
    added = [*known["sources"], "rtl/ex_finn_mvu.sv"]
    manifest.write(design, {"sources": added, "files": [*known["files"], added[-1]]})
    with pytest.raises(
        InputError,
        match=r"must be made of our kernels for Yosys to read it, got ex_finn_mvu.sv in .*: set "
        r'compile.kernels = "exeunt" and run `exeunt compile` again',
    ):
        step.map_design(design, counts.XC7, design / "synth")


@pytest.mark.synth
@pytest.mark.parametrize("target", counts.TARGETS.values(), ids=list(counts.TARGETS))
def test_yosys_counts_a_real_design(design, target):
    entry = step.map_design(design, target, design / "synth")
    assert entry["tool"].startswith("Yosys 0.")
    assert entry["resources"]["ff"] >= 16
    assert entry["resources"]["lut"] >= 8
    assert entry["resources"]["bram18"] <= 1
    names = [block["name"] for block in entry["blocks"]]
    assert names == ["last", "seg0", "delay", "rom"]
