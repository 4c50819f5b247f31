"""What the benchmark says of heat maps: on a device that answers at once, and on the RTL."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest

from exeunt.bench import collect, devices, maps, processor
from exeunt.bench.network import load
from exeunt.config import tree
from exeunt.deploy import step as deploy
from exeunt.errors import InputError
from exeunt.report import bench as report
from exeunt.runtime import Accelerator
from exeunt.simulate.simulated import Simulated


def test_every_method_and_exit(mapping):
    images = np.random.default_rng(1).integers(0, 256, (200, 4, 4, 1), dtype=np.uint8)
    data = mapping.manifest(every=4)
    transport = mapping.Mapping(data)
    with Accelerator(data, transport) as device:
        answers = device.classify(images, explain="none")
        ticks = iter(range(10**6))
        found = maps.measure(device, images, answers, now=lambda: next(ticks), scale=0.5)
    assert [row["method"] for row in found["methods"]] == list(mapping.BUILT)
    for row in found["methods"]:
        assert (row["maps"], row["time_per_map"], row["maps_per_second"]) == (64, 1 / 64, 128.0)
        counts = np.bincount(answers.exits, minlength=3)
        assert [e["maps"] for e in row["exits"]] == np.minimum(counts, 64).tolist()
    assert (found["every"], found["throughput_kept"]) == (10, 1.0)
    assert found["beside"] + found["missed"] == 20
    lines = maps.text(found, "seconds")
    assert lines[0].startswith("heat maps, saliency: 128 a second, 0.01562 seconds per map (exit 0")
    assert lines[-1].startswith("with one image in 10 explained 100.0% of the images a second are")


def test_an_exit_that_nobody_leaves_at(mapping):
    images = np.zeros((5, 4, 4, 1), np.uint8)
    data = mapping.manifest()
    with Accelerator(data, mapping.Mapping(data)) as device:
        answers = device.classify(images)
        found = maps.measure(device, images, answers, now=iter(range(99)).__next__)
    exits = found["methods"][0]["exits"]
    assert [e["maps"] for e in exits] == [5, 0, 0]
    assert exits[1]["time_per_map"] is exits[1]["maps_per_second"] is None
    assert "exit 1" not in maps.text(found, "cycles")[0]


def test_a_device_that_does_not_explain(null):
    data = null.manifest()
    with Accelerator(data, null.Null(data)) as device:
        assert not device.explains
        images = np.zeros((5, 4, 4, 1), np.uint8)
        assert maps.measure(device, images, device.classify(images), now=lambda: 0.0) is None


@pytest.fixture
def folder(explained, tmp_path):
    """A run folder with images."""
    found = tmp_path / "run"
    shutil.copytree(explained.folder, found)
    labels = explained.logits[-1].argmax(axis=1)
    np.savez(found / "splits.npz", test_images=explained.images, test_labels=labels)
    return found


@pytest.mark.sim
def test_all_of_it_on_the_rtl(explained, folder, monkeypatch):
    monkeypatch.setattr(processor, "SECONDS", 0.002)
    monkeypatch.setattr(processor, "LATENCIES", 5)
    transport = Simulated(folder, cache=explained.cache)
    facts = {"name": "simulated", "clock_mhz": 100.0, "sensors": {}}
    with Accelerator(folder, transport) as device:
        device.explanations.when = 5
        data = collect.collect(
            load(folder), device, now=transport.now, transport="simulated", board=facts,
            options=collect.Options(alone=5, sweep=False),
        )  # fmt: skip
        assert device.explanations.when == 5
    found = data["maps"]
    assert [row["method"] for row in found["methods"]] == [
        "saliency", "gradient-x-input", "grad-cam"
    ]  # fmt: skip
    for row in found["methods"]:
        assert row["maps"] == 48
        assert row["maps_per_second"] == pytest.approx(1e8 / row["time_per_map"])
        times = [e["time_per_map"] for e in row["exits"] if e["maps"]]
        if row["method"] != "grad-cam":  # an image that leaves early is explained by less
            assert times == sorted(times)
    assert 0.5 < found["throughput_kept"] <= 1.01
    assert data["mismatches"] == 0
    assert "heat maps, saliency: " in collect.text(data)
    bench = folder / "bench"
    bench.mkdir()
    (bench / "simulated.json").write_text(json.dumps(data))
    (part,) = report.bench(folder, {"hash": data["manifest"]})
    assert "maps per second" in json.dumps(part, default=str)


def test_the_model_brings_no_maps(explained, folder):
    """It answers as always, and says so when it is asked for one."""
    with devices.opened(folder, "modelled") as device:
        accelerator = device.accelerator
        assert not accelerator.explains
        explained.agree(accelerator.classify(explained.images))
        assert accelerator.selftest(device.golden()).images == 48
        said = (
            "A device must bring heat maps to explain images, and Modelled brings none; use the "
            "board or the simulated device."
        )
        for call in (
            lambda: accelerator.explain(explained.images),
            lambda: accelerator.classify(explained.images, explain=3),
        ):
            with pytest.raises(InputError) as caught:
                call()
            assert str(caught.value) == said


def test_a_package_tells_of_heat_maps(folder):
    config = tree.parse(
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
    deploy.deploy(config, folder, board="pynq-z2", images=5)
    with zipfile.ZipFile(folder / "deploy" / "small-pynq-z2.zip") as found:
        readme = found.read("small-pynq-z2/README.md").decode()
        names = found.namelist()
    assert "gives heat maps itself (saliency, gradient-x-input, grad-cam):\n" in readme
    assert "results = device.accelerator.explain(data[" in readme
    assert {"small-pynq-z2/exeunt/runtime/maps.py", "small-pynq-z2/exeunt/bench/maps.py"} <= {
        *names
    }
