"""Fixtures that several tests share."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from exeunt import registers, samples
from exeunt.config import tree
from exeunt.report import store
from exeunt.simulate import verilator


def _loaded(file: str) -> ModuleType:
    """A file of these tests, which are no package."""
    path = Path(__file__).parent / file
    spec = importlib.util.spec_from_file_location(f"tests_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def quick_models() -> Iterator[None]:
    """Simulations are compiled quickly: tests run few cycles, and wait for the compiler instead.

    `inspect.unwrap(verilator.build)` compiles as users do, and so does what runs in other
    processes; `simulate/test_simulate.py` tests that models of both kinds answer the same.
    """
    plain = verilator.build

    @functools.wraps(plain)
    def quickly(manifest, **more):
        options = more.pop("options", verilator.Options())
        if not options.waves:
            options = dataclasses.replace(options, quick=True)
        return plain(manifest, options=options, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verilator, "build", quickly)
        yield


@pytest.fixture(scope="session")
def builder() -> type:
    """Small quantized networks written straight as QONNX graphs: `qonnx/builder.py`."""
    return _loaded("qonnx/builder.py").Builder


@pytest.fixture(scope="session")
def rooms() -> ModuleType:
    """Who names a kind, and a copy of the tree with a new one: `rooms.py`."""
    return _loaded("rooms.py")


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run folder as all steps leave it, with made-up numbers."""
    return finished_run(tmp_path / "run")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as `exeunt compile` leaves it, of a small random network; do not write to it."""
    return compiled_run(tmp_path_factory.mktemp("compiled") / "run")


def compiled_run(folder: Path, count: int = 60) -> Path:
    from exeunt.criteria import margin
    from exeunt.hls.back import stitch
    from exeunt.reference import network

    folder.mkdir(parents=True)
    graph = samples.accelerator(seed=3)
    images = samples.images(count, seed=1)
    logits = network.run(graph, images).logits
    scores = [margin.values(values).scores for values in logits]
    first = int(np.quantile(scores[0], 0.6))
    limits = [first, int(np.median(scores[1][scores[0] < first]))]
    stitch.write(graph, folder, thresholds=[*limits, None], extra={"clock_mhz": 100.0})
    labels = logits[-1].argmax(axis=1)
    np.savez(folder / "splits.npz", test_images=images, test_labels=labels)
    curve = [[registers.NEVER] * 2, limits, [0, registers.NEVER]]
    points = [
        {"thresholds": t, "macs": 900 - 300 * i, "accuracy": 1.0} for i, t in enumerate(curve)
    ]
    exits = {"curve": points, "logit_scales": [1.0] * 3}
    (folder / "exits.json").write_text(json.dumps(exits))
    return folder


def finished_run(folder: Path, frames: int = 60) -> Path:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    (folder / "config.toml").write_text(tree.to_toml(tree.load("digits")))
    images = random.integers(0, 256, (frames, 8, 8, 1), dtype=np.uint8)
    labels = random.integers(0, 10, frames)
    np.savez(folder / "splits.npz", test_images=images, test_labels=labels)
    history = [
        {"epoch": i, "loss": 2.0 * 0.9**i, "accuracy": [1 - 0.5 * 0.9**i, 1 - 0.4 * 0.88**i, 0.97]}
        for i in range(30)
    ]
    (folder / "training.json").write_text(json.dumps({"history": history}))
    curve = [
        {"macs": 2000 + 900 * i, "accuracy": 0.9 + 0.08 * (1 - 0.7**i), "drop": 0.0}
        for i in range(12)
    ]
    exits = {
        "schema": 1,
        "criterion": "margin",
        "thresholds": [31, 18, None],
        "curve": curve,
        "chosen": curve[6],
        "images": 215,
    }
    (folder / "exits.json").write_text(json.dumps(exits))
    left = random.choice(3, frames, p=[0.6, 0.25, 0.15])
    accept = np.arange(frames) * 70
    decide = accept[:, None] + np.array([[150, 420, 800]])
    answers = labels.copy()
    answers[:4] = (answers[:4] + 1) % 10
    leaves = np.take_along_axis(decide, left[:, None], 1)[:, 0] + 2
    simulation = {
        "schema": 1,
        "accepts": accept.tolist(),
        "decides": [decide[left >= i, i].tolist() for i in range(3)],
        "exits": left.tolist(),
        "leaves": leaves.tolist(),
        "answers": {"class": answers.tolist(), "exit": left.tolist()},
    }
    (folder / "simulation.json").write_text(json.dumps(simulation))
    (folder / "manifest.json").write_text(json.dumps(_manifest()))
    (folder / "report").mkdir()
    estimate = {"critical_path_cycles": 1234, "max_cycles": 576}
    (folder / "report" / "estimate_network_performance.json").write_text(json.dumps(estimate))
    blocks = [
        {"name": name, "module": kind, "level": level, "lut": lut, "ff": lut // 2, "dsp": 0}
        | {"bram18": lut // 400}
        for name, kind, level, lut in (
            ("buffer0", "ex_frame_buffer", 1, 120),
            ("head0", "head0", 1, 300),
            ("seg0", "seg0", 1, 1400),
            ("seg0_mvu0", "ex_mvu", 2, 900),
            ("seg1", "seg1", 1, 2100),
        )
    ]
    total = {
        k: sum(b[k] for b in blocks if b["level"] == 1) for k in ("lut", "ff", "dsp", "bram18")
    }
    store.update(
        folder,
        {
            "name": "digits",
            "config_hash": "0" * 64,
            "accuracy": {
                "float": 0.983,
                "quantized_last_exit": 0.978,
                "early_exit": 0.975,
                "images": frames,
            },
            "exits": [
                {"index": i, "rate": r, "accuracy": a, "reach": p, "macs": m, "latency_cycles": c}
                for i, (r, a, p, m, c) in enumerate(
                    [
                        (0.6, 0.99, 1.0, 9000, 150),
                        (0.25, 0.98, 0.4, 21000, 420),
                        (0.15, 0.9, 0.15, 60000, 800),
                    ]
                )
            ],
            "simulation": {
                "engine": "Verilator",
                "images": frames,
                "mismatches": 0,
                "cycles_per_image": 70.4,
                "images_per_second": 21000.0,
                "cycles_per_second": 1500000.0,
            },
            "cycle_reference": {"max_relative_error": 0.0021},
            "hardware": {
                "clock_mhz": 100.0,
                "throughput_fps": 1420000.0,
                "lanes": 96,
                "multiplies_per_image": 20100.0,
                "multiplies_saved": 0.62,
                "baseline": {"throughput_fps": 700000.0, "lanes": 94},
                "equal": {
                    "multipliers": {
                        "speedup": 2.03,
                        "ours": {"multipliers": 96, "cycles_per_image": 70.4},
                        "baseline": {"multipliers": 94, "cycles_per_image": 142.9},
                    }
                },
            },
            "synthesis": [
                {"target": "xc7", "tool": "Yosys 0.70", "blocks": blocks, "resources": total}
            ],
        },
    )
    return folder


def _manifest() -> dict:
    def stream(shape, bits, lanes):
        return {"shape": shape, "dtype": {"bits": bits, "signed": False}, "lanes": lanes}

    swg = {
        "kind": "swg",
        "name": "seg0_swg0",
        "input": stream([8, 8, 1], 8, 1),
        "output": stream([8, 8, 9], 8, 9),
        "finn": ["ConvolutionInputGenerator_rtl_0"],
    }
    mvu = {
        "kind": "mvu",
        "name": "seg0_mvu0",
        "input": stream([8, 8, 9], 8, 9),
        "output": stream([8, 8, 8], 4, 8),
        "finn": ["MVAU_rtl_0"],
    }
    chain = {"name": "seg0", "nodes": [swg, mvu], "fifos": [2, 4]}
    head = {"name": "head0", "nodes": [], "fifos": []}
    return {
        "hash": "1" * 64,
        "files": {"rtl/a.sv": "2" * 64},
        "exits": [{"threshold": 31}, {"threshold": 18}, {"threshold": -(1 << 31)}],
        "graph": {"segments": [chain], "heads": [head]},
    }
