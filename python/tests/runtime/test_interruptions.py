"""Random interruptions: a clear error or a recovered stream, never a wrong answer or a hang.

One device goes through all of them, so that each starts from what the one before left behind.
"""

from __future__ import annotations

import collections
import time

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.registers import ALWAYS, NEVER
from exeunt.runtime import Accelerator, DeviceError, DeviceFault, DeviceTimeout
from exeunt.runtime.results import Answer

pytestmark = pytest.mark.sim

FRAME = 64  # beats of an image
CYCLES = 150  # of an image, about
MOST_CYCLES = 2_000_000
MOST_SECONDS = 60.0


class Interrupted:
    """A device that is interrupted at random, and what became of it."""

    def __init__(self, small, simulated, device: Accelerator, seed: int) -> None:
        self.small, self.simulated, self.device = small, simulated, device
        self.random = np.random.default_rng(seed)
        self.count: collections.Counter[str] = collections.Counter()
        self.limits = small.thresholds

    # what may happen ------------------------------------------------------

    def soft_reset(self, span: int) -> None:
        self.simulated.reset_after(self._early(span))

    def pin_reset(self, span: int) -> None:
        self.simulated.pull_reset_after(self._early(span))

    def _early(self, span: int) -> int:
        """Before the first answer is the harder case: then the ids start again unnoticed."""
        return int(self.random.integers(CYCLES if self.random.random() < 0.4 else span * CYCLES))

    def short_transfer(self, span: int) -> None:
        beats = int(self.random.integers(1, span * FRAME))
        if self.random.random() < 0.3:  # whole frames are the harder case: no frame is bad
            beats = max(1, beats // FRAME) * FRAME
        self.simulated.cut(beats)

    def stalled_input(self, span: int) -> None:
        self.simulated.hold(input=self._while(span))

    def stalled_output(self, span: int) -> None:
        self.simulated.hold(output=self._while(span))

    def _while(self, span: int) -> int:
        return (
            1 << 40 if self.random.random() < 0.5 else int(self.random.integers(2 * span * CYCLES))
        )

    # what goes on meanwhile -----------------------------------------------

    def pick(self, most: int = 40) -> np.ndarray:
        return self.random.integers(0, len(self.small.images), int(self.random.integers(1, most)))

    def right(self, answers: list[Answer], which: np.ndarray, *limits: tuple[int, ...]) -> None:
        """Each answer is the reference's with one of the thresholds that were in force."""
        wants = [self.small.want(x, which) for x in limits]
        for a in answers:
            got = (a.class_, a.exit, a.score)
            may = {(w.classes[a.image], w.exits[a.image], w.scores[a.image]) for w in wants}
            assert got in may, f"image {a.image}: {got}, expected one of {may}"

    def classify(self, timeout: float | None = None) -> None:
        which = self.pick()
        images = self.small.images[which]
        try:
            got = self.device.classify(images, timeout=timeout)
        except DeviceError as error:
            self.failed(error, which)
        else:
            self.small.agree(got, self.limits, which)
            self.count["answered"] += 1

    def logits(self) -> None:
        which, exit = self.pick(6), int(self.random.integers(3))
        try:
            got = self.device.logits(self.small.images[which], exit=exit)
        except DeviceError as error:
            assert not len(error.answered)
            self.count[type(error).__name__] += 1
        else:
            assert np.array_equal(got, self.small.logits[exit][which])
            self.count["answered"] += 1

    def stream(self, *, change: bool = False) -> None:
        which = self.pick()
        at = int(self.random.integers(len(which))) if change else -1
        taken, before = [], self.limits
        stop = int(self.random.integers(2 * len(which)))
        wrong = int(self.random.integers(4 * len(which)))

        def produce():
            for i, k in enumerate(which):
                yield self.small.images[k] if i != wrong else np.zeros((3, 3, 1), np.uint8)

        batch = int(self.random.integers(1, 9))
        stream = self.device.stream(produce(), batch=batch)
        try:
            for answer in stream:
                taken.append(answer)
                if len(taken) == at + 1 and change:
                    self.change()
                if len(taken) > stop:
                    stream.close()
                    self.count["closed"] += 1
                    break
            else:
                assert len(taken) == len(which)
                self.count["answered"] += 1
        except DeviceError as error:
            assert len(error.indices) == len(error.answered)
            kept = [error.answered[i]._replace(image=int(k)) for i, k in enumerate(error.indices)]
            assert not {a.image for a in taken} & {a.image for a in kept}
            self.right(kept, which, before, self.limits)
            self.count[type(error).__name__] += 1
        except InputError as error:
            assert f"image {wrong} of the stream must have the shape (8, 8, 1), or (N" in str(error)
            assert len(taken) == wrong
            self.count["refused"] += 1
        finally:
            stream.close()
        assert [a.image for a in taken] == list(range(len(taken)))
        self.right(taken, which, before, self.limits)

    def change(self) -> None:
        """Other thresholds, another order, both while images are inside."""
        if self.random.random() < 0.5:
            self.device.order = str(self.random.choice(["arrival", "input"]))
        if self.random.random() < 0.7:
            values = [self.small.thresholds[0], 0, 100, 5000, NEVER, ALWAYS]
            limits = tuple(int(self.random.choice(values)) for _ in range(2))
            self.limits = (*limits, ALWAYS)
            self.device.thresholds = self.limits

    def failed(self, error: DeviceError, which: np.ndarray) -> None:
        assert isinstance(error, DeviceFault | DeviceTimeout)
        text = str(error)
        assert text.startswith("The accelerator sample must answer and did not: ")
        assert text.endswith("answers are in the error's `answered`.")
        assert "the device was reset and is ready" in text
        assert len(error.indices) == len(error.answered) < len(which)
        assert len(set(error.indices.tolist())) == len(error.indices)
        self.small.agree(error.answered, self.limits, which[error.indices])
        self.count[type(error).__name__] += 1
        self.count["kept"] += len(error.answered)

    def once(self) -> None:
        """One interruption, and then a few images that must be answered."""
        random, device = self.random, self.device
        started, begun = time.monotonic(), self.simulated.now()
        device.batch = int(random.choice([1, 3, 8, 20, 50]))
        stalls = random.random() < 0.3
        if stalls:
            self.simulated.random(
                idle=random.uniform(0, 0.5),
                stall=random.uniform(0, 0.5),
                seed=int(random.integers(99)),
            )
        span = int(random.integers(1, 40))
        happens = random.choice(
            ["soft_reset", "pin_reset", "short_transfer", "stalled_input", "stalled_output",
             "timeout", "busy", "none"],
            p=[0.2, 0.15, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05],
        )  # fmt: skip
        self.count[str(happens)] += 1
        if happens == "timeout":
            self.classify(timeout=float(random.integers(0, 5_000)))
        elif happens == "busy":
            self.stream(change=True)
        else:
            if happens != "none":
                getattr(self, str(happens))(span)
            what = random.random()
            if what < 0.6:
                self.classify()
            elif what < 0.9:
                self.stream(change=random.random() < 0.2)
            else:
                self.logits()
        # a disturbance that did not come yet stays away
        self.simulated.device.disturb(0, 0, after=-1)
        self.simulated.device.pull_reset(after=-10)
        self.simulated.cut(None)
        self.simulated.hold()
        self.simulated.random()
        if random.random() < 0.5:
            device.thresholds = self.limits
        which = self.pick(4)
        self.small.agree(device.classify(self.small.images[which]), self.limits, which)
        assert self.simulated.now() - begun < MOST_CYCLES
        assert time.monotonic() - started < MOST_SECONDS


def run(small, simulated, device, count: int, seed: int) -> collections.Counter[str]:
    found = Interrupted(small, simulated, device, seed)
    for i in range(count):
        try:
            found.once()
        except BaseException as error:
            error.add_note(f"interruption {i} of seed {seed}, after {dict(found.count)}")
            raise
    return found.count


@pytest.mark.parametrize("after", range(0, 140, 10))
def test_a_reset_before_the_first_answer(small, simulated, device, after):
    """The frames behind it are cut in the wrong places, and their ids start again at 0."""
    simulated.reset_after(after)
    with pytest.raises(DeviceError) as caught:
        device.classify(small.images)
    small.agree(caught.value.answered, images=caught.value.indices)
    small.agree(device.classify(small.images))


def test_sixty_interruptions(small, simulated, device):
    count = run(small, simulated, device, 60, seed=0)
    for name in ("answered", "DeviceFault", "DeviceTimeout", "closed", "kept"):
        assert count[name] > 0, dict(count)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_a_thousand_interruptions(small, simulated, device, seed):
    count = run(small, simulated, device, 100, seed=seed)
    print(dict(count))
