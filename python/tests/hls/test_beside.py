"""What stands beside the kernels is in a design's size, and within what it may take."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt import cost, hold, rules
from exeunt.config import tree as configuration
from exeunt.config.explain import Hardware
from exeunt.errors import InputError
from exeunt.hls import beside as besides
from exeunt.hls import bursts, chosen, explained
from exeunt.hls import compile as compiler
from exeunt.hls.back import stitch
from exeunt.hls.beside import Beside
from exeunt.kernels.parts.size import Size
from exeunt.reference.frames import Room
from exeunt.rules import Condition, Modification, Rule, RuleSet, gain

pytestmark = pytest.mark.usefixtures("finn")

SHAPE, REACH = (8, 8, 1), (1.0, 0.25)
IMAGES = np.random.default_rng(0).integers(0, 256, (16, *SHAPE)).astype(np.uint8)
STAGES = """
[[model.stages]]
blocks = [{ conv = 6, kernel = 3 }]
[[model.stages]]
blocks = [{ conv = 8, kernel = 3 }]
"""
RULES = RuleSet(
    SHAPE,
    (
        Rule((Condition("mean", "<", 400),), Modification(table=gain(1.3))),
        Rule((), Modification(dx=1)),
    ),
)
LOOKS = RuleSet(SHAPE, (), ((Rule((), Modification(dx=1)),),), (50,))
PLENTY = "resources = { lut = 30000, dsp = 60, bram18 = 60 }"


def settings(text: str) -> configuration.Config:
    return configuration.parse(
        f'name = "tiny"\n[data]\ndataset = "digits"\n[model]\ninput = {list(SHAPE)}\nclasses = 3\n'
        f"{STAGES}[compile]\n{text}\n"
    )


@pytest.fixture(scope="module")
def model(two_exits: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_exits(tmp_path_factory.mktemp("tiny"), SHAPE, 6, 8)


@pytest.fixture(scope="module")
def network(model: Path) -> Any:
    return compiler.read_network(model, config=settings("target_cycles = 100"))


def explaining(**given: Any) -> Beside:
    return Beside(Hardware(**given), IMAGES)


def built(network: Any, text: str, beside: Beside = besides.NOTHING) -> Any:
    return compiler.build(network, config=settings(text), reach=REACH, beside=beside)


def test_the_engine_is_within_the_resources(network: Any) -> None:
    """What holds the network alone does not hold it with its engine; more does, and is not full."""
    alone = built(network, "resources = { lut = 4000, dsp = 60 }")
    assert alone.optimised["beside"] == {}
    with pytest.raises(InputError) as error:
        built(network, "resources = { lut = 4000, dsp = 60 }", explaining())
    found = re.fullmatch(
        r"the resources must hold the network, which takes ([\d,]+) LUT at least without its "
        r"controller \(941\) and explanations \(([\d,]+)\), got ([\d,]+) for it: ([\d,]+) LUT more "
        r"are needed; most go to \w+ \([\d,]+\)",
        str(error.value),
    )
    assert found, str(error.value)
    least, engine, left, more = (int(text.replace(",", "")) for text in found.groups())
    assert left == max(0, 4000 - 941 - engine)
    assert more == least - (4000 - 941 - engine)
    text = f"resources = {{ lut = {4000 + more + 300}, dsp = 60 }}"
    made = built(network, text, explaining())
    taken, size = made.optimised["beside"]["explanations"], made.optimised["predicted"]
    assert size["lut"] <= 4000 + more + 300
    assert taken["lut"] == pytest.approx(engine, rel=0.2)  # taps follow the lanes that were chosen
    kernels, room = cost.network(made.accelerator), bursts.size(made.accelerator, made.room)
    assert size["lut"] == kernels.lut + kernels.control + room.lut + taken["lut"]
    assert size["dsp"] == kernels.dsp + taken["dsp"] <= 60
    assert size["bram18"] == kernels.bram18 + room.bram18 + taken["bram18"]
    faster = built(network, text)
    assert faster.optimised["cycles"] < made.optimised["cycles"]  # the room is the kernels' then
    line = chosen.said(made.optimised)
    assert f" predicted (explanations {taken['lut']:,} LUT of it), " in line


def test_everything_takes_its_part(network: Any) -> None:
    every = Beside(Hardware(), IMAGES, RULES, holds=True)
    made = built(network, PLENTY, every)
    found = made.optimised["beside"]
    assert list(found) == ["explanations", "rules", "hold"]
    assert all(size["lut"] > 100 for size in found.values())
    assert found["explanations"]["dsp"] >= 9  # a product a lane, and the scale
    assert (found["hold"]["dsp"], found["hold"]["bram18"]) == (0, 0)
    sizes = every.sizes(made.accelerator, made.room)
    assert besides.told(sizes) == found
    none = every.sizes(made.accelerator, made.room, dsp=False)
    assert none["explanations"].dsp == 0
    assert none["explanations"].lut > sizes["explanations"].lut + 300
    more = Beside(Hardware(lanes=32, slots=8), IMAGES).sizes(made.accelerator, made.room)
    assert more["explanations"].lut > 1.5 * sizes["explanations"].lut
    looks = Beside(ruled=LOOKS).sizes(made.accelerator, made.room)
    plain = Beside(ruled=RuleSet(SHAPE, LOOKS.looks[0])).sizes(made.accelerator, made.room)
    assert looks["rules"].lut > plain["rules"].lut


def test_the_blocks_that_are_sized_are_those_that_are_built(network: Any, tmp_path: Path) -> None:
    every = Beside(Hardware(methods=("gradient-x-input", "grad-cam")), IMAGES, RULES, holds=True)
    accelerator = every.dressed(built(network, "target_cycles = 100").accelerator)
    assert every.hardware is not None
    engine = explained.made(accelerator, every.hardware, IMAGES)
    stitch.write(
        accelerator, tmp_path, explained=engine, holds=hold.Asked((0.5,), 64, 0.1, 0.1, 1.0)
    )
    room = Room((4,), (2,), 16)
    sized = [block for _, block, _ in every.blocks(accelerator, room)]
    text = "".join(p.read_text() for p in tmp_path.glob("rtl/exeunt_*.sv"))
    for name in {"ex_explain_tap", "ex_explain_pool", "ex_explain", "ex_rules", "ex_hold"}:
        assert sized.count(name) == len(re.findall(rf"^  {name} #", text, re.M)), name
    edges = "".join(p.read_text() for p in tmp_path.glob("rtl/*.sv"))
    assert sized.count("edges") == len(re.findall(r"\.EDGES\(1\)", edges)) > 0
    numbers = {block: given for _, block, given in every.blocks(accelerator, room)}
    for key, value in numbers["ex_explain"].items():
        assert re.search(rf"\.{key}\({value}\)", text), key


def test_the_step_writes_it(model: Path, tmp_path: Path) -> None:
    """The report has it, and the network without exits gets none of its room."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "model.onnx").write_bytes(model.read_bytes())
    exits = {"thresholds": [7, None], "reach": REACH, rules.KEY: rules.to_json(RULES)}
    (run_dir / "exits.json").write_text(json.dumps(exits))
    config = settings("hold = true\n" + PLENTY + "\n[explain]\nhardware = true")
    with pytest.raises(InputError, match="explanations in hardware must have validation images"):
        compiler.compile(config, run_dir)
    labels = np.arange(len(IMAGES)) % 3
    named = {"validation_labels": labels, "classes": np.array(["a", "b", "c"])}
    np.savez(run_dir / "splits.npz", validation_images=IMAGES, **named)
    compiler.compile(config, run_dir)
    section = json.loads((run_dir / "report.json").read_text())["compile"]
    found, design = section["beside"], section["optimiser"]
    assert set(found) == set(design["beside"]) == {"explanations", "rules", "hold"}
    assert found["rules"] == design["beside"]["rules"]
    room = Size(**design["predicted"]).lut - sum(s["lut"] for s in design["beside"].values())
    assert section["baseline"]["predicted"]["lut"] <= room
