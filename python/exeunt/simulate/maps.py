"""The maps that came out of the RTL, every word and its cycle against the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import registers
from exeunt.explain import backward, context, engine, hardware
from exeunt.explain.choice import Request
from exeunt.explain.engine import Timed
from exeunt.explain.hardware import ASKED, Explained
from exeunt.explain.joined import PORT, Asked, Given, Passed, given
from exeunt.explain.program import METHODS
from exeunt.graph import Accelerator, IntArray
from exeunt.manifest import Manifest
from exeunt.simulate.library import Trace

Images = npt.NDArray[np.uint8]
BATCH = 64
SPARE = 1000  # cycles beyond the longest map, after which no other one is expected


@dataclass(frozen=True)
class Wrong:
    """A packet that is not as the reference has it.

    `frame`: counted within its slice; `text`: what differs, as the end of a sentence.
    """

    frame: int
    text: str


@dataclass(frozen=True)
class Checked:
    """Of the maps of a slice.

    Attributes:
        given: by the reference.
        sizes: bits of each packet.
        wrong: the first packet that differs; None: none does.
    """

    given: Given
    sizes: list[int]
    wrong: Wrong | None


@dataclass(frozen=True)
class Maps:
    """Maps that are asked for while images pass: of a design that explains, and what is written."""

    accelerator: Accelerator
    explained: Explained
    asked: Asked

    @property
    def writes(self) -> list[tuple[int, int]]:
        """Register writes that ask for them: (byte address, value)."""
        asked, of = self.asked, registers.address
        fields = registers.BY_NAME["explain_every"].fields
        every = fields["every"].put(asked.every) | fields["wait"].put(int(asked.wait))
        found = [(of("explain_every"), every), (of("explain_method"), asked.method)]
        for exit, limit in enumerate(asked.below):
            found.append((of("explain_below", exit), limit & 0xFFFFFFFF))
        return found + [(of("explain_ask"), number) for number in asked.ids]

    @property
    def linger(self) -> int:
        """Cycles without a word of a map after which no other one comes."""
        made = self.explained.engine
        longest = max(engine.dense(made, *key, pooled=False) for key in made.steps)
        most = max(h * w * c for h, w, c in made.shapes.values())
        return SPARE + longest + 2 * most


def wanted(manifest: Manifest, accelerator: Accelerator) -> list[Maps]:
    """What a simulation asks a design for: as it was configured, then each other method alone.

    Empty where the design does not explain.
    """
    if hardware.KEY not in manifest.data:
        return []
    explained = hardware.from_json(accelerator, manifest.data[hardware.KEY])
    numbers = [METHODS.index(method) for method in explained.methods]
    first = Maps(accelerator, explained, Asked(explained.every, numbers[0]))
    return [first, *(Maps(accelerator, explained, Asked(1, number)) for number in numbers[1:])]


class Reference:
    """Packets and cycles of frames, computed when they are asked for.

    Args:
        accelerator: the compiled graph.
        explained: what is beside it.
        images: uint8 (N, H, W, C), the frames by their ids.
        labels: int64 (N,), the class that each map explains.
    """

    def __init__(
        self, accelerator: Accelerator, explained: Explained, images: Images, labels: IntArray
    ) -> None:
        self._accelerator, self._explained = accelerator, explained
        self._images, self._labels = images, np.asarray(labels, np.int64)
        self._found: dict[tuple[int, int, int], tuple[Timed, bytes]] = {}

    def prepare(self, frames: Sequence[tuple[int, int, int]]) -> None:
        """Compute the maps of (id, exit, method number), many at once."""
        groups: dict[tuple[int, int], list[int]] = {}
        for number, exit, method in dict.fromkeys(frames):
            if (number, exit, method) not in self._found:
                groups.setdefault((exit, method), []).append(number)
        for (exit, method), numbers in groups.items():
            for begin in range(0, len(numbers), BATCH):
                self._compute(exit, method, numbers[begin : begin + BATCH])

    def _compute(self, exit: int, method: int, numbers: list[int]) -> None:
        made, key = self._explained.engine, (METHODS[method], exit)
        program, chosen = self._explained.programs[key], self._explained.scales[key]
        frames = context.forward(self._accelerator, program, self._images[numbers])
        found = backward.maps(program, chosen, frames, self._labels[numbers], streams=True)
        packets = engine.packets(made, *key, found, numbers)
        for k, number in enumerate(numbers):
            timed = engine.timed(made, *key, frames, found, k)
            self._found[number, exit, method] = timed, packets[k]

    def timed(self, request: Request) -> Timed:
        """What the engine takes for it."""
        return self._of(request)[0]

    def packet(self, request: Request) -> bytes:
        """The packet that it gives."""
        return self._of(request)[1]

    def _of(self, request: Request) -> tuple[Timed, bytes]:
        key = request.id, request.exit, request.method
        self.prepare([key])
        return self._found[key]


def check(
    maps: Maps, images: Images, trace: Trace, answers: Mapping[str, IntArray], *, exact: bool = True
) -> Checked:
    """The maps of a slice against the reference.

    Args:
        maps: what was asked for.
        images: uint8 (N, H, W, C), of the slice.
        trace: what the RTL did with them.
        answers: `class` and `score` of each image, int64 (N,).
        exact: which maps come, and in which cycles, is compared too; not so where words of maps
            are held back.
    """
    explained = maps.explained
    reference = Reference(maps.accelerator, explained, images, answers["class"])
    packets = trace.maps.packets
    told = [(int(p[0]), int(p[1] >> 16 & 255), int(p[1] >> 24 & 15)) for p in packets if len(p) > 1]
    keys = {(METHODS.index(method), exit) for method, exit in explained.programs}
    known = [
        (number, exit, method)
        for number, exit, method in told
        if number < len(images) and (method, exit) in keys
    ]
    reference.prepare(known)
    passed = Passed(trace.accepts, trace.decides, trace.takes, answers["class"], answers["score"])
    want = given(passed, maps.asked, slots=explained.slots, places=ASKED, timed=reference.timed)
    sizes = [32 * len(p) for p in packets]
    if exact:
        return Checked(want, sizes, _exact(reference, want, trace, packets))
    return Checked(want, sizes, _alone(reference, answers, known, told, packets))


def _exact(
    reference: Reference,
    want: Given,
    trace: Trace,
    packets: Sequence[npt.NDArray[np.uint32]],
) -> Wrong | None:
    """The first difference from what the reference gives, in order."""
    starts = np.cumsum([0, *map(len, packets)])
    for k, request in enumerate(want.requests):
        name = f"the map of frame {request.id} at exit {request.exit}"
        if k >= len(packets):
            return Wrong(request.id, f"{name} must come and did not")
        words = np.frombuffer(reference.packet(request), np.uint32)
        got = packets[k]
        if len(words) != len(got):
            return Wrong(request.id, f"{name} must have {len(words)} words, got {len(got)}")
        different = np.flatnonzero(words != got)
        if len(different):
            at = int(different[0])
            return Wrong(
                request.id, f"word {at} of {name} must be {words[at]:#010x}, got {got[at]:#010x}"
            )
        cycles = trace.maps.cycles[starts[k] : starts[k + 1]]
        late = np.flatnonzero(cycles != np.asarray(want.gives[k]))
        if len(late):
            at = int(late[0])
            return Wrong(
                request.id,
                f"word {at} of {name} must come in cycle {want.gives[k][at]:,}, came in "
                f"{int(cycles[at]):,}",
            )
    if len(packets) > len(want.requests):
        extra = int(packets[len(want.requests)][0])
        return Wrong(extra, f"a map of frame {extra} came that nobody asked for")
    return None


def _alone(
    reference: Reference,
    answers: Mapping[str, IntArray],
    known: Sequence[tuple[int, int, int]],
    told: Sequence[tuple[int, int, int]],
    packets: Sequence[npt.NDArray[np.uint32]],
) -> Wrong | None:
    """The first packet that is not the map of its frame."""
    if len(known) != len(packets):
        strange = next((k for k in told if k not in known), (0, 0, 0))
        return Wrong(
            strange[0], f"a map of frame {strange[0]} at exit {strange[1]} is none of ours"
        )
    for key, got in zip(known, packets, strict=True):
        request = Request(key[0], int(answers["class"][key[0]]), key[1], key[2], 0)
        if reference.packet(request) != got.tobytes():
            return Wrong(key[0], f"the map of frame {key[0]} at exit {key[1]} has other words")
    return None


def sentence(found: Wrong, first: int) -> str:
    """What differs, for a person; `first` is the image of the slice's first frame."""
    return (
        f"the RTL must give the maps of the reference, and {found.text} (image "
        f"{first + found.frame} of the test set); look at that frame with `--waves vcd --frame "
        f"{first + found.frame}`"
    )


def summary(maps: Maps, checked: Sequence[Checked]) -> dict[str, Any]:
    """An entry of `maps` of the report's simulation: how many, how long, how large, by exit."""
    requests = [r for c in checked for r in c.given.requests]
    lasting = [
        gives[-1] - take + 1 - PORT
        for c in checked
        for take, gives in zip(c.given.takes, c.given.gives, strict=True)
    ]
    bits = [size for c in checked for size in c.sizes]
    rows = []
    for exit in sorted({r.exit for r in requests}):
        here = [k for k, r in enumerate(requests) if r.exit == exit]
        rows.append(
            {
                "exit": exit,
                "maps": len(here),
                "cycles": float(np.mean([lasting[k] for k in here])),
                "bits": float(np.mean([bits[k] for k in here])),
            }
        )
    return {
        "method": METHODS[maps.asked.method],
        "every": maps.asked.every,
        "maps": len(requests),
        "missed": sum(c.given.missed for c in checked),
        "mismatches": sum(c.wrong is not None for c in checked),
        "exits": rows,
    }
