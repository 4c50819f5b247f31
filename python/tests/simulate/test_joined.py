"""Networks whose streams part and meet, as RTL: every word and every cycle, and what is broken."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from exeunt import manifest, samples
from exeunt.graph import Accelerator
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest
from exeunt.reference import network, pipeline, tokens
from exeunt.simulate import answers, bulk, localise, verilator

pytestmark = pytest.mark.sim
FRAMES = 60


@dataclass(frozen=True)
class Design:
    """A compiled accelerator with images and what the reference answers."""

    accelerator: Accelerator
    manifest: Manifest
    library: Path
    images: npt.NDArray[np.uint8]
    logits: tuple[npt.NDArray[np.int64], ...]


def compiled(whole: Accelerator, folder: Path) -> Design:
    """RTL with thresholds at which about half of the images leave at each exit."""
    size = whole.segments[0].input.shape[0]
    images = samples.images(FRAMES, size=size, channels=2, seed=1)
    logits = network.run(whole, images, streams=True).logits
    two = [np.sort(x, axis=1)[:, -2:] for x in logits[:-1]]
    limits = [int(np.median(x[:, 1] - x[:, 0])) for x in two]
    found = stitch.write(whole, folder / "run", thresholds=[*limits, None])
    library = verilator.build(found, cache=folder / "cache")
    return Design(whole, found, library, images, logits)


def check(design: Design) -> dict[str, int]:
    """Answers without and with pauses, cycles of the system, cycles of every block."""
    assert any(np.ptp(x, axis=0).any() for x in design.logits), "it answers always the same"
    arguments = (design.manifest, design.library, design.images, design.logits)
    found = answers.answer(*arguments)
    assert not len(found.wrong)
    cycles, _ = answers.check_cycles(design.manifest, design.accelerator, found)
    assert cycles["max_relative_error"] == cycles["max_frame_error"] == 0.0
    assert cycles["frames_exact"] == FRAMES
    blocks = answers.check_blocks(*arguments[:1], design.accelerator, *arguments[1:3])
    assert blocks["blocks_inexact"] == []
    for idle, stall in ((0.6, 0.0), (0.0, 0.9), (0.5, 0.5)):
        settings = bulk.Settings(idle=idle, stall=stall, seed=3)
        assert not len(answers.answer(*arguments, settings=settings).wrong), settings
    return {"cycles": found.cycles, "blocks": blocks["blocks_exact"]}


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Design:
    return compiled(samples.residual(lanes=2), tmp_path_factory.mktemp("residual"))


def test_residual(residual: Design) -> None:
    exits = answers.answer(
        residual.manifest, residual.library, residual.images, residual.logits
    ).got["exit"]
    assert 10 < (exits == 0).sum() < FRAMES - 10
    nodes = sum(len(chain.nodes) for chain in residual.accelerator.chains)
    assert check(residual)["blocks"] == nodes


def _edited(design: Design, old: str, new: str, folder: Path) -> tuple[Manifest, Path]:
    """The design with a text of its first segment replaced, compiled."""
    shutil.copytree(design.manifest.folder, folder / "run")
    path = folder / "run" / "rtl" / "seg0.sv"
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))
    found = manifest.write(folder / "run", dict(design.manifest.data))
    return found, verilator.build(found, cache=folder / "cache")


def test_a_word_of_an_arm_that_goes_wrong_is_found(residual: Design, tmp_path: Path) -> None:
    """The thresholds at the end of the long arm turn a word of the third frame around."""
    node = next(n for n in residual.accelerator.segments[0].nodes if n.name == "seg0_threshold1")
    words = node.output.words
    old = ".m_data(seg0_threshold1_data)"
    new = (
        ".m_data(arm_right), .busy(seg0_threshold1_busy), .m_edge());\n"
        f"  wire [{node.output.width - 1}:0] arm_right;\n  logic [31:0] words;\n"
        "  always_ff @(posedge clk) if (rst) words <= 0;\n"
        "    else if (seg0_threshold1_valid && seg0_threshold1_ready) words <= words + 1;\n"
        f"  assign seg0_threshold1_data = arm_right ^ {{{node.output.width}{{words == "
        f"{2 * words + 7}}}}};\n"
    )
    text = (residual.manifest.folder / "rtl" / "seg0.sv").read_text()
    rest = ",\n      .busy(seg0_threshold1_busy),\n      .m_edge()\n  );"
    assert old + rest in text
    wrong, library = _edited(residual, old + rest, new, tmp_path)
    found = answers.answer(wrong, library, residual.images, residual.logits)
    frame = int(found.wrong[0]) if len(found.wrong) else 2
    difference = localise.locate(wrong, residual.images, frame, first=0, cache=tmp_path / "cache")
    assert difference is not None
    assert (difference.frame, difference.node, difference.word) == (2, "seg0_threshold1", 7)
    mask = (1 << node.output.width) - 1
    assert int(difference.got, 16) ^ int(difference.expected, 16) == mask


def test_a_word_less_and_everything_stands_still(residual: Design, tmp_path: Path) -> None:
    """The FIFO of the short arm, one word shorter: the reference says so, and so it is."""
    segment, head = residual.accelerator.segments[0], residual.accelerator.heads[0]
    whole = segment.then(head)
    place = int(np.argmax(segment.fifos))
    depth = segment.fifos[place]
    shorter = (*whole.fifos[:place], depth - 1, *whole.fifos[place + 1 :])
    assert tokens.alive(whole.nodes, whole.fifos, reads=whole.reads)
    assert not tokens.alive(whole.nodes, shorter, reads=whole.reads)
    dead, library = _edited(residual, f".DEPTH({depth})", f".DEPTH({depth - 1})", tmp_path)
    (part,) = bulk.run(dead, library, residual.images[:3], limit=20_000)
    assert not part.trace.complete
    assert len(part.trace.results) == 0
    (part,) = bulk.run(residual.manifest, residual.library, residual.images[:3], limit=20_000)
    assert part.trace.complete


@pytest.mark.slow
def test_a_word_less_and_everything_is_slower(tmp_path: Path) -> None:
    whole = samples.tangled(19)
    segment, head = whole.segments[0], whole.heads[0]
    place = int(np.argmax(segment.fifos))
    shorter = (*segment.fifos[:place], segment.fifos[place] - 1, *segment.fifos[place + 1 :])
    late = dataclasses.replace(
        whole, segments=(dataclasses.replace(segment, fifos=shorter),), name="late"
    )
    chains = [a.segments[0].then(head) for a in (whole, late)]
    period, longer = (pipeline.interval(c.nodes, c.fifos, reads=c.reads) for c in chains)
    assert period < longer
    fast, slow = (
        check(compiled(a, tmp_path / a.name))["cycles"] for a in (whole, late)
    )  # as predicted, both
    assert slow - fast >= (longer - period) * (FRAMES - 4)


@pytest.mark.slow
def test_residual_of_single_lanes(tmp_path: Path) -> None:
    check(compiled(samples.residual(lanes=1), tmp_path))


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=() if seed == 6 else pytest.mark.slow)
        for seed in (2, 6, 9, 16, 18, 24, 29, 31, 35, 38, 39)
    ],
)
def test_random_graphs(seed: int, tmp_path: Path) -> None:
    check(compiled(samples.tangled(seed), tmp_path))
