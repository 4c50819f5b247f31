"""What the explanation path of a design refuses, and what it leaves as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from exeunt import rules, samples
from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.explain import hardware
from exeunt.explain.hardware import Explained
from exeunt.graph import Accelerator, Integer, Stream
from exeunt.hls import explained
from exeunt.hls.back import stitch, stitch_explain
from exeunt.kernels.layer import Matrix


def made(graphs: ModuleType, name: str, *methods: str) -> tuple[Accelerator, Explained]:
    whole = graphs.straight(graphs.GRAPHS[name]())
    return whole, hardware.calibrated(whole, graphs.frames(whole, 8), methods=methods)


def refused(accelerator: Accelerator, found: Explained) -> str:
    with pytest.raises(InputError) as caught:
        stitch_explain.describe(accelerator, found)
    return str(caught.value)


def test_a_design_without_explanations_is_what_it_was(graphs: ModuleType, tmp_path: Path) -> None:
    whole, found = made(graphs, "three exits", "saliency")
    plain = stitch.write(whole, tmp_path / "plain")
    assert hardware.KEY not in plain.data
    assert "explain_every" not in plain.data["registers"]
    texts = {p.name: p.read_text() for p in (tmp_path / "plain" / "rtl").glob("*.sv")}
    assert not [name for name in texts if "explain" in name]
    assert "map_valid" not in texts["exeunt_core.sv"]
    with_maps = stitch.write(whole, tmp_path / "maps", explained=found)
    assert with_maps.data[hardware.KEY]["methods"] == ["saliency"]
    assert with_maps.data["registers"]["explain_every"]["address"] == 0x140
    assert with_maps.data["cycles"] == plain.data["cycles"]
    assert with_maps.data["design_hash"] != plain.data["design_hash"]
    kernels = {k["node"]: k for k in with_maps.data["kernels"]}
    watched = [k for k in kernels.values() if k["parameters"].get("EDGES") == 1]
    assert watched
    files = {p.name for p in (tmp_path / "maps" / "rtl").iterdir()}
    assert all(set(k["memories"]) <= files for k in watched)
    assert stitch.write(whole, tmp_path / "again", explained=found).hash == with_maps.hash


def test_one_stream_is_watched_in_one_place(graphs: ModuleType) -> None:
    """Copies and width converters have no watch of their own."""
    for name in ("three exits", "sums and concatenation"):
        whole, found = made(graphs, name, "saliency", "grad-cam")
        seen = stitch_explain.describe(whole, found)
        assert seen is not None
        kinds = {n.name: n.kind for chain in whole.chains for n in chain.nodes}
        assert not {kinds[w] for w in seen.watches if w != "image"} & {"width", "duplicate"}
        assert len(seen.pools) == len({pool.watch.name for pool in seen.pools})


def test_overlapping_maxima(graphs: ModuleType) -> None:
    whole, found = made(graphs, "groups, overlapping maximum", "saliency")
    assert refused(whole, found) == (
        "a max pool must have windows side by side to be explained in hardware, got kernel "
        "(3, 3), stride (2, 2) and padding (1, 1, 1, 1) behind seg0_mvu0: use one of kernel and "
        "stride 2, or leave explain.hardware out"
    )


def test_images_of_many_pixels_a_beat(graphs: ModuleType) -> None:
    random = np.random.default_rng(0)
    four, byte, wide = Integer(4), Integer(8), Integer(20, signed=True)
    weights = random.integers(-7, 8, (8, 64))
    hidden = Matrix(
        (1, 1, 64), byte, (1, 1, 8), four, columns=64, weight_bits=4, levels=15, accumulator=wide,
        arrays={"weights": weights, "thresholds": np.tile(np.arange(15) * 900, (8, 1))},
    )  # fmt: skip
    last = Matrix(
        (1, 1, 8), four, (1, 1, 5), wide, columns=8, weight_bits=4, accumulator=wide,
        arrays={"weights": random.integers(-7, 8, (5, 8))},
    )  # fmt: skip
    flat = graphs.compiled([[hidden], [last]], Stream((1, 1, 64), byte, 8), 0)
    whole = dataclasses.replace(flat, image=(8, 8, 1))
    images = graphs.frames(whole, 8)
    found = hardware.calibrated(whole, images, methods=("gradient-x-input",))
    assert refused(whole, found) == (
        "images must come with a divisor of their 1 channels a beat to be kept for explanations, "
        "got 8: fold the first layer less, or choose a method that does not multiply with the image"
    )
    found = hardware.calibrated(whole, images, methods=("saliency",))
    assert stitch_explain.describe(whole, found) is not None


def test_further_looks(graphs: ModuleType) -> None:
    whole, found = made(graphs, "three exits", "saliency")
    look = (rules.Rule((), rules.Modification(dx=1)),)
    again = rules.RuleSet((8, 8, 1), (), looks=(look,), thresholds=(10,))
    looked = dataclasses.replace(whole, rules=again)
    assert refused(looked, found) == (
        "explanations in hardware must go without further looks, got 1: leave the looks out, or "
        "explain.hardware"
    )


def test_no_method(graphs: ModuleType) -> None:
    whole = graphs.GRAPHS["three exits"]()
    with pytest.raises(InputError) as caught:
        hardware.calibrated(whole, np.zeros((1, 8, 8, 1), np.uint8), methods=())
    assert str(caught.value) == (
        "explanations in hardware must have a method, got none: choose of saliency, "
        "gradient-x-input, guided-backprop, deconvnet, grad-cam"
    )


def test_no_images_to_choose_scales_by(tmp_path: Path) -> None:
    config = tree.load("digits")
    assert explained.of(samples.accelerator(), config, tmp_path) is None
    wanted = config.explain.model_validate({"hardware": True})
    asked = config.model_copy(update={"explain": wanted})
    with pytest.raises(InputError) as caught:
        explained.of(samples.accelerator(), asked, tmp_path)
    assert str(caught.value) == (
        "explanations in hardware must have validation images to choose their scales by, got no "
        f"{tmp_path}/splits.npz: calibrate first, or leave explain.hardware out"
    )
