"""Names the first frame, node, word and cycle in which the RTL differs from the reference.

The model can report every transfer of every node's output and every chain's input. Frames near
the one in question are run again alone; if they then agree, everything before them is run too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exeunt import packing, registers
from exeunt.graph import Accelerator, IntArray, Stream
from exeunt.manifest import Manifest
from exeunt.reference import controller, looks, network, system
from exeunt.reference.looks import Made
from exeunt.simulate import bulk, verilator
from exeunt.simulate.library import Bytes, Cycles

BEFORE = 4
AFTER = 4


@dataclass(frozen=True)
class Difference:
    """The first word that differs: `got` and `expected` are hexadecimal, "-" for no word."""

    frame: int
    node: str
    word: int
    cycle: int
    got: str
    expected: str

    def sentence(self) -> str:
        """For people."""
        return (
            f"frame {self.frame}, node {self.node}, word {self.word}, cycle {self.cycle}: "
            f"got {self.got}, expected {self.expected}"
        )


@dataclass(frozen=True)
class Taps:
    """Expected words of every tap, and which of the simulated frames each belongs to.

    `exits`: int64 (N,), the exit of every simulated frame; `looks`: how often it is looked at.
    """

    names: tuple[str, ...]
    streams: tuple[Stream, ...]
    frames: tuple[npt.NDArray[np.int64], ...]
    tensors: tuple[IntArray, ...]
    exits: IntArray
    looks: Made | None = None


def expected(
    accelerator: Accelerator,
    images: npt.NDArray[np.uint8],
    thresholds: Sequence[int],
    *,
    sizes: system.Sizes | None = None,
) -> Taps:
    """What every tap must see for these images, given the exits that the reference chooses.

    With further looks segment 0 and head 0 see frames in the order that a core of these `sizes`
    sends them in, when images always come and results always go.
    """
    if accelerator.rules is not None and accelerator.rules.looks:
        return _looked(accelerator, images, thresholds, sizes)
    outputs = network.run(accelerator, images, streams=True)
    exits = controller.decide(
        outputs.logits, thresholds, criterion=accelerator.criterion,
        scales=accelerator.logit_scales, offsets=accelerator.offsets,
    ).exits  # fmt: skip
    names, streams, frames, tensors = [], [], [], []
    first = accelerator.segments[0].input.shape
    current: IntArray = network.modified(accelerator, images).reshape(-1, *first)
    for i, (segment, head) in enumerate(zip(accelerator.segments, accelerator.heads, strict=True)):
        reach = np.flatnonzero(exits >= i)
        for chain in (segment, head):
            x = current
            names.append(f"{chain.name}.input")
            streams.append(chain.input)
            frames.append(reach)
            tensors.append(x[reach])
            for node in chain.nodes:
                x = outputs.streams[node.name]
                names.append(node.name)
                streams.append(node.output)
                frames.append(reach)
                tensors.append(x[reach])
            if chain is segment:
                current = x
    return Taps(tuple(names), tuple(streams), tuple(frames), tuple(tensors), exits)


def _looked(
    accelerator: Accelerator,
    images: npt.NDArray[np.uint8],
    thresholds: Sequence[int],
    sizes: system.Sizes | None,
) -> Taps:
    """The same with further looks."""
    assert sizes is not None, "the order hangs on them"
    assert accelerator.rules is not None, "only with looks"
    plain = dataclasses.replace(accelerator, rules=None)
    outputs = network.run(accelerator, images)
    found = controller.decide(
        outputs.logits, thresholds, criterion=accelerator.criterion,
        scales=accelerator.logit_scales, offsets=accelerator.offsets, looks=outputs.looks,
    )  # fmt: skip
    predicted = system.predict(
        accelerator, found.exits, sizes=sizes, looks=found.looks, gives=False
    )
    frames, number = np.array(predicted.sends, np.int64).reshape(-1, 2).T
    given = images.reshape(-1, *accelerator.image_shape)
    seen = np.stack(
        [looks.seen(accelerator.rules, given, k) for k in range(len(accelerator.rules.looks) + 1)]
    )[number, frames]
    # every look through all of the network; behind exit 0 each frame's first one counts, in the
    # order in which their last ones are decided
    every = expected(plain, seen, [*[registers.NEVER] * (len(thresholds) - 1), 0])
    initial, final = (
        np.array([np.flatnonzero(frames == n)[k] for n in range(len(images))]) for k in (0, -1)
    )
    first = 2 + len(accelerator.segments[0].nodes) + len(accelerator.heads[0].nodes)
    kept, tensors, stage = [], [], 0
    for k, name in enumerate(every.names):
        stage += name.startswith("seg") and name.endswith(".input") and k > 0
        reach = np.flatnonzero(found.exits >= stage)
        order = np.argsort(final[reach], kind="stable")
        rows = np.arange(len(frames)) if k < first else initial[reach][order]
        kept.append(frames[rows])
        tensors.append(every.tensors[k][rows])
    return Taps(every.names, every.streams, tuple(kept), tuple(tensors), found.exits, found.looks)


def windows(taps: Taps, *, keep: int) -> list[bulk.Window]:
    """Windows over the last `keep` frames of every tap."""
    found = []
    for i, (stream, frames) in enumerate(zip(taps.streams, taps.frames, strict=True)):
        first = max(0, len(frames) - keep) * stream.words
        found.append(bulk.Window(i, stream.width, first, len(frames) * stream.words))
    return found


def compare(
    taps: Taps, seen: Mapping[int, tuple[Bytes, Cycles]], *, keep: int, first: int
) -> Difference | None:
    """The earliest difference between expected and seen words; `first`: number of frame 0."""
    found: list[tuple[int, int, Difference]] = []
    for i, (stream, frames) in enumerate(zip(taps.streams, taps.frames, strict=True)):
        skipped = max(0, len(frames) - keep)
        want = packing.pack(stream, taps.tensors[i][skipped:])
        got, cycles = seen[i]
        common = min(len(want), len(got))
        wrong = np.flatnonzero((want[:common] != got[:common]).any(axis=1))
        if len(wrong):
            k = int(wrong[0])
            cycle, shown = int(cycles[k]), _hex(got[k])
        elif common < len(want):
            k, cycle, shown = common, int(cycles[-1]) + 1 if len(cycles) else 0, "-"
        else:
            continue
        frame = int(frames[skipped + k // stream.words]) + first
        name = taps.names[i]
        found.append(
            (cycle, i, Difference(frame, name, k % stream.words, cycle, shown, _hex(want[k])))
        )
    # a stream that merely ends early is a consequence of a wrong word, wherever there is one
    wrong_words = [f for f in found if f[2].got != "-"]
    return min(wrong_words or found, key=lambda f: f[:2])[2] if found else None


def _hex(word: Bytes) -> str:
    return f"0x{int.from_bytes(word.tobytes(), 'little'):0{2 * len(word)}x}"


def locate(
    manifest: Manifest,
    images: npt.NDArray[np.uint8],
    frame: int,
    *,
    first: int = 0,
    thresholds: Sequence[int] | None = None,
    settings: bulk.Settings = bulk.CONTINUOUS,
    cache: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> Difference | None:
    """The first difference in or before `frame`, None if every stream agrees.

    Args:
        manifest: the run folder.
        images: uint8 (N, H, W, C), all of them.
        frame: a frame whose result is wrong.
        first: first frame of the slice that was simulated with it.
        thresholds: one per exit, if not the manifest's.
        settings: idle and stalled cycles of the run in which it was wrong.
        cache: folder of compiled models.
        tell: told what is being done.
    """
    accelerator = manifest.accelerator()
    limits = manifest.thresholds if thresholds is None else tuple(thresholds)
    if tell is not None:
        tell("looking for the first difference")
    library = verilator.build(manifest, cache=cache)
    end = min(len(images), frame + 1 + AFTER)
    for start in sorted({max(first, frame - BEFORE), first}, reverse=True):
        part = images[start:end]
        taps = expected(accelerator, part, limits, sizes=system.Sizes.of(manifest.data))
        keep = min(len(part), 2 * (BEFORE + AFTER) + 1)
        slices = bulk.run(
            manifest, library, part, thresholds=limits, settings=settings,
            taps=len(taps.names), windows=windows(taps, keep=keep),
        )  # fmt: skip
        difference = compare(taps, slices[0].taps, keep=keep, first=start)
        if difference is not None:
            return difference
    return None
