"""Whether promises hold: a trained network's images, split anew a thousand times.

`python -m exeunt.quant.resplits build/mnist` takes the validation and test images of a run folder
together, draws as many to calibrate with as there are validation images, calibrates in the integers
of the hardware, and counts how often the others lose more than was permitted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from exeunt import criteria, promise
from exeunt.errors import ExeuntError, InputError
from exeunt.progress import Progress, silent
from exeunt.qonnx import file, meaning
from exeunt.quant.exits import calibration
from exeunt.quant.exits.calibration import Scores
from exeunt.quant.exits.guarantee import Wanted
from exeunt.splits import SPLITS, read_split

DROPS = (0.002, 0.005, 0.01)
DELTAS = (0.1, 0.05)
_BATCH = 500


@dataclass(frozen=True)
class Row:
    """One promise over all splits: fractions of the splits in which it was made.

    made: splits in which there were enough images for it; the other figures are of these.
    exceeded: more lost than permitted among the images that did not calibrate.
    exceeded_all: among all images.
    lost: of the images that did not calibrate, mean over the splits.
    saved: multiplications, mean over the splits; half_saved: the same by the rule of half the drop.
    """

    kind: str
    drop: float
    delta: float | None
    made: float
    exceeded: float | None
    exceeded_all: float | None
    lost: float | None
    saved: float | None
    half_saved: float


def resplits(
    images: Scores,
    macs: Sequence[int],
    *,
    calibrating: int,
    draws: int,
    drops: Sequence[float] = DROPS,
    deltas: Sequence[float] = DELTAS,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Row]:
    """Every promise on `draws` random splits of the images.

    Args:
        images: all of them.
        macs: multiplications of a frame that leaves at exit i (cumulative).
        calibrating: so many calibrate, the others are what a promise is about.
        draws: splits.
        drops: permitted losses.
        deltas: of the promises with a probability.
        seed: of the draws.
        progress: told of splits done.

    Raises:
        InputError: no image calibrates or none is left, or there are no splits.
    """
    count = len(images)
    if not 0 < calibrating < count or draws < 1:
        raise InputError(
            f"images that calibrate must be from 1 to {count - 1:,}, the others are what a promise "
            f"is about, and splits at least 1, got {calibrating:,} and {draws:,}: change --images "
            "or --splits"
        )
    asked = [Wanted(promise.PROBABILITY, d, count - calibrating) for d in deltas]
    asked.append(Wanted(promise.AVERAGE))
    kinds = [(drop, wanted) for drop in drops for wanted in (Wanted(), *asked)]
    found: dict[tuple[float, Wanted], list[tuple[float, float, float]]] = {k: [] for k in kinds}
    random = np.random.default_rng(seed)
    for draw in range(draws):
        order = random.permutation(count)
        chosen = images.some(order[:calibrating])
        for drop in drops:
            path = calibration.path(chosen, macs, drop, seed=draw)
            for wanted in (Wanted(), *asked):
                if wanted.kind == promise.NONE:
                    (thresholds,) = calibration.best(
                        chosen, macs, [int(drop / 2 * calibrating + 1e-9)]
                    )
                else:
                    made = calibration.promised(path, drop, wanted)
                    if not made.holds:
                        continue
                    thresholds = made.certified[-1]
                left = images.leave(thresholds, macs)
                lost = images.right[-1] & ~left.right
                others = order[calibrating:]
                saved = 1 - float(left.spent[others].mean()) / macs[-1]
                losses = float(lost[others].mean()), float(lost.mean())
                found[drop, wanted].append((*losses, saved))
        progress(draw + 1, draws, f"{draw + 1} of {draws} splits")
    return [_row(drop, w, np.array(found[drop, w]), found[drop, Wanted()]) for drop, w in kinds]


def _row(drop: float, wanted: Wanted, table: np.ndarray, half: Sequence[Sequence[float]]) -> Row:
    made, over = len(table) / len(half), drop + 1e-12
    return Row(
        wanted.kind,
        drop,
        wanted.delta if wanted.kind == promise.PROBABILITY else None,
        made,
        float((table[:, 0] > over).mean()) if made else None,
        float((table[:, 1] > over).mean()) if made else None,
        float(table[:, 0].mean()) if made else None,
        float(table[:, 2].mean()) if made else None,
        float(np.mean([h[2] for h in half])),
    )


def read(folder: Path, criterion: str) -> tuple[Scores, list[int], int]:
    """Validation and test images of a run folder, by their integer logits.

    Returns:
        What every exit says of them, multiplications of a frame that leaves at exit i, and how many
        of them are validation images.

    Raises:
        InputError: it has no model.onnx or no splits.npz.
    """
    network = meaning.integers(file.load(folder / "model.onnx"))
    splits = [read_split(folder / SPLITS, name) for name in ("validation", "test")]
    parts = []
    for split in splits:
        for start in range(0, len(split.labels), _BATCH):
            parts.append(network.logits(split.images[start : start + _BATCH]))
    logits = [np.concatenate(p) for p in zip(*parts, strict=True)]
    labels = np.concatenate([s.labels for s in splits])
    images = calibration.scores(
        logits, labels, criterion=criterion, scales=network.scales, per_class=network.per_class()
    )
    return images, network.multiplies(), len(splits[0].labels)


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.2f}%"

    head = "promise      drop   delta  made    exceeded  of all    lost   saved   half saves"
    lines = [head]
    for r in rows:
        delta = "-" if r.delta is None else f"{r.delta:g}"
        lines.append(
            f"{r.kind:12} {percent(r.drop):6} {delta:6} {percent(r.made):7} "
            f"{percent(r.exceeded):9} {percent(r.exceeded_all):9} {percent(r.lost):6} "
            f"{percent(r.saved):7} {percent(r.half_saved)}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    made = argparse.ArgumentParser(prog="python -m exeunt.quant.resplits", description=__doc__)
    made.add_argument("folder", type=Path, help="a run folder with model.onnx")
    made.add_argument("--splits", type=int, default=1000, help="how many (default: 1000)")
    made.add_argument("--images", type=int, help="that calibrate (default: the validation images)")
    made.add_argument(
        "--criterion", default=criteria.DEFAULT, help="what the exits go by (default: %(default)s)"
    )
    made.add_argument("--json", type=Path, help="write the rows there")
    given = made.parse_args(arguments)
    try:
        images, macs, validating = read(given.folder, given.criterion)
        calibrating = validating if given.images is None else given.images
        rows = resplits(images, macs, calibrating=calibrating, draws=given.splits)
    except ExeuntError as error:
        print(f"resplits: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{len(images):,} images, {calibrating:,} calibrate, {given.splits:,} splits")
    print(table(rows))
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
