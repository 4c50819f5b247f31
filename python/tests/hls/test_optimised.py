"""`compile.board` and `compile.resources`: what is made, what is said of it, what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt import cost
from exeunt import manifest as manifests
from exeunt.boards import targets
from exeunt.config import tree as configuration
from exeunt.errors import InputError
from exeunt.hls import bursts, chosen, optimised
from exeunt.hls import compile as compiler
from exeunt.hls.back import stitch
from exeunt.optimise.budget import Budget
from exeunt.reference import system

pytestmark = pytest.mark.usefixtures("finn")

STAGES = """
[[model.stages]]
blocks = [{ conv = 6, kernel = 3 }]
[[model.stages]]
blocks = [{ conv = 8, kernel = 3 }]
"""
REACH = (1.0, 0.25)


def settings(text: str) -> configuration.Config:
    return configuration.parse(
        f'name = "tiny"\n[data]\ndataset = "digits"\n[model]\ninput = [8, 7, 1]\nclasses = 3\n'
        f"{STAGES}[compile]\n{text}\n"
    )


@pytest.fixture(scope="module")
def model(two_exits: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_exits(tmp_path_factory.mktemp("tiny"), (8, 7, 1), 6, 8)


@pytest.fixture(scope="module")
def network(model: Path) -> Any:
    return compiler.read_network(model, config=settings("target_cycles = 60"))


def built(network: Any, text: str, reach: Any = REACH) -> Any:
    return compiler.build(network, config=settings(text), reach=reach)


def test_what_is_predicted_is_what_the_kernels_cost(network: Any) -> None:
    made = built(network, "resources = { lut = 6000, dsp = 40, bram18 = 40 }")
    found = made.optimised
    size = cost.network(made.accelerator)
    room = bursts.size(made.accelerator, made.room)
    assert found["predicted"]["lut"] == size.lut + size.control + room.lut <= 6000
    assert found["predicted"]["dsp"] == size.dsp <= 40
    assert found["predicted"]["bram18"] <= 40
    assert made.accelerator == compiler.with_fifos(made.accelerator)  # they are sized
    assert made.sized
    slow = compiler.build(network, config=settings(f"target_cycles = {found['cycles']}"),
                          reach=REACH)  # fmt: skip
    for name, fold in slow.foldings.items():  # the same bound holds for every part
        assert made.foldings[name].period <= fold.target


def test_more_of_a_board_makes_it_faster(network: Any) -> None:
    rates = [
        built(network, f"resources = {{ lut = {lut}, dsp = 0 }}").optimised["fps"]
        for lut in (4500, 7000, 12000)
    ]
    assert rates == sorted(rates)
    assert rates[0] < rates[2]
    board = built(network, 'board = "pynq-z2"\nuse = 0.1').optimised
    assert board["budget"] == {"lut": 5320, "dsp": 22, "bram18": 28}
    assert board["available"] == {"lut": 53200, "dsp": 220, "bram18": 280}
    assert board["title"] == "10% of TUL PYNQ-Z2"


def test_multipliers_are_built_as_chosen(network: Any) -> None:
    made = built(network, "resources = { lut = 12000, dsp = 0 }")
    styles = {n.multiplier for c in made.accelerator.chains for n in c.nodes if n.kind == "mvu"}
    assert styles == {"lut"}
    assert made.optimised["predicted"]["dsp"] == 0
    least = built(network, 'resources = { dsp = 60 }\nobjective = "area"\ntarget_cycles = 60')
    styles = {n.multiplier for c in least.accelerator.chains for n in c.nodes if n.kind == "mvu"}
    assert "dsp" in styles
    few = built(network, 'resources = { dsp = 16 }\nobjective = "area"\ntarget_cycles = 60')
    styles = {n.multiplier for c in few.accelerator.chains for n in c.nodes if n.kind == "mvu"}
    assert "packed" in styles  # several products in each of the few
    assert 0 < few.optimised["predicted"]["dsp"] <= 16
    assert few.optimised["predicted"]["lut"] > least.optimised["predicted"]["lut"]


def test_targets_are_kept_by_the_cycle_reference(network: Any) -> None:
    plenty = "resources = { lut = 20000, dsp = 20, bram18 = 60 }\n"
    first = built(network, plenty + 'objective = "latency"').optimised
    least = first["latency"]["alone"]["p99"]
    wish = 2.0 * least / 100
    made = built(network, plenty + f'objective = "area"\nlatency_us = {wish}')
    found = made.optimised
    assert least < found["latency"]["alone"]["p99"] <= 2 * least
    assert found["predicted"]["lut"] < first["predicted"]["lut"]
    sizes = made.room.sizes(made.accelerator)
    frame = system.predict(made.accelerator, np.array([1]), sizes=sizes, gives=False)
    assert found["latency"]["exits"][1] == frame.reported[0]
    slow = built(network, plenty + 'objective = "area"\nfps = 400000.0').optimised
    fast = built(network, plenty + 'objective = "area"\nfps = 1200000.0').optimised
    assert (slow["cycles"], fast["cycles"]) == (250, 83)
    assert slow["predicted"]["lut"] < fast["predicted"]["lut"]
    assert slow["fps"] >= 390_000
    half = built(network, plenty + 'objective = "latency"\npercentile = 50').optimised
    assert half["latency"]["alone"]["p50"] <= first["latency"]["alone"]["p50"]


def test_least_energy_is_chosen_within_a_target(network: Any) -> None:
    plenty = "resources = { lut = 20000, dsp = 20, bram18 = 60 }\ntarget_cycles = 250\n"
    few = built(network, plenty + 'objective = "area"').optimised
    found = built(network, plenty + 'objective = "energy"').optimised
    assert found["nanojoules"] < few["nanojoules"]
    assert found["predicted"]["lut"] > few["predicted"]["lut"]
    assert found["cycles_per_image"] <= 250 * 1.01
    assert f", {found['nanojoules']:,.1f} nJ an image by estimate, " in chosen.said(found)
    free = built(network, plenty.split("\n")[0] + '\nobjective = "energy"').optimised
    assert free["cycles"] is None
    assert free["nanojoules"] <= found["nanojoules"] * 1.001


def test_every_layer_is_told_with_its_runners_up(network: Any) -> None:
    found = built(network, "resources = { lut = 6000, dsp = 40 }").optimised
    assert [n["chain"] for n in found["nodes"]] == ["seg0", "head0", "seg1", "head1"]
    for node in found["nodes"]:
        assert node["cycles"] <= node["allowed"]
        assert "MVAU" in node["name"]
        for other in node["others"]:
            assert other["cycles"] <= node["allowed"]
            same = ("pe", "simd", "multiplier", "parallel_window", "cycles")
            assert any(other[k] != node[k] for k in same) or other["lut"]
    assert re.fullmatch(
        r"for the given resources: [\d,]+ of 6,000 LUT, \d+ of 40 DSP, \d+ BRAM18 predicted, "
        r"[\d,]+ frames/s, p99 of the latency [\d,]+ cycles, chosen in [\d.]+ s",
        chosen.said(found),
    )


def test_a_folding_file_is_heeded(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "fold.json"
    path.write_text(json.dumps({"Defaults": {}, "seg0_MVAU_rtl_0": {"PE": 3}}))
    text = f'resources = {{ lut = 9000, dsp = 40 }}\nfolding = "{path}"'
    node = built(network, text).optimised["nodes"][0]
    assert (node["name"], node["pe"]) == ("seg0_MVAU_rtl_0", 3)
    path.write_text(json.dumps({"seg9_MVAU_rtl_0": {"PE": 3}}))
    with pytest.raises(InputError, match="names seg9_MVAU_rtl_0, which is no FINN node of this"):
        built(network, text)


def test_the_exits_of_calibration_are_played(network: Any) -> None:
    """Frames that all leave early pass quicker than frames that all stay."""
    config = settings("resources = { lut = 6000, dsp = 40 }\nheadroom = 1.0")
    paces = []
    for text in ("0" * 300, "0001" * 75, "1" * 300):
        found = compiler.build(network, config=config, reach=REACH, sequence=text).optimised
        assert found is not None
        assert found["latency"]["frames"] == 300
        paces.append(found["cycles_per_image"])
    assert paces[0] <= paces[1] < paces[2]
    with pytest.raises(InputError) as error:
        compiler.build(network, config=config, reach=REACH, sequence="0021")
    assert str(error.value) == (
        "sequence of exits.json must be a text of exits 0 to 1, a digit each, got '2' in it: "
        "calibrate again, or take it out"
    )


@pytest.mark.parametrize("text", ["resources = { lut = 6000, dsp = 40 }", "target_cycles = 60"])
def test_room_for_bursts_is_built_as_it_was_found(network: Any, tmp_path: Path, text: str) -> None:
    frames = "0001" * 100 + "1" * 20
    reach = (1.0, 0.286)
    config = settings(text)
    made = compiler.build(network, config=config, reach=reach, sequence=frames)
    assert made.bursts is not None
    assert made.bursts["found"]
    assert made.bursts["of_ideal"] >= 0.9  # of a sequence with a burst in it
    data = stitch.write(made.accelerator, tmp_path, **compiler.held(made, config)).data
    words = made.accelerator.segments[0].output.words
    assert data["buffers"] == [made.bursts["buffers"][0] * words]
    assert data["entries"][1] == made.bursts["queues"][0] * words
    assert data["in_flight"] == made.bursts["in_flight"]
    assert system.Sizes.of(data) == made.room.sizes(made.accelerator)
    fixed = settings(text + "\nbuffer_frames = 3\nin_flight = 8\nheadroom = 2.0")
    other = compiler.build(network, config=fixed, reach=reach, sequence=frames)
    assert other.room.buffers == (3,)
    assert other.room.in_flight == 8
    assert other.bursts["intervals"][1] <= made.bursts["intervals"][1]


def test_later_stages_get_the_head_room_that_bursts_ask_for(network: Any) -> None:
    """Frames that go on one behind the other, for longer than anything can hold."""
    calm = compiler.build(
        network, config=settings("target_cycles = 60"), reach=(1.0, 0.25), sequence="0001" * 150
    )
    burst = compiler.build(
        network, config=settings("target_cycles = 60"), reach=(1.0, 0.25),
        sequence=("0" * 480 + "1" * 160) * 3,
    )  # fmt: skip
    assert burst.bursts["intervals"][1] < calm.bursts["intervals"][1]
    assert calm.bursts["of_ideal"] >= 0.99


def test_the_pace_is_that_of_a_full_accelerator() -> None:
    filling = np.array([0, 1, 2, 3, 13, 23, 33, 43, 53, 63, 73, 83])
    assert bursts.pace(filling) == 10.0
    assert bursts.pace(np.array([5])) == 0.0


def test_percentiles_go_by_rates() -> None:
    leaves = bursts.rates((1.0, 0.2, 0.02), 3)
    assert leaves == pytest.approx([0.8, 0.18, 0.02])
    found = [bursts.percentile([10, 40, 90], leaves, p) for p in (50, 95, 98, 99)]
    assert found == [10, 40, 40, 90]
    assert bursts.rates(None, 3) == [0.0, 0.0, 1.0]


REFUSED = [
    (
        'board = "pynq-z3"',
        "board must be one of .* or a folder with a board.toml, got 'pynq-z3': did you mean "
        "'pynq-z[12]'",
    ),
    (
        'board = "ulx3s-85f"',
        "compile.board must be a board of family xc7 or xcup, whose LUT the sizes of kernels are "
        "of, got ulx3s-85f of family ecp5: give compile.resources in LUT6, or target_cycles$",
    ),
    (
        'board = "pynq-z2"\nresources = { dsp = 300 }',
        "compile.resources.dsp must be at most the 220 DSP of board pynq-z2, got 300: give less, "
        "or leave out board$",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_boards_that_will_not_do(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        optimised.limits(settings(text).compile)


def test_what_a_board_leaves() -> None:
    both = optimised.limits(settings('board = "pynq-z2"\nresources = { dsp = 10 }').compile)
    assert both.budget == Budget(42560, 10, 224)
    own = optimised.limits(settings("resources = { lut = 5000 }").compile)
    assert own.budget == Budget(5000)
    assert {f for f in optimised.FAMILIES} <= {targets.load(n).family for n in targets.names()}


def test_resources_that_are_too_few(network: Any) -> None:
    with pytest.raises(InputError) as error:
        built(network, "resources = { lut = 2000 }")
    assert re.fullmatch(
        r"the resources must hold the network, which takes [\d,]+ LUT at least without its "
        r"controller \(941\), got 1,059 for it: [\d,]+ LUT more are needed; most go to \w+ "
        r"\([\d,]+\)",
        str(error.value),
    )


def test_the_step_writes_and_says_it(model: Path, tmp_path: Path) -> None:
    """Files, report and the line of `exeunt compile`; the twin takes no more of anything."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "model.onnx").write_bytes(model.read_bytes())
    (run_dir / "exits.json").write_text(json.dumps({"thresholds": [7, None], "reach": REACH}))
    said: list[str] = []
    compiler.compile(
        settings('board = "pynq-z2"\nuse = 0.15'), run_dir,
        progress=lambda done, total, text: said.append(text),
    )  # fmt: skip
    assert "for 15% of TUL PYNQ-Z2: " in said[-1]
    section = json.loads((run_dir / "report.json").read_text())["compile"]
    predicted, twin = section["optimiser"]["predicted"], section["baseline"]["predicted"]
    assert all(twin[name] <= predicted[name] for name in predicted)
    base = manifests.read(run_dir / "baseline")
    assert base.data["equal"] == "resources"
    assert len(base.accelerator().heads) == 1
    assert not (run_dir / "baseline" / "ladder").exists()
    folding = json.loads((run_dir / "report" / "auto_folding_config.json").read_text())
    for node in section["optimiser"]["nodes"]:
        assert folding[node["name"]]["PE"] == node["pe"]
        assert folding[node["name"]]["SIMD"] == node["simd"]
    text = "".join(p.read_text() for p in (run_dir / "rtl").glob("*.sv"))
    assert ".MULTIPLIERS(1)" in text.replace(" ", "")
