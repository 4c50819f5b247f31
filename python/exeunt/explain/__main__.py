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
from exeunt.explain import backward, context, encode, engine, faithfulness, scales, traffic, walk
from exeunt.explain.backward import Maps, Scales
from exeunt.explain.context import Context
from exeunt.explain.lower import checked_lanes, lower
from exeunt.explain.measured import compared
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
        self.frames = context.forward(accelerator, program, test)
        self.classes = self._answers(self.frames)
        self.real = backward.real(program, self.frames, self.classes)
        base = calibration.mean(axis=0)
        self._flips = faithfulness.Flips(
            accelerator, program.exit, self.frames.images, self.classes, base
        )
        self._size = self.frames.images.shape[1:3]

    def _answers(self, found: Context) -> np.ndarray:
        return np.asarray(found.logits.argmax(axis=1))

    def maps(self, bits: int, inner: float, last: float) -> tuple[Scales, Maps]:
        """With shares of the largest gradient pruned, of inner layers and of the map."""
        shares = [inner] * (max(len(self.program.sweeps), 1) - 1) + [last]
        chosen = scales.calibrated(
            self.program, self._calibration, self._answers(self._calibration), bits=bits,
            prune=shares,
        )  # fmt: skip
        return chosen, backward.maps(self.program, chosen, self.frames, self.classes, streams=True)

    def kept(self, found: Maps) -> tuple[float, float]:
        """Rank correlation with the map without rounding, shared top tenth."""
        return compared(self.program.method, found.values, self.real)

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
    checked_lanes(found.pe)
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
                    if encode.levels_fit(measured.program.shape[2], bits):
                        values = encode.leveled(maps.values, measured.program.method)
                        leveled = replace(maps, values=values)
                        _row(measured, f"{bits}, levels", "0%, 0%", leveled)


def _row(measured: _Measured, bits: str, pruned: str, maps: Maps) -> None:
    rho, top = measured.kept(maps)
    density = np.count_nonzero(maps.values) / maps.values.size
    print(
        f"| {bits} | {pruned} | {rho:.4f} | {top:.1%} | {measured.auc(maps.values):.4f} "
        f"| {maps.saturated.mean():.2f} | {density:.1%} |"
    )


def _costs(measured: _Measured, pe: int) -> None:
    program = measured.program
    key = (program.method, program.exit)
    print(
        f"| 8 bits, pruned | density of streams | cycles, PE {pe} | dense, ratio "
        "| dense and unpooled, ratio | bits moved: weights, context, gradients, map "
        "| naive, saved | nJ, estimated |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for share in PRUNES:
        chosen, maps = measured.maps(8, share, share)
        try:
            made = lower({key: program}, {key: chosen}, exits=program.exit + 1, pe=pe)
        except InputError as error:
            print(f"no engine explains it: {error}")
            return
        count = len(maps.values)
        packets = engine.packets(made, *key, maps, [0] * count)
        clock, moved = engine.Clock(), []
        for k in range(count):
            clock.map(engine.timed(made, *key, measured.frames, maps, k), clock.free)
            moved.append(traffic.moved(made, *key, measured.frames, maps, k, 8 * len(packets[k])))
        cycles = clock.free / count
        parts = [
            float(np.mean([getattr(one, name) for one in moved]))
            for name in ("weights", "context", "gradients", "map", "energy")
        ]
        whole = [engine.dense(made, *key, pooled=pooled) for pooled in (True, False)]
        ratios = [f"{x:,}, {x / cycles:.2f}" for x in whole]
        bits, naive = sum(parts[:4]), traffic.naive(made, program)
        densities = [
            f"{found.mean() / np.prod(program.stream_shape(k)):.0%}"
            for k, found in enumerate(maps.nonzeros)
            if program.sweeps and k
        ]
        print(
            f"| {share:.0%} | {', '.join(densities) or '-'} | {cycles:,.0f} | {ratios[0]} "
            f"| {ratios[1]} | {bits:,.0f}: {', '.join(f'{x:,.0f}' for x in parts[:4])} "
            f"| {naive.total:,}, {1 - bits / naive.total:.1%} | {parts[4]:,.1f}, "
            f"{naive.energy:,.1f} |"
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
