"""Throughput of optimised foldings: `python rtl_tests/optimised.py`, or with how many, first seed.

Each seed is a random QONNX file of `random_files`, random thresholds, and random resources. The
folding is optimised for the share of the frames that gets to each exit; predicted are the cycles
between frames that the report says, with these exits in the order of the images, of which the RTL
gets FRAMES. Small networks whose input is the bottleneck are among them, as are seeds that are
refused.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fuzz
import numpy as np
import random_files

from exeunt import criteria
from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.hls.optimised import Unfolded
from exeunt.kernels.layer import Layer

FRAMES = 160
CONFIG = """
name = "optimised{seed}"
[data]
dataset = "digits"
[model]
source = "qonnx:x.onnx"
input = {shape}
classes = {classes}
[compile]
resources = {{ lut = {lut}, dsp = {dsp} }}
headroom = {headroom}
"""


@dataclass(frozen=True)
class Outcome:
    """Cycles between frames, predicted and simulated; `said` tells why there are none.

    `foreseen` are those that are predicted without weights, by the layers alone.
    """

    seed: int
    predicted: float = 0.0
    foreseen: float = 0.0
    simulated: float = 0.0
    exact: bool = False
    wrong: int = 0
    said: str = ""

    @property
    def error(self) -> float:
        """Of the prediction, relative."""
        return abs(self.predicted - self.simulated) / self.simulated

    @property
    def early(self) -> float:
        """Of the prediction without weights, relative."""
        return abs(self.foreseen - self.simulated) / self.simulated


def bare(source: Unfolded) -> Unfolded:
    """The network without its weights and thresholds."""

    def without(layer: Layer) -> Layer:
        kept = {name: array for name, array in layer.arrays.items() if name == "offsets"}
        return dataclasses.replace(layer, arrays=kept)

    segments, heads = (
        tuple(tuple(map(without, layers)) for layers in parts)
        for parts in (source.segments, source.heads)
    )
    return dataclasses.replace(source, segments=segments, heads=heads)


def attempt(seed: int, folder: Path, frames: int = FRAMES) -> Outcome:
    """A seed the whole way.

    Raises:
        AssertionError: the design takes more than it may.
    """
    from exeunt.hls import bursts, optimised
    from exeunt.hls import compile as compiler
    from exeunt.hls.back import stitch
    from exeunt.hls.front import finn_env
    from exeunt.simulate import answers, verilator

    random = np.random.default_rng([11, seed])
    finn_env.prepare()
    try:
        case = random_files.Random(seed).save(folder)
        with finn_env.quiet():
            from exeunt.hls.front import network

        found = network.read(
            case.path, shape=case.shape, preprocess=case.preprocess, outputs=case.exits
        )
        images = network.example_images(found.shape, frames)
        logits = found.integers.logits(images)
        scales = [part.scale for part in found.parts[1::2]]
        limits = fuzz.placed(criteria.DEFAULT, logits, scales, random)
        left = criteria.run(criteria.DEFAULT, logits, [*limits, None], scales=scales)
        reach = [float((left.exits >= i).mean()) for i in range(found.exits)]
        lut = int(np.exp(random.uniform(np.log(5000), np.log(40000))))
        text = CONFIG.format(
            seed=seed, shape=list(found.shape), classes=logits[-1].shape[1], lut=lut,
            dsp=int(random.integers(0, 100)), headroom=float(random.choice([1.0, 1.5])),
        )  # fmt: skip
        config = tree.parse(text)
        sequence = "".join(map(str, left.exits.tolist()))
        built = optimised.build(found, config=config, reach=reach, sequence=sequence)
    except InputError as error:
        return Outcome(seed, said=str(error))
    early = optimised.foreseen(
        bare(optimised.Unfolded.read(found, name="bare")), config.compile,
        allowed=optimised.limits(config.compile), wish=optimised.asked(config.compile),
        reach=reach, sequence=sequence,
    )  # fmt: skip
    told = built.optimised
    assert told is not None
    assert told["predicted"]["lut"] <= lut, "more than it may take"
    manifest = stitch.write(
        built.accelerator, folder / "run", thresholds=[*limits, None],
        **compiler.held(built, config),
    )  # fmt: skip
    library = verilator.build(
        manifest, options=verilator.Options(quick=True), cache=folder / "cache"
    )
    answered = answers.answer(manifest, library, images, logits)
    cycles, _ = answers.check_cycles(manifest, built.accelerator, answered)
    return Outcome(
        seed,
        told["cycles_per_image"],
        early.pace,
        bursts.pace(answered.slices[0].trace.accepts),
        cycles["frames_exact"] == frames,
        len(answered.wrong),
        f"{found.exits} exits, reach {[round(r, 2) for r in reach]}",
    )


def _one(seed: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return attempt(seed, Path(folder))


def main(count: int, first: int) -> int:
    """Try seeds until so many were folded; 1 where one is wrong."""
    found: list[Outcome] = []
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for outcome in pool.imap(_one, range(first, first + 10 * count)):
            if not outcome.simulated:
                print(f"seed {outcome.seed}: refused: {outcome.said}", flush=True)
                continue
            found.append(outcome)
            print(
                f"seed {outcome.seed}: {outcome.predicted:.1f} cycles predicted, "
                f"{outcome.foreseen:.1f} without weights, "
                f"{outcome.simulated:.1f} simulated, {outcome.error:.2%} and {outcome.early:.2%} "
                "off, "
                f"{outcome.wrong} wrong, reference {'exact' if outcome.exact else 'off'}; "
                f"{outcome.said}",
                flush=True,
            )
            if len(found) == count:
                break
    for name, errors in (
        ("predicted", sorted(outcome.error for outcome in found)),
        ("without weights", sorted(outcome.early for outcome in found)),
    ):
        within = sum(error <= 0.02 for error in errors)
        print(
            f"{len(found)} networks, {name}: median {errors[len(errors) // 2]:.2%}, worst "
            f"{errors[-1]:.2%}, {within} within 2%"
        )
    return int(any(outcome.wrong or not outcome.exact for outcome in found))


if __name__ == "__main__":
    count, first = [*map(int, sys.argv[1:]), *(50, 3000)[len(sys.argv) - 1 :]]
    sys.exit(main(count, first))
