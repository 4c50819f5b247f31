"""The flow around Vivado, with a program in its place that records and answers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exeunt import samples
from exeunt.boards import bitstream, targets, vivado, vivado_reports
from exeunt.command import cli, doctor, run
from exeunt.config import tree
from exeunt.errors import CheckFailed, InputError, ToolError
from exeunt.hls.back import stitch
from exeunt.report import store

FAKE = Path(__file__).parent / "fake_vivado.py"


@pytest.fixture(scope="module")
def stitched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stitched")
    stitch.write(samples.pooling(), folder)
    return folder


@pytest.fixture
def design(tmp_path, stitched):
    shutil.copytree(stitched, tmp_path / "run")
    store.put(tmp_path / "run", "synthesis", "target", [{"target": "xc7", "resources": {}}])
    return tmp_path / "run"


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """`fake("good")` puts that Vivado on the PATH; `fake.calls()` is how it was called."""
    record = tmp_path / "calls"
    folder = tmp_path / "bin"

    def install(mode):
        folder.mkdir(exist_ok=True)
        path = folder / "vivado"
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("FAKE_VIVADO", mode)
        monkeypatch.setenv("FAKE_VIVADO_RECORD", str(record))
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    install.calls = lambda: [json.loads(line) for line in record.read_text().splitlines()]
    return install


@pytest.fixture
def no_vivado(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def make(folder, clock=None):
    text = tree.to_toml(tree.load("digits"))
    if clock is not None:
        text = text.replace("[bitstream]\n", f"[bitstream]\nclock_mhz = {clock}\n")
    return bitstream.bitstream(tree.parse(text), folder, board="pynq-z2")


def entries(folder):
    return {e.get("board") or e["target"]: e for e in store.read(folder)["synthesis"]}


def test_good_run(design, fake):
    fake("good")
    told = []
    found = bitstream.bitstream(
        tree.load("digits"), design, board="pynq-z2", progress=lambda *a: told.append(a)
    )
    out = design / "bitstream" / "pynq-z2"
    assert found == {
        "board": "pynq-z2",
        "tool": "Vivado 2023.2",
        "design_hash": found["design_hash"],
        "available": {"lut": 53200, "ff": 106400, "dsp": 220, "bram18": 280},
        "bitstream": "bitstream/pynq-z2/exeunt.bit",
        "sha256": hashlib.sha256(b"bits").hexdigest(),
        "fmax_mhz": 105.26,
        "clock_mhz": 100.0,
        "resources": {"lut": 10321, "ff": 12044, "dsp": 24, "bram18": 19},
        "timing": {
            "worst_slack_ns": 0.031,
            "wns_ns": 0.5,
            "tns_ns": 0,
            "whs_ns": 0.031,
            "ths_ns": 0.0,
            "tpws_ns": 3.75,
        },
        "power": {"total_w": 1.643, "dynamic_w": 1.501, "static_w": 0.142},
    }
    assert entries(design) == {"xc7": {"target": "xc7", "resources": {}}, "pynq-z2": found}
    names = {p.name for p in out.iterdir()}
    assert {"exeunt.bit", "exeunt.hwh", "timing.rpt", "utilization.rpt", "power.rpt"} <= names
    assert (out / "exeunt.bit").read_bytes() == b"bits"
    version, build = fake.calls()
    assert version["arguments"] == ["-version"]
    assert build["arguments"] == [*vivado.ARGUMENTS, "-source", "build.tcl"]
    assert Path(build["folder"]) == out / "project"
    assert list(dict.fromkeys(told)) == [
        (0, 100, "the project"),
        (0, 100, f"Vivado 2023.2: {vivado.STARTS}"),
        (10, 100, "Vivado 2023.2: synthesis"),
        (95, 100, "the reports"),
        (100, 100, "105.26 MHz, 10,321 LUT, 24 DSP"),
    ]


def test_what_was_built_is_not_built_again_until_it_changes(design, fake):
    fake("good")
    first = make(design)
    assert make(design) == first
    assert len(fake.calls()) == 2
    found = make(design, clock=80.0)
    assert found["clock_mhz"] == 100.0  # what the fake says of its clock
    assert "FREQMHZ {80}" in (design / "bitstream/pynq-z2/project/design.tcl").read_text()
    assert len(fake.calls()) == 4


def test_without_vivado_the_project_is_written(design, no_vivado):
    found = make(design)
    assert found["bitstream"] is None
    assert found["sha256"] is None
    assert found["resources"] is None
    project = design / "bitstream" / "pynq-z2" / "project"
    assert found["next"] == (
        "no bitstream was made, because no Vivado is on the PATH: run `vivado -mode batch -source "
        f"build.tcl` in {project}, here or in a copy of it, put its results/ back there and repeat "
        "this command"
    )
    assert {p.name for p in project.iterdir()} == {
        "build.tcl",
        "design.tcl",
        "ip",
        "package.tcl",
        "preset.tcl",
    }
    assert entries(design)["pynq-z2"] == found


def test_results_from_another_machine_are_collected(design, fake, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    make(design)
    project = design / "bitstream" / "pynq-z2" / "project"
    fake("good")
    subprocess.run(["vivado", "-log", "vivado.log"], cwd=project, check=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make(design)["bitstream"] == "bitstream/pynq-z2/exeunt.bit"


def test_results_of_another_design_are_refused(design, fake):
    fake("good")
    make(design)
    path = design / "bitstream" / "pynq-z2" / "project" / "results" / "result.txt"
    text = path.read_text()
    path.write_text(text.replace("design_hash ", "design_hash 0"))
    with pytest.raises(ToolError, match=r"must be of the design \w{8}, got those of 0\w+: delete"):
        make(design)
    path.write_text(text.replace("period_ns 10.000", "period_ns x"))
    with pytest.raises(ToolError, match=r"must be what the build script writes, got none or no"):
        make(design)
    path.write_text(text)
    (path.parent / "exeunt.hwh").unlink()
    with pytest.raises(ToolError, match=r"must have exeunt.hwh, got no such file: delete them"):
        make(design)


def test_missed_clock_is_a_failed_check(design, fake):
    fake("slow")
    with pytest.raises(CheckFailed) as error:
        make(design)
    out = design / "bitstream" / "pynq-z2"
    assert str(error.value) == (
        "pooling on pynq-z2 must meet its clock of 100 MHz, got wns_ns -0.25: set "
        f"bitstream.clock_mhz to 97 or less, or see {out / 'timing.rpt'}"
    )
    found = entries(design)["pynq-z2"]
    assert found["bitstream"] is None
    assert found["timing"]["wns_ns"] == -0.25
    assert found["fmax_mhz"] == 97.56
    assert not (out / "exeunt.bit").exists()
    assert (out / "timing.rpt").exists()


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (
            "broken",
            r"got exit code 1 and \"\[Synth 8-439\] module 'ex_none' not found\": see .*log$",
        ),
        ("dead", r"got signal 9 and 'exeunt at: synthesis': see"),
        ("silent", r"got exit code 0 and 'exeunt at: synthesis': see"),
        ("new", r"^Vivado must be one of 2022.2, .* 2024.2, got 2031.1 from .*: put another on"),
        ("odd", r"^Vivado must be one of 2022.2, .*, got 'vivado 1.0 \(64-bit\)"),
    ],
)
def test_failed_run_is_no_success_and_the_next_one_starts_afresh(design, fake, mode, sentence):
    fake(mode)
    with pytest.raises(ToolError, match=sentence):
        make(design)
    out = design / "bitstream" / "pynq-z2"
    assert not (out / "exeunt.bit").exists()
    assert "pynq-z2" not in entries(design)
    fake("good")
    assert make(design)["bitstream"] == "bitstream/pynq-z2/exeunt.bit"


def test_failure_leaves_no_bitstream_of_before(design, fake):
    fake("good")
    make(design)
    fake("broken")
    with pytest.raises(ToolError, match="Synth 8-439"):
        make(design, clock=80.0)
    left = {p.name for p in (design / "bitstream" / "pynq-z2").iterdir()}
    assert left == {"project"}


def test_interrupt_ends_vivado_too(design, fake):
    fake("hung")
    code = (
        "from pathlib import Path; from exeunt.config import tree\n"
        "from exeunt.boards import bitstream\n"
        f"bitstream.bitstream(tree.load('digits'), Path({str(design)!r}), board='pynq-z2')"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    running = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored in the background
    )
    started = design / "bitstream" / "pynq-z2" / "project" / "started"
    for _ in range(300):
        if started.exists():
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    assert running.wait(20) != 0
    pid = fake.calls()[-1]["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    fake("good")
    assert make(design)["bitstream"]


def test_vivado_that_cannot_start(tmp_path):
    path = tmp_path / "vivado"
    path.write_text("nothing")
    with pytest.raises(
        ToolError, match=r"^Vivado must start, got PermissionError from .*: install"
    ):
        vivado.version(path)


def test_reports_of_ultrascale_and_of_nothing(tmp_path):
    path = tmp_path / "u.rpt"
    rows = {"CLB LUTs*": 8, "CLB Registers": 9, "DSPs": 0, "Block RAM Tile": 1.5}
    path.write_text("".join(f"| {name} | {value} | 0 |\n" for name, value in rows.items()))
    assert vivado_reports.resources(path) == {"lut": 8, "ff": 9, "dsp": 0, "bram18": 3}
    path.write_text("| CLB LUTs | 8 | 0 |\n")
    with pytest.raises(ToolError, match=r"must have a row Slice Registers or CLB Registers with a"):
        vivado_reports.resources(path)
    assert vivado_reports.power(path) is None


def test_command_line(design, no_vivado, capsys, tmp_path):
    state = run.State(design)
    state.save()

    def call(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(["bitstream", "digits", "--out", str(design), *arguments])
        streams = capsys.readouterr()
        return caught.value.code, streams.out, streams.err

    code, out, _ = call("--board", "zcu104")
    assert code == 0
    assert "no bitstream was made, because no Vivado is on the PATH" in out
    mine = tmp_path / "mine"
    shutil.copytree(targets.load("zcu104").folder, mine)
    code, out, _ = call("--board", str(mine))
    assert code == 0
    assert (design / "bitstream" / "mine" / "project" / "build.tcl").exists()
    assert set(entries(design)) == {"xc7", "zcu104", "mine"}
    code, _, err = call()
    assert code == 2
    assert "exeunt: board must be one of kv260, " in err
    code, _, err = call("--board", "zcu14")
    assert code == 2
    assert err.endswith("got 'zcu14': did you mean 'zcu104'?\n")


def test_changed_rtl_is_refused(design, no_vivado):
    top = design / "rtl" / "exeunt_top.sv"
    top.write_text(top.read_text() + "// mine\n")
    with pytest.raises(InputError, match="changed by hand"):
        make(design)


def test_doctor_asks_vivado_its_way(fake):
    fake("good")
    found = {item.tool: item for item in doctor.findings()}["Vivado"]
    assert found.version == "2023.2"
    assert "bitstream" in found.enables
