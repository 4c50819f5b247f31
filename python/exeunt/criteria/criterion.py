"""What an exit criterion is made of, and the logits that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError

Cycles = npt.NDArray[np.int64]

MAX_CLASSES = 1 << 16
MAX_LOGIT_BITS = 31
MAX_SCORE_BITS = 32  # of a threshold register
NEVER = 0x7FFFFFFF
"""Threshold code: no frame leaves here."""
ALWAYS = -0x80000000
"""Threshold code: every frame leaves here."""


@dataclass(frozen=True)
class Logits:
    """The logits of one exit as its score block gets them.

    `classes` a frame, `lanes` of them a beat, class 0 first; `bits` of each, signed; a logit of 1
    stands for `scale` in the network as it was trained.
    """

    classes: int
    lanes: int
    bits: int
    scale: float = 1.0

    @property
    def beats(self) -> int:
        """Beats a frame."""
        return self.classes // self.lanes

    @property
    def class_bits(self) -> int:
        """Bits of a class."""
        return (self.classes - 1).bit_length()


class Scored(NamedTuple):
    """The answers of one exit to N frames: `classes` int64 (N,), `scores` (N,)."""

    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[Any]


class Score(Protocol):
    """The answers to logits (N, classes): integers, which give integer scores, exact.

    Or floats in the steps of the integers, which give float scores: of the same network computed
    in floats, whose logits may be off by rounding.
    """

    def __call__(self, logits: npt.NDArray[Any], *, scale: float = 1.0) -> Scored:
        """Classes and scores; `scale`: what a logit of 1 stands for in the trained network."""


class Parameters(Protocol):
    """What the score block of an exit is built with beside `PE`, `CLASSES` and `BITS`.

    `name` is the block's own among all exits: the names of its memory files begin with it.
    """

    def __call__(self, logits: Logits, name: str) -> Mapping[str, int | str]:
        """Value of each parameter of the module."""


class Memories(Protocol):
    """Memory-init files of the score block of an exit, see `Parameters`."""

    def __call__(self, logits: Logits, name: str) -> Mapping[str, str]:
        """Text of each file, by its name."""


def nothing(logits: Logits, name: str) -> Mapping[str, Any]:
    """Of a score block without more parameters, or without memory files."""
    del logits, name
    return {}


class Times(Protocol):
    """Cycles of the score block, exact with and without stalls.

    `offered`: int64 (N * beats,), first cycle in which each beat can be valid; `ready`: int64 (N,),
    first cycle in which each score is accepted, None: at once. Returns takes int64 (N * beats,) and
    gives int64 (N,), the cycles in which beats and scores are transferred.
    """

    def __call__(
        self, logits: Logits, offered: Cycles, ready: Cycles | None = None
    ) -> tuple[Cycles, Cycles]:
        """When beats are taken and scores given."""


LEVELS = 1  # of a tree over the lanes between two registers
IN_STAGES: Mapping[str, int | str] = {"LEVELS_A_STAGE": LEVELS}


def tree_stages(logits: Logits) -> int:
    """Registers in a tree over the lanes, with one behind it."""
    return -(-(logits.lanes - 1).bit_length() // LEVELS)


def best_stages(logits: Logits) -> int:
    """Cycles until the best logit is known, `STAGES` of ex_best.

    Those of the tree, and one more where a frame has several beats.
    """
    return tree_stages(logits) + (logits.beats > 1)


def in_stages(logits: Logits, name: str) -> Mapping[str, int | str]:
    """Parameters of a score block that is built with ex_best and no more."""
    del logits, name
    return IN_STAGES


def in_step(latency: Callable[[Logits], int]) -> Times:
    """Cycles of a score block that shows the score `latency` cycles after the last beat.

    While a score waits everything in the block stands still and no beat is taken; the next one is
    in the cycle in which the score is.
    """

    def times(
        logits: Logits, offered: Cycles, ready: Cycles | None = None
    ) -> tuple[Cycles, Cycles]:
        beats, frames, after = logits.beats, len(offered) // logits.beats, latency(logits)
        takes, gives = np.empty(len(offered), np.int64), np.empty(frames, np.int64)
        waits: list[tuple[int, int]] = []  # from which cycle and before which a score had to wait
        last = -(1 << 40)
        for n in range(frames):
            for k in range(n * beats, (n + 1) * beats):
                last = max(int(offered[k]), last + 1)
                for begin, end in waits:
                    last = end if begin <= last < end else last
                takes[k] = last
            shown = last + after
            for begin, end in waits:
                shown += max(0, end - max(begin, last + 1)) if begin < shown else 0
            gives[n] = shown if ready is None else max(shown, int(ready[n]))
            waits = [w for w in waits if w[1] > last]
            if gives[n] > shown:
                waits.append((shown, int(gives[n])))
        return takes, gives

    return times


def _one(logits: Logits) -> int:
    del logits
    return 1


in_one_register = in_step(_one)
"""Of a score block that shows the score a cycle after the last beat."""


@dataclass(frozen=True)
class Carry:
    """A word that each frame carries from exit to exit, beside its metadata.

    What N frames carry is an array with N along its first axis.

    bits: of the word, for the logits of the exit that gives it.
    first: (N, classes) -> what frames bring to exit 0.
    values: (logits, carried) -> the answers, see `Score`.
    next: (logits, carried, answers, limits) of the frames that stay -> what they carry on; a frame
        stays where its score is below its limit, int64 (N,), which is above every score for never.
    words: (carried, bits) -> the words as the hardware has them, a list of N integers.
    delay: cycles from that in which a score is taken to that in which the word is given.
    wanted: carried -> int64 (N,), the classes whose logits the next exit must know; None: all.
    fixed: what frames carry does not depend on thresholds.
    """

    bits: Callable[[Logits], int]
    first: Callable[[int, int], npt.NDArray[Any]]
    values: Callable[[npt.NDArray[Any], npt.NDArray[Any]], Scored]
    next: Callable[[npt.NDArray[Any], npt.NDArray[Any], Scored, npt.NDArray[Any]], npt.NDArray[Any]]
    words: Callable[[npt.NDArray[Any], int], list[int]]
    delay: Callable[[Logits], int]
    wanted: Callable[[npt.NDArray[Any]], npt.NDArray[np.int64]] | None = None
    fixed: bool = False


@dataclass(frozen=True)
class History:
    """What an exit remembers of the frames that it scored before, until a reset.

    first: after a reset.
    values: (logits, remembered) of frames in the order in which they get there -> the answers, and
        what is remembered then.
    """

    first: Any
    values: Callable[[npt.NDArray[Any], Any], tuple[Scored, Any]]


@dataclass(frozen=True)
class Criterion:
    """An exit criterion: class and score of a frame from its logits, in integers.

    A frame leaves at the first exit whose score reaches the exit's threshold, so a higher score
    must mean a surer answer. A threshold is a signed number of 32 bits like the score; the codes
    `registers.NEVER` and `registers.ALWAYS` are no scores. The score block ex_<name> takes a beat
    in every cycle in which no score of its own has to wait.

    name: in config, exits.json, manifest and report, and of block and test folder.
    code: what the criterion register reads; no two criteria have the same.
    score: the score as a noun phrase, as in "the threshold that `score` reaches".
    rule: when a frame leaves, as in "leaves when `rule`", the threshold following.
    values: the answers to frames that carry and follow nothing.
    times: the cycles of the score block.
    score_bits: bits of the signed score for these logits, at most 32.
    parameters: of the score block beside `PE`, `CLASSES` and `BITS`.
    memories: memory-init files that the score block reads.
    candidates: thresholds worth trying, ascending, for the integer scores (N,) that frames have at
        an exit; None: each score that occurs.
    sleeps: the score block has the port busy, so that simulation can skip it (hls/rtl/ex_gate.sv).
    loss: the `train.loss` that was made for this criterion, if any; the others serve all criteria.
    carry: what a frame hands on from exit to exit, if anything; the answers are then its `values`.
    history: what an exit remembers from frame to frame, if anything; likewise.
    most: the largest score that exit i can give, where that is known beforehand.
    """

    name: str
    code: int
    score: str
    rule: str
    values: Score
    times: Times
    score_bits: Callable[[Logits], int]
    parameters: Parameters = nothing
    memories: Memories = nothing
    candidates: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]] | None = None
    loss: str | None = None
    sleeps: bool = False
    carry: Carry | None = None
    history: History | None = None
    most: Callable[[int], int] | None = None

    @property
    def module(self) -> str:
        """The score block."""
        return f"ex_{self.name}"

    @property
    def by_class(self) -> bool:
        """Whether each class may have a threshold of its own: frames are judged one by one."""
        return self.history is None and self.carry is None

    @property
    def fixed(self) -> bool:
        """Whether a frame's scores depend on its own logits alone, whatever the thresholds are."""
        return self.history is None and (self.carry is None or self.carry.fixed)

    def check(self, thresholds: Sequence[int | None]) -> None:
        """Refuse thresholds, from exit 0 on, that no score can reach although they are not NEVER.

        Raises:
            InputError: there is one.
        """
        for i, threshold in enumerate(thresholds if self.most else ()):
            assert self.most is not None, "or there is nothing to check"
            most = self.most(i)
            if threshold is not None and most < threshold < NEVER:
                raise InputError(
                    f"by the criterion {self.name} the threshold of exit {i} must be at most "
                    f"{most}, since there cannot be more {self.score}, or {NEVER} for never, got "
                    f"{threshold}: lower it"
                )

    def latency(self, logits: Logits) -> int:
        """Cycles from the last beat of a frame to its score, without stalls."""
        takes, gives = self.times(logits, np.arange(logits.beats, dtype=np.int64))
        return int(gives[0] - takes[-1])

    def thresholds(self, scores: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Thresholds worth trying for integer scores (N,), ascending, int64."""
        found = scores if self.candidates is None else self.candidates(scores)
        return np.unique(found).astype(np.int64)
