"""QONNX to answers with FINN's RTL kernels: three exits, bulk simulation against the reference."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.config import tree as configuration
from exeunt.criteria import margin
from exeunt.hls import compile as compiler
from exeunt.hls.back import stitch
from exeunt.hls.front import finn_env
from exeunt.reference import network
from exeunt.simulate import answers, bulk, verilator

pytestmark = pytest.mark.sim

FRAMES = 200
CONFIG = """
name = "tiny"
[data]
dataset = "digits"
[model]
source = "qonnx:x.onnx"
input = [8, 6, 1]
classes = 5
[compile]
kernels = "{kernels}"
target_cycles = {cycles}
"""


def three_exits(b: Any) -> Any:
    x = b.pool(b.conv("image", 4, pad=1))
    b.exit(b.linear(x, 5))
    x = b.conv(x, 6, pad=1)
    b.exit(b.linear(x, 5))
    b.exit(b.linear(b.conv(x, 4), 5))
    return b


@pytest.mark.parametrize("cycles", [400, pytest.param(60, marks=pytest.mark.slow)])
def test_finns_kernels_answer_as_the_reference(builder: type, tmp_path: Path, cycles: int) -> None:
    path = three_exits(builder((8, 6, 1))).save(tmp_path / "model.onnx")
    config = configuration.parse(CONFIG.format(cycles=cycles, kernels="finn"))
    finn_env.prepare()
    with finn_env.quiet():
        found = compiler.compile_network(path, config=config)
    accelerator = compiler.with_fifos(found)
    backends = Counter(
        (node.kind, node.backend) for chain in accelerator.chains for node in chain.nodes
    )
    assert {"mvu", "threshold", "width"} <= {k for k, backend in backends if backend == "finn"}

    images = np.random.default_rng(0).integers(0, 256, (FRAMES, 8, 6, 1), dtype=np.uint8)
    logits = network.run(accelerator, images).logits
    margins = [margin.values(x).scores for x in logits]
    first = int(np.median(margins[0]))
    later = int(np.median(margins[1][margins[0] < first]))
    design = stitch.write(accelerator, tmp_path / "run", thresholds=[first, later, None])
    assert any(source.name == "ex_finn_mvu.sv" for source in design.sources)
    library = verilator.build(design, cache=tmp_path / "models")

    answered = answers.answer(design, library, images, logits)
    assert not len(answered.wrong)
    assert all((answered.got["exit"] == e).sum() > 10 for e in range(3))
    checked, _ = answers.check_cycles(design, accelerator, answered)
    assert abs(checked["cycles_predicted"] / checked["cycles_total"] - 1) <= 0.01
    for idle, stall in ((0.5, 0.5), (0.0, 0.9)):
        settings = bulk.Settings(idle=idle, stall=stall, seed=3)
        assert not len(answers.answer(design, library, images, logits, settings=settings).wrong)


@pytest.mark.bench
def test_simulation_of_ours_beside_finns(builder: type, tmp_path: Path) -> None:
    """The same network and images through the bulk simulation, processor seconds of each."""
    b = builder((8, 8, 1))
    x = b.conv(b.conv("image", 16, pad=1), 16, pad=1)
    b.exit(b.linear(b.pool(x), 5))
    path = b.save(tmp_path / "model.onnx")
    images = np.random.default_rng(0).integers(0, 256, (4_000, 8, 8, 1), dtype=np.uint8)
    for cycles, least in ((576, 3.0), (4096, 2.0)):
        spent: dict[str, float] = {}
        for kernels in ("finn", "exeunt"):
            text = CONFIG.format(cycles=cycles, kernels=kernels).replace("[8, 6, 1]", "[8, 8, 1]")
            finn_env.prepare()
            with finn_env.quiet():
                found = compiler.compile_network(path, config=configuration.parse(text))
            accelerator = compiler.with_fifos(found)
            logits = network.run(accelerator, images).logits
            design = stitch.write(accelerator, tmp_path / f"{kernels}{cycles}", thresholds=[None])
            library = verilator.build(design, cache=tmp_path / "models")
            answered = answers.answer(design, library, images, logits)
            assert not len(answered.wrong)
            spent[kernels] = answered.slices[0].processor
            said = answered.slices[0].trace.cycles
            print(f"\n{cycles} cycles, {kernels}: {said} cycles, {spent[kernels]:.2f} s", end="")
        ratio = spent["finn"] / spent["exeunt"]
        print(f": {ratio:.1f} times")
        assert ratio >= least, f"FINN's kernels must take {least:g} times as long, take {ratio:.1f}"
