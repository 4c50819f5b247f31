"""Corners and the test of score blocks of criteria whose frames carry a word from exit to exit.

The block takes logits and carried words and gives scores; in the cycle in which a score is taken
it is told whether the frame stays, and gives what that frame carries on.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from lib.bench import Corner, Port, run_bench, stream_ports

from exeunt import criteria
from exeunt.criteria import Criterion, Logits, Scored
from exeunt.criteria.criterion import NEVER

FRAMES = 14

Carried = Callable[[np.random.Generator, int, int], npt.NDArray[Any]]
"""(random, frames, classes) -> what so many frames bring, as the criterion has it."""


def corner(criterion: str, lanes: int, classes: int, bits: int) -> Corner:
    """The score block of a criterion for `classes` logits of `bits` bits, `lanes` a beat."""
    logits = Logits(classes, lanes, bits)
    found = criteria.get(criterion)
    assert found.carry is not None, f"frames carry nothing by {criterion}"
    width = found.carry.bits(logits)
    ports = [
        *stream_ports(lanes * bits, found.score_bits(logits) + logits.class_bits),
        Port("carried_valid"),
        Port("carried_ready", output=True),
        Port("carried_data", width),
        Port("keep"),
        *([] if found.carry.fixed else [Port("limit", 32)]),
        Port("carry_valid", output=True),
        Port("carry_data", width, output=True),
    ]
    return Corner(
        name=f"{criterion}_lanes{lanes}_classes{classes}_bits{bits}",
        module=found.module,
        parameters={
            "PE": lanes,
            "CLASSES": classes,
            "BITS": bits,
            **found.parameters(logits, criterion),
        },
        ports=tuple(ports),
        sleeps=found.sleeps,
        data=(criterion, logits),
    )


def check(criterion: str, corners: Sequence[Corner]) -> None:
    """Values and exact cycles, stalls against idles and late words, a reset in mid-frame.

    The module `<criterion>.corners` has a function `carried`, see `Carried`.
    """
    run_bench(criterion, corners, "lib.carry_block_cocotb")


@dataclass(frozen=True)
class Frames:
    """FRAMES frames for a corner: what goes in, what must come out.

    `keep` bool (N,) and `limits` int64 (N,): a frame stays only below its limit.
    """

    rule: Criterion
    of: Logits
    logits: npt.NDArray[np.int64]
    carried: npt.NDArray[Any]
    scored: Scored
    keep: npt.NDArray[np.bool_]
    limits: npt.NDArray[np.int64]

    @classmethod
    def draw(cls, criterion: str, of: Logits, seed: int) -> Frames:
        """Uniform, tied and extreme logits; limits just above the score, far above, never.

        Frame 12 has a logit that is as far behind the largest as it can be, and stays whatever its
        score is.
        """
        rule = criteria.get(criterion)
        assert rule.carry is not None
        rng = np.random.default_rng(seed)
        low, high = -(1 << (of.bits - 1)), (1 << (of.bits - 1)) - 1
        logits = rng.integers(low, high + 1, (FRAMES, of.classes))
        logits[1::4] = rng.integers(max(low, -2), min(high, 1) + 1, logits[1::4].shape)
        logits[2] = np.where(rng.random(of.classes) < 0.5, low, high)
        logits[3], logits[4], logits[5] = low, high, low
        logits[12], logits[12, -1] = low, high
        make: Carried = importlib.import_module(f"{criterion}.corners").carried
        carried = make(rng, FRAMES, of.classes)
        scored = rule.carry.values(logits, carried)
        spread = rng.integers(1, max(2, (high - low) // 2), FRAMES)
        limits = np.minimum(scored.scores + spread, NEVER)
        limits[::3] = scored.scores[::3] + 1
        limits[4], limits[6], limits[12] = NEVER, NEVER - 1, NEVER
        keep = rng.random(FRAMES) < 0.7
        keep[2:6], keep[12] = True, True
        return cls(rule, of, logits, carried, scored, keep, limits)

    def some(self, count: int) -> Frames:
        """The first `count`."""
        cut = Scored(self.scored.classes[:count], self.scored.scores[:count])
        return replace(
            self, logits=self.logits[:count], carried=self.carried[:count], scored=cut,
            keep=self.keep[:count], limits=self.limits[:count],
        )  # fmt: skip

    @property
    def beats(self) -> list[int]:
        """The logits as words of the stream."""
        mask, bits = (1 << self.of.bits) - 1, self.of.bits
        return [
            sum((v & mask) << (bits * k) for k, v in enumerate(beat))
            for beat in self.logits.reshape(-1, self.of.lanes).tolist()
        ]

    @property
    def words(self) -> list[int]:
        """The carried words."""
        return self._words(self.carried)

    @property
    def answers(self) -> list[int]:
        """{score, class} of every frame."""
        mask = (1 << self.rule.score_bits(self.of)) - 1
        pairs = zip(*self.scored, strict=True)
        return [int(c) | (int(s) & mask) << self.of.class_bits for c, s in pairs]

    @property
    def next_words(self) -> list[int]:
        """What the frames that stay carry on."""
        assert self.rule.carry is not None
        scored = Scored(self.scored.classes[self.keep], self.scored.scores[self.keep])
        limits = np.where(self.limits == NEVER, 1 << 62, self.limits)[self.keep]
        return self._words(
            self.rule.carry.next(self.logits[self.keep], self.carried[self.keep], scored, limits)
        )

    def _words(self, carried: npt.NDArray[Any]) -> list[int]:
        assert self.rule.carry is not None
        return self.rule.carry.words(carried, self.rule.carry.bits(self.of))
