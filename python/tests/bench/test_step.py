"""The benchmark of a modelled device, of a stand-in for a board, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import time
import types

import numpy as np
import pytest

from exeunt.bench import board, collect, devices, processor, step
from exeunt.bench.network import load
from exeunt.config import tree
from exeunt.errors import CheckFailed, InputError, ToolError
from exeunt.reference import controller, network
from exeunt.reference.modelled import Modelled
from exeunt.report import document, store
from exeunt.runtime import Accelerator

CONFIG = tree.parse(
    """
name = "small"
[data]
dataset = "digits"
[model]
source = "qonnx:none.onnx"
input = [8, 8, 1]
classes = 10
"""
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(processor, "SECONDS", 0.002)
    monkeypatch.setattr(processor, "LATENCIES", 5)


@pytest.fixture(scope="module")
def folder(compiled, tmp_path_factory):
    copy = tmp_path_factory.mktemp("bench") / "run"
    shutil.copytree(compiled, copy)
    return copy


@pytest.fixture(scope="module")
def data(folder):
    patch = pytest.MonkeyPatch()
    patch.setattr(processor, "SECONDS", 0.002)
    told = []
    step.bench(
        CONFIG, folder, board="modelled", alone=9, progress=lambda *given: told.append(given)
    )
    patch.undo()
    found = json.loads((folder / "bench" / "modelled.json").read_text())
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert {total for _, total, _ in told} == {100}
    assert told[0] == (0, 100, "self-test")
    assert (70, 100, "the processor, numpy") in told
    images = f"{found['images_per_second']:,.0f}"
    assert told[-1] == (100, 100, f"60 images, 0 mismatches, {images} images a second")
    return found


class Seconds(Modelled):
    """A stand-in for a board: the model, with the time of the wall as a board has it."""

    unit = "s"

    def now(self):
        return time.perf_counter()

    def patience(self, frames, cycles):
        return 10.0


def opened(folder, clock=100.0, sensors=None, kind=Seconds):
    facts = {"name": "board", "clock_mhz": clock, "sensors": sensors or {}}
    transport = kind(folder)
    return devices.Opened(folder, Accelerator(folder, transport), transport, "stand-in", facts)


def collected(folder, options, **more):
    with opened(folder, **more) as device:
        return collect.collect(
            load(folder),
            device.accelerator,
            now=device.transport.now,
            transport=device.kind,
            board=device.board,
            options=options,
        )


def test_figures_are_those_of_the_reference(folder, data):
    found = load(folder)
    logits = network.run(found.accelerator, found.images).logits
    want = controller.decide(logits, found.thresholds)
    assert (data["unit"], data["images"], data["mismatches"]) == ("cycles", 60, 0)
    assert data["accuracy"] == pytest.approx((want.classes == found.labels).mean())
    rates = [row["rate"] for row in data["exits"]]
    assert rates == pytest.approx(np.bincount(want.exits, minlength=3) / 60)
    assert data["selftest_images"] == 60
    with Accelerator(folder, Modelled(folder)) as device:
        started = device.transport.now()
        results = device.classify(found.images)
        spent = device.transport.now() - started
        alone = [device.classify_one(found.images[i]).latency for i in (0, 6, 13, 20)]
    assert data["time_per_image"] == pytest.approx(spent / 60)
    assert data["throughput"] == pytest.approx(60 / spent)
    assert data["latency_loaded"]["max"] == results.latency.max()
    assert set(alone) <= {row["latency"]["p50"] for row in data["exits"] if row["latency"]}
    assert data["clock"] == "assumed"
    assert data["images_per_second"] == pytest.approx(data["clock_mhz"] * 1e6 * 60 / spent)


def test_processor_is_told_with_the_assumed_clock(data):
    base = data["cpu_baseline"]
    assert base["unit"] == "seconds"
    assert base["engine"] == "numpy"
    assert base["no_onnxruntime"] == "there is no model.onnx here"
    assert base["ratio_assumes"] == "cycles at an assumed clock of 100 MHz"
    ratio = data["images_per_second"] / base["images_per_second"]
    assert base["throughput_ratio"] == pytest.approx(ratio)
    text = collect.text(data)
    assert "cycles per image; at an assumed clock of 100 MHz that is" in text
    assert "(cycles at an assumed clock of 100 MHz)" in text
    assert "energy: not measured, nothing is drawn from a board here" in text


def test_sweep_is_the_curve_with_the_calibrated_set_first(folder, data):
    rows = data["sweep"]
    assert [row["chosen"] for row in rows] == [True, False, False]
    assert rows[0]["thresholds"] == list(load(folder).thresholds)
    assert rows[1]["rates"] == [0.0, 0.0, 1.0]
    assert rows[1]["accuracy"] == 1.0  # the labels are the last exit's answers
    assert rows[2]["rates"] == [1.0, 0.0, 0.0]
    assert rows[2]["throughput"] > rows[0]["throughput"] > rows[1]["throughput"]
    with (folder / "bench" / "modelled.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 3
    assert table[0]["unit"] == "cycles"
    assert table[0]["threshold1"] == str(rows[0]["thresholds"][1])
    assert table[1]["energy"] == ""


def test_report_has_the_keys_and_the_page_the_figures(folder, data):
    bench = store.read(folder)["bench"]
    keys = {"transport", "images", "mismatches", "throughput", "latency", "unit", "energy"}
    assert keys | {"cpu_baseline"} <= set(bench)
    assert {"p50", "p95", "p99"} <= set(bench["latency"])
    page = document.write(folder).read_text()
    assert '<h2 id="bench-modelled">Benchmark: modelled</h2>' in page
    assert "cycles at an assumed clock of 100 MHz" in page
    assert page.count('aria-label="accuracy against cycles per image"') == 1
    assert "another compile" not in page
    path = folder / "bench" / "modelled.json"
    path.write_text(json.dumps({**data, "manifest": "0" * 64}))
    assert "measured with another compile of this network" in document.write(folder).read_text()
    path.write_text(json.dumps(data))


def test_board_in_seconds_with_rails(folder, monkeypatch):
    sensor = types.SimpleNamespace(power=types.SimpleNamespace(value=4.0))
    fake = types.SimpleNamespace(get_rails=lambda: {"5V": sensor})
    monkeypatch.setitem(sys.modules, "pynq", fake)
    options = collect.Options(seconds=0.02, repeats=2, alone=4)
    found = collected(folder, options, clock=50.0, sensors={"total": "5V", "rails": []})
    assert found["unit"] == "seconds"
    assert found["repeats"] == 2
    assert found["energy"]["watts"] == pytest.approx(4.0)
    assert found["energy"]["above_idle"] == pytest.approx(0.0)
    assert found["energy"]["total"] > 0
    assert all(row["energy"] > 0 for row in found["sweep"])
    cycles = [a.latency for a in _alone(folder, 4)]
    assert found["latency"]["max"] == pytest.approx(max(cycles) * 1e-6 / 50)
    assert found["call"]["unit"] == "seconds"
    assert found["cpu_baseline"]["ratio_assumes"] == ""
    assert found["images_per_second"] == found["throughput"]
    assert "mJ above idle" in collect.text(found)
    (folder / "bench" / "board.json").write_text(json.dumps(found))
    page = document.write(folder).read_text()
    assert 'aria-label="accuracy against images per second"' in page
    assert "<!-- millijoules per inference -->" in page  # text is drawn as paths
    assert "by rails" in page
    (folder / "bench" / "board.json").unlink()


def _alone(folder, count):
    found = load(folder)
    with Accelerator(folder, Modelled(folder)) as device:
        return [device.classify_one(found.images[i * 60 // count]) for i in range(count)]


def test_external_meter_without_idle(folder):
    options = collect.Options(seconds=0.01, repeats=1, alone=1, sweep=False, watts=2.5)
    found = collected(folder, options)
    assert (found["energy"]["source"], found["energy"]["above_idle"]) == ("external meter", None)
    assert "idle power not known" in collect.text(found)


def test_board_without_sensors_says_so(folder):
    found = collected(folder, collect.Options(repeats=1, alone=1, sweep=False))
    assert found["energy"] == {
        "source": None,
        "why": "board board has no power sensors; --watts takes an external meter's value",
    }
    with pytest.raises(InputError, match=r"board board must have power sensors .*, got none: give"):
        collected(folder, collect.Options(energy=True))


def test_wrong_answers_are_no_figures(folder):
    class Wrong(Modelled):
        def collect(self, timeout, between):
            records = super().collect(timeout, between)
            records[0, 12] ^= 1  # the class
            return records

    with pytest.raises(CheckFailed, match=r"answer of the device must be the reference's, got"):
        collected(folder, collect.Options(sweep=False, alone=1), kind=Wrong)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"board": "modelled", "watts": 3.0},
            r"energy must be measured on a board, got modelled \(.*\): leave --energy and --watts",
        ),
        (
            {"board": "simulated", "energy": True},
            r"energy must be measured on a board, got simulated",
        ),
        ({"board": "pynq-z2", "energy": True}, r"board pynq-z2 must have power sensors .*got none"),
        (
            {"board": "pynq-z2", "idle_watts": 1.0},
            r"--idle-watts must come with --watts, got 1 alone: give both$",
        ),
        ({"board": "zcu104"}, r"must have a bitstream for zcu104, got none: make one with `exeunt"),
        ({"board": "ulx3s-85f"}, r"ulx3s-85f must be reached through a serial port, got none: "),
        ({"board": "pynq"}, r"board must be one of .*, got 'pynq': did you mean 'pynq-z2'\?"),
        (
            {"board": "modelled", "images": 61},
            r"images must be 0 \(all\) to 60, the test images there are, got 61: ask for fewer$",
        ),
        ({"board": "modelled", "file": "none.json"}, r"none\.json must be what bench\.py wrote"),
    ],
)
def test_what_cannot_be_asked_for(folder, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        step.bench(CONFIG, folder, **arguments)


def test_folder_that_was_not_compiled(tmp_path):
    with pytest.raises(InputError, match=r"must hold a manifest\.json and has none; run `exeunt"):
        step.bench(CONFIG, tmp_path, board="modelled")


def test_folder_without_images(compiled, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(compiled, copy)
    (copy / "splits.npz").unlink()
    with pytest.raises(InputError, match=r"splits\.npz must hold the images, got no such file: do"):
        step.bench(CONFIG, copy, board="modelled")


@pytest.mark.parametrize(
    ("asked", "got"),
    [(("", False, False), "none"), (("", True, True), "simulated and modelled")],
)
def test_one_device_at_a_time(asked, got):
    with pytest.raises(InputError, match=f"one of --board, .* got {got}: give one of them$"):
        step.chosen(*asked)
    assert step.chosen("pynq-z1", False, False) == "pynq-z1"


def test_figures_from_the_board_are_taken(folder, data, tmp_path):
    path = tmp_path / "bench.json"
    taken = {**data, "board": "zcu104"}
    path.write_text(json.dumps(taken))
    step.bench(CONFIG, folder, board="zcu104", file=str(path))
    assert store.read(folder)["bench"]["board"] == "zcu104"
    assert json.loads((folder / "bench" / "zcu104.json").read_text()) == taken
    (folder / "bench" / "zcu104.json").unlink()
    for change, sentence in (
        ({"manifest": "1" * 64}, r"must be of manifest .*, got 111111111111: measure this network"),
        ({"board": "kv260"}, r"must be of board zcu104, got kv260: measure"),
    ):
        path.write_text(json.dumps({**taken, **change}))
        with pytest.raises(InputError, match=sentence):
            step.bench(CONFIG, folder, board="zcu104", file=str(path))
    path.write_text("{}")
    with pytest.raises(InputError, match=r"must be what bench\.py wrote, got other JSON: copy it"):
        step.bench(CONFIG, folder, board="zcu104", file=str(path))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--repeats", "0"], "bench.py: --repeats must be at least 1, got 0: raise it"),
        (["--seconds", "0"], "bench.py: --seconds must be 0.1 to 600, got 0: two are enough"),
        ([], "must have a bitstream for the board, got none: make one"),
    ],
)
def test_command_of_the_board_says_one_sentence(folder, capsys, arguments, sentence):
    assert board.main(arguments, folder=folder) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_command_of_the_board_writes_its_files(folder, tmp_path, capsys):
    out = tmp_path / "here" / "bench"
    given = ["--device", "modelled", "--no-sweep", "--images", "8", "--out", str(out)]
    assert board.main(given, folder=folder) == 0
    assert json.loads(out.with_suffix(".json").read_text())["images"] == 8
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [f"{out}.json", f"{out}.csv"]
    assert board.main(["--device", "modelled", "--selftest"], folder=folder) == 0
    assert "self-test: 60 images, every answer as expected" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"must be writable, got .*: choose another$"):
        collect.write(tmp_path / "here" / "bench.json" / "x", "a", {})


def test_devices_that_are_not_there(folder, monkeypatch):
    with pytest.raises(InputError, match=r"device must be one of board, simulated, modelled, got "):
        devices.opened(folder, "fpga")
    monkeypatch.setitem(sys.modules, "exeunt.simulate.simulated", None)
    with pytest.raises(ToolError, match=r"a simulated device must find what it is made of, got"):
        devices.opened(folder, "simulated")
    facts = {"name": "b", "clock_mhz": 1.0, "flow": "vivado", "bitstream": "b.bit"}
    with pytest.raises(InputError, match=r"bitstream .*b\.bit must be there, got no such file"):
        devices.opened(folder, board=facts)
