"""Random legal networks from config to RTL: every answer and cycle against the references.

`python rtl_tests/fuzz.py 20` tries seeds 0 to 19, `... 20 7` tries seed 7 alone. A seed that ends
in a sentence (exit code 2) was refused, which is no fault; a mismatch, a cycle count that is off by
more than one in a hundred, or any other exception is one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.report import store

TOLERANCE = 0.01
IMAGES = 18  # of each class


@dataclass(frozen=True)
class Outcome:
    """What became of a seed: "ok", "refused", "mismatch", "cycles" or "error", and the details."""

    seed: int
    verdict: str
    said: str

    @property
    def fault(self) -> bool:
        """Whether something is wrong."""
        return self.verdict not in ("ok", "refused")


def text(seed: int) -> str:
    """A random config that `exeunt.config.tree` takes: one to four stages, odd maps, all bits."""
    for attempt in range(1000):
        random = np.random.default_rng([seed, attempt])
        found = _text(seed, random)
        try:
            tree.parse(found)
        except InputError:
            continue
        return found
    raise AssertionError(f"seed {seed} gives no legal config in a thousand attempts")


def _text(seed: int, random: np.random.Generator) -> str:
    def pick(*values: object) -> object:
        return values[int(random.integers(len(values)))]

    height, width = (int(v) for v in random.integers(3, 15, 2))
    channels = pick(1, 1, 3)
    stages = int(random.integers(1, 5))
    lines = [
        f'name = "fuzz{seed}"',
        "[data]", 'dataset = "set"', 'format = "folder"', "validation = 0.25", "test = 0.4",
        "[model]", f"input = [{height}, {width}, {channels}]",
        f"classes = {random.integers(2, 12)}",
        f"weight_bits = {random.integers(2, 9)}", f"activation_bits = {random.integers(2, 9)}",
    ]  # fmt: skip
    for _ in range(stages):
        blocks = [_block(random, pick) for _ in range(int(random.integers(1, 3)))]
        head = []
        if random.random() < 0.4:
            size = pick(2, 2, 3, '"global"')
            head.append(f'{{ pool = "{pick("max", "average")}", size = {size} }}')
        if random.random() < 0.3:
            head.append(f"{{ linear = {random.integers(2, 9)} }}")
        lines += ["[[model.stages]]", f"blocks = [{', '.join(blocks)}]"]
        lines += [f"head = [{', '.join(head)}]"]
    target = int(np.exp(random.uniform(0, np.log(20000))))
    lines += [
        "[train]", "epochs = 1", "batch = 16", f"seed = {seed}",
        "[compile]", f"target_cycles = {target}",
        f"headroom = {random.uniform(1, 4):.2f}",
        f"buffer_frames = {pick(1, 2, 4)}", f"in_flight = {pick(4, 5, 8, 16)}", "baseline = false",
        "[simulate]", "processes = 1",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _block(random: np.random.Generator, pick: object) -> str:
    assert callable(pick)
    if random.random() < 0.25:
        size = pick(2, 3)
        return (
            f'{{ pool = "{pick("max", "average")}", size = {size}, stride = {pick(1, 2, 3)}, '
            f"padding = {pick(0, 0, 1)} }}"
        )
    kernel = pick(1, 2, 3, 3, 4)
    assert isinstance(kernel, int)
    return (
        f"{{ conv = {random.integers(1, 9)}, kernel = {kernel}, stride = {pick(1, 1, 2, 3)}, "
        f"padding = {random.integers(0, kernel)}, weight_bits = {random.integers(2, 9)}, "
        f"activation_bits = {random.integers(2, 9)} }}"
    )


def images(folder: Path, shape: tuple[int, int, int], classes: int, seed: int) -> None:
    """A dataset of noise with a gradient of its class, as folders of PNG files."""
    random = np.random.default_rng(seed)
    height, width, channels = shape
    for label in range(classes):
        place = folder / "set" / f"c{label:02d}"
        place.mkdir(parents=True)
        slope = np.linspace(0, 255 * label / classes, width)
        for i in range(IMAGES):
            noise = random.integers(0, 256, (height, width, channels))
            pixels = ((noise + slope[:, None]) / 2).astype(np.uint8)
            Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(place / f"{i}.png")


def attempt(seed: int, folder: Path, *, simulated: bool = True) -> Outcome:
    """Seed by seed the whole way: train, calibrate, export, compile, and through the RTL.

    Thresholds are placed so that some images leave at every exit.
    """
    from exeunt.hls.compile import compile as compile_step
    from exeunt.quant.calibrate import calibrate
    from exeunt.quant.export import export
    from exeunt.quant.train import train
    from exeunt.simulate.run import simulate

    config = tree.parse(text(seed))
    run = folder / "run"
    try:
        images(folder, config.model.input, config.model.classes, seed)
        train(config, run, folder)
        result = calibrate(config, run)
        export(config, run)
        _spread(run / "exits.json", seed, len(result.chosen.thresholds))
        compile_step(config, run)
        if not simulated:
            return Outcome(seed, "ok", "compiled")
        simulate(config, run)
    except InputError as error:
        return Outcome(seed, "refused", str(error))
    except Exception:
        return Outcome(seed, "error", traceback.format_exc())
    report = store.read(run)
    found, cycles = report["simulation"], report["cycle_reference"]
    told = (
        f"{found['images']} images, {found['mismatches']} mismatches, {cycles['cycles_total']} "
        f"cycles, {cycles['cycles_predicted']} predicted, {cycles['frames_exact']} frames exact"
    )
    if found["mismatches"]:
        return Outcome(seed, "mismatch", told)
    off = abs(cycles["cycles_predicted"] - cycles["cycles_total"]) / cycles["cycles_total"]
    return Outcome(seed, "cycles" if off > TOLERANCE else "ok", told)


def _spread(path: Path, seed: int, exits: int) -> None:
    """Small random thresholds: untrained networks have small margins."""
    data = json.loads(path.read_text())
    random = np.random.default_rng(seed)
    data["thresholds"] = [int(np.exp(random.uniform(0, 5))) for _ in range(exits)] + [None]
    path.write_text(json.dumps(data))


def main(arguments: list[str]) -> int:
    """Try so many seeds, or one; the number of faults, at most one, is the exit code."""
    count = int(arguments[0]) if arguments else 10
    seeds = [int(arguments[1])] if len(arguments) > 1 else range(count)
    verdicts: dict[str, int] = {}
    faults = 0
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            outcome = attempt(seed, Path(folder))
        verdicts[outcome.verdict] = verdicts.get(outcome.verdict, 0) + 1
        faults += outcome.fault
        print(f"seed {seed}: {outcome.verdict}: {outcome.said}", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
