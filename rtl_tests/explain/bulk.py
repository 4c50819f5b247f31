"""Maps of many test images through the RTL of `ex_explain`, against its reference.

`python rtl_tests/explain/bulk.py RUN_FOLDER --images 1000`: every exit and method of a compiled
run; every word of every packet, the cycle in which it comes, and how often memories are read and
written. With `--size` its LUT (xc7).
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from explain.corners import corner_of
from lib.bench import BUILD, rtl_sources, tools
from lib.yosys import measure

from exeunt import manifest
from exeunt.explain import backward, context, engine, scales, walk
from exeunt.explain.context import Context
from exeunt.explain.design import Engine
from exeunt.explain.lower import lower
from exeunt.explain.program import METHODS, Program
from exeunt.explain.traffic import Reads, moved, naive, reads
from exeunt.splits import read_split
from exeunt.synth.counts import KINDS, XC7

HOME = Path(__file__).resolve().parent
CALIBRATION = 200
COMMAND = (
    "verilator --cc --exe --build -O3 --no-timing -Wno-fatal -Wno-lint --x-assign unique "
    "--x-initial unique --top-module ex_explain -o bulk"
)


@dataclass(frozen=True)
class Run:
    """What came.

    Attributes:
        takes: cycle of every request.
        words: of all packets.
        gives: cycle of every word.
        lasts: whether a packet ends with it.
        reads: accesses of all maps.
    """

    takes: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint32]
    gives: npt.NDArray[np.int64]
    lasts: npt.NDArray[np.bool_]
    reads: Reads


@dataclass(frozen=True)
class Checked:
    """What a comparison found.

    Attributes:
        packets: that differ.
        words: in other cycles; with stalls they are not looked at.
        accesses: whether memories were not read and written as often as the reference says.
        cycles: of a map.
        saved: share of the bits that move without schedule and compression.
    """

    packets: int
    words: int
    accesses: bool
    cycles: float
    saved: float


def build(made: Engine, folder: Path) -> Path:
    """The simulation of an engine: the program."""
    tools()
    folder.mkdir(parents=True, exist_ok=True)
    for name in made.tables:
        (folder / f"{name.lower()}.hex").write_text(made.hex(name))
    numbers = [f"-G{k}={v}" for k, v in made.parameters.items()]
    files = [f'-G{k}="{folder / (k.lower() + ".hex")}"' for k in made.tables]
    flags = ["-CFLAGS", f"-O2 -DCW={made.parameters['CW']}", "--Mdir", str(folder / "obj")]
    sources = [HOME / "bulk.vlt", *rtl_sources("ex_explain"), HOME / "bulk.cpp"]
    command = [*COMMAND.split(), *numbers, *files, *flags, *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "obj" / "bulk"


def simulate(
    program: Path,
    made: Engine,
    key: tuple[str, int],
    frames: Context,
    classes: Sequence[int],
    ids: Sequence[int],
    stall: int = 0,
) -> Run:
    """All frames one after another; the packets are not taken in `stall` of 100 cycles."""
    method, exit = key
    count = len(frames)
    used = {step.tap for step in made.steps[key] if step.tap >= 0}
    into, out = program.with_suffix(".in"), program.with_suffix(".out")
    with into.open("wb") as file:
        file.write(struct.pack("<4I", count, len(made.taps), exit, METHODS.index(method)))
        file.write(np.array([ids, classes], np.uint32).T.tobytes())
        for number, tap in enumerate(made.taps):
            words = tap.packed(frames) if number in used else np.zeros((count, 0), np.uint64)
            file.write(struct.pack("<I", words.shape[1]) + words.tobytes())
    subprocess.run([program, into, out, str(stall)], check=True)
    raw = np.fromfile(out, np.uint32)
    rows = raw[count:].reshape(-1, 3)
    takes, gives = raw[:count].astype(np.int64), rows[:, 1].astype(np.int64)
    counts = np.fromfile(f"{out}.counts", np.uint64).astype(int).tolist()
    return Run(takes, rows[:, 0], gives, rows[:, 2] != 0, Reads(*counts))


def check(
    program: Path,
    made: Engine,
    key: tuple[str, int],
    steps: Program,
    frames: Context,
    stall: int = 0,
) -> Checked:
    """Of all maps of a method and exit, with the reference beside them."""
    method, exit = key
    classes = frames.logits.argmax(1)
    maps = backward.maps(steps, made.scales[key], frames, classes, streams=True)
    ids = np.random.default_rng(0).integers(0, 1 << 32, len(frames)).tolist()
    found = simulate(program, made, key, frames, classes.tolist(), ids, stall)
    want = engine.packets(made, method, exit, maps, ids)
    ends = np.flatnonzero(found.lasts) + 1
    got = [part.tobytes() for part in np.split(found.words, ends[:-1])]
    different = sum(a != b for a, b in zip(got, want, strict=True))
    late = 0
    if not stall:
        moves = engine.moves([engine.timed(made, *key, frames, maps, k) for k in range(len(ids))])
        start = found.takes[0]
        late = _different(found.takes - start, moves.takes)
        late += _different(found.gives - start, moves.gives)
    cycles = (found.takes[-1] - found.takes[0]) / max(len(ids) - 1, 1)
    made_of = [(made, *key, frames, maps, k) for k in range(len(ids))]
    accesses = sum((reads(*one) for one in made_of), Reads())
    bits = [moved(*one, 8 * len(packet)).total for one, packet in zip(made_of, want, strict=True)]
    share = 1 - np.mean(bits) / naive(made, steps).total
    return Checked(different, late, accesses != found.reads, float(cycles), float(share))


def _different(found: npt.NDArray[np.int64], want: Sequence[int]) -> int:
    both = zip(found.tolist(), want, strict=False)
    return sum(a != b for a, b in both) + abs(len(found) - len(want))


def programs_of(
    folder: Path, methods: Sequence[str], images: int, share: float, bits: int
) -> tuple[Engine, Mapping[tuple[str, int], Program], Mapping[tuple[str, int], Context]]:
    """The engine of a run, its programs, and what test images leave behind for each."""
    accelerator = manifest.read(folder).accelerator()
    splits = folder / "splits.npz"
    calibration = read_split(splits, "validation").some(CALIBRATION).images
    test = read_split(splits, "test").some(images).images
    programs, numbers, frames = {}, {}, {}
    for method in methods:
        for exit in range(len(accelerator.heads)):
            key = (method, exit)
            programs[key] = walk.program(accelerator, exit, method)
            known = context.forward(accelerator, programs[key], calibration)
            numbers[key] = scales.calibrated(
                programs[key], known, known.logits.argmax(1), bits=bits, prune=share
            )
            frames[key] = context.forward(accelerator, programs[key], test)
    return lower(programs, numbers, exits=len(accelerator.heads)), programs, frames


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each method and exit; 1 if a word, a cycle or an access differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="run folder, compiled")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--method", action="append", choices=METHODS, help="all unless given")
    parser.add_argument("--prune", type=float, default=0.0, help="share of the largest gradient")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--size", action="store_true", help="count LUT with Yosys instead")
    parser.add_argument("--stall", type=int, default=0, help="of 100 cycles, no word is taken")
    found = parser.parse_args(arguments)
    methods = found.method or METHODS
    made, programs, frames = programs_of(
        found.folder, methods, found.images, found.prune, found.bits
    )
    if found.size:
        (counted,) = measure(BUILD / "explain_size", [corner_of(made, "engine")], XC7)
        print(", ".join(f"{counted[kind]:,} {kind}" for kind in KINDS))
        return 0
    program = build(made, BUILD / f"explain_bulk_{os.getpid()}")
    print(
        "| method | exit | maps | other packets | words in other cycles | other accesses "
        "| cycles a map | dense, ratio | dense and unpooled, ratio | bits saved | s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    bad = 0
    for key, steps in programs.items():
        begin = time.perf_counter()
        got = check(program, made, key, steps, frames[key], found.stall)
        bad += got.packets + got.words + got.accesses
        seconds = time.perf_counter() - begin
        whole = [engine.dense(made, *key, pooled=pooled) for pooled in (True, False)]
        ratios = " | ".join(f"{n:,}, {n / got.cycles:.2f}" for n in whole)
        print(
            f"| {key[0]} | {key[1]} | {len(frames[key])} | {got.packets} | {got.words} "
            f"| {int(got.accesses)} | {got.cycles:,.0f} | {ratios} | {got.saved:.1%} "
            f"| {seconds:.0f} |",
            flush=True,
        )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
