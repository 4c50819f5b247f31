"""What explanations in integers cost and keep: `python -m exeunt.explain RUN_FOLDER`.

Shifts and thresholds are chosen on validation images; the tables are of test images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from exeunt import manifest
from exeunt.errors import ExeuntError, InputError
from exeunt.explain import backward, context, encode, faithfulness, scales, walk
from exeunt.explain.backward import Maps, Scales
from exeunt.explain.context import Context
from exeunt.explain.cycles import cycles
from exeunt.explain.program import EDGES, MASKS, METHODS, Program
from exeunt.graph import Accelerator
from exeunt.splits import read_split

CALIBRATION = 200
BITS = (4, 6, 8, 12, 16)
PRUNES = (0.0, 0.03, 0.1)


class _Measured:
    """One exit and method on some images."""

    def __init__(
        self, accelerator: Accelerator, program: Program, calibration: np.ndarray, test: np.ndarray
    ) -> None:
        self.program = program
        self._calibration = context.forward(accelerator, program, calibration)
        self._frames = context.forward(accelerator, program, test)
        self.classes = self._answers(self._frames)
        self.real = backward.real(program, self._frames, self.classes)
        base = calibration.mean(axis=0)
        self._flips = faithfulness.Flips(
            accelerator, program.exit, self._frames.images, self.classes, base
        )
        self._size = self._frames.images.shape[1:3]

    def _answers(self, found: Context) -> np.ndarray:
        return np.asarray(found.logits.argmax(axis=1))

    def maps(self, bits: int, inner: float, last: float) -> tuple[Scales, Maps]:
        """With shares of the largest gradient pruned, of inner layers and of the map."""
        shares = [inner] * (max(len(self.program.sweeps), 1) - 1) + [last]
        chosen = scales.calibrated(
            self.program, self._calibration, self._answers(self._calibration), bits=bits,
            prune=shares,
        )  # fmt: skip
        return chosen, backward.maps(self.program, chosen, self._frames, self.classes)

    def kept(self, found: Maps) -> tuple[float, float]:
        """Rank correlation with the map without rounding, shared top tenth."""
        method = self.program.method
        first = faithfulness.relevance(found.values, method)
        second = faithfulness.relevance(self.real, method)
        values = (np.abs(found.values), np.abs(self.real)) if method == "saliency" else (
            found.values, self.real)  # fmt: skip
        return faithfulness.spearman(*values), faithfulness.top_overlap(first, second)

    def auc(self, values: np.ndarray) -> float:
        """Of pixel flipping."""
        relevant = faithfulness.relevance(values, self.program.method)
        return self._flips.auc(faithfulness.enlarged(relevant, self._size))

    def random(self) -> float:
        """Of pixel flipping in random order."""
        return self._flips.random()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m exeunt.explain", description=__doc__)
    parser.add_argument("folder", type=Path, help="run folder, compiled")
    parser.add_argument("--exit", type=int, action="append", help="exits; all unless given")
    parser.add_argument("--method", action="append", help="methods; all unless given")
    parser.add_argument("--images", type=int, default=100, help="test images")
    parser.add_argument("--bits", type=int, action="append", help="4, 6, 8, 12, 16 unless given")
    parser.add_argument("--mask", default=EDGES, help=f"one of {', '.join(MASKS)}")
    parser.add_argument("--pe", type=int, default=8, help="lanes of the engine")
    found = parser.parse_args(arguments)
    try:
        _tables(found)
    except ExeuntError as error:
        print(f"exeunt: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _tables(found: argparse.Namespace) -> None:
    if found.images < 1:
        raise InputError(f"--images must be 1 and more, got {found.images}: take 100")
    accelerator = manifest.read(found.folder).accelerator()
    splits = found.folder / "splits.npz"
    calibration = read_split(splits, "validation").some(CALIBRATION).images
    test = read_split(splits, "test").some(found.images).images
    exits = range(len(accelerator.heads)) if found.exit is None else found.exit
    print(f"{len(test)} test images, shifts chosen on {len(calibration)} validation images")
    for exit_index in exits:
        for method in found.method or METHODS:
            program = walk.program(accelerator, exit_index, method, mask=found.mask)
            measured = _Measured(accelerator, program, calibration, test)
            print(f"\nexit {exit_index}, {method}, map {' x '.join(map(str, program.shape))}")
            _faithful(measured, found.bits or BITS)
            _costs(measured, found.pe)
            _sizes(measured)


def _faithful(measured: _Measured, every: Sequence[int]) -> None:
    random, real = measured.random(), measured.auc(measured.real)
    print(f"flip AUC of the map without rounding {real:.4f}, random order {random:.4f}")
    print("| bits | pruned inside, map | Spearman | top tenth | flip AUC | clipped | density |")
    print("|---|---|---|---|---|---|---|")
    for bits in every:
        for inner in PRUNES if measured.program.sweeps else PRUNES[:1]:
            for last in PRUNES:
                if (inner, last) != (0.0, 0.0) and bits != 8:
                    continue
                _, maps = measured.maps(bits, inner, last)
                _row(measured, f"{bits}", f"{inner:.0%}, {last:.0%}", maps)
                if inner == last == 0.0:
                    logs = replace(maps, values=encode.middles(maps.values))
                    _row(measured, f"{bits}, log", "0%, 0%", logs)


def _row(measured: _Measured, bits: str, pruned: str, maps: Maps) -> None:
    rho, top = measured.kept(maps)
    density = np.count_nonzero(maps.values) / maps.values.size
    print(
        f"| {bits} | {pruned} | {rho:.4f} | {top:.1%} | {measured.auc(maps.values):.4f} "
        f"| {maps.saturated.mean():.2f} | {density:.1%} |"
    )


def _costs(measured: _Measured, pe: int) -> None:
    program = measured.program
    print(
        f"| 8 bits, pruned | density of streams | cycles, PE {pe} | dense, ratio "
        "| dense and unpooled, ratio | cycles with lanes across |"
    )
    print("|---|---|---|---|---|---|")
    for share in PRUNES:
        _, maps = measured.maps(8, share, share)
        cost = cycles(program, maps.nonzeros, pe=pe)
        across = cycles(program, maps.nonzeros, pe=pe, across=True)
        densities = [
            f"{count.mean() / np.prod(program.stream_shape(k)):.0%}"
            for k, count in enumerate(maps.nonzeros)
            if program.sweeps and k
        ]
        mean = cost.total.mean()
        ratios = [f"{x:,}, {x / mean:.2f}" for x in (cost.total_dense, cost.total_unpooled)]
        print(
            f"| {share:.0%} | {', '.join(densities) or '-'} | {mean:,.0f} | {ratios[0]} "
            f"| {ratios[1]} | {across.total.mean():,.0f} |"
        )


def _sizes(measured: _Measured) -> None:
    print(f"| 8 bits, pruned | {' | '.join(encode.FORMATS)} |")
    print(f"|---|{'---|' * len(encode.FORMATS)}")
    for share in PRUNES:
        _, maps = measured.maps(8, share, share)
        bits = [size(maps.values, 8).mean() for size in encode.FORMATS.values()]
        cells = " | ".join(f"{b:,.0f} ({bits[0] / b:.2f})" for b in bits)
        print(f"| {share:.0%} | {cells} |")


if __name__ == "__main__":
    sys.exit(main())
