"""What a device does with the test images: throughput, latencies, exits, mismatches, a sweep.

Time is the transport's: seconds on a board, cycles in a simulation. A latency is the one in the
result packet, which the accelerator counts in cycles itself; where time is seconds it is given in
seconds by the clock. NumPy alone, so that the board runs the same code.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.bench import energy as energies
from exeunt.bench import statistics
from exeunt.errors import CheckFailed
from exeunt.progress import Progress, silent
from exeunt.reference import controller
from exeunt.reference.looks import Looks
from exeunt.runtime import Accelerator, OutsidePromise, Results

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

FIELDS = ("class", "exit", "score")


@dataclass(frozen=True)
class Subject:
    """What is measured, and what it must answer.

    `images` uint8 (N, H, W, C); `labels` int64 (N,); `logits` per exit int64 (N, classes), those
    of the integer reference; `thresholds` one for each exit but the last; `clock_mhz` of the
    accelerator; `criterion`: what the exits go by; `scales`: what a logit of 1 stands for at each
    exit, 1.0 unless given; `offsets`: per exit, of each class, taken off the scores, if any;
    `looks`: further looks of the integer reference, if the network makes some.
    """

    images: Images
    labels: Labels
    logits: Sequence[npt.NDArray[np.integer[Any]]]
    thresholds: tuple[int, ...]
    clock_mhz: float
    criterion: str = criteria.DEFAULT
    scales: tuple[float, ...] = ()
    offsets: tuple[tuple[int, ...], ...] = ()
    looks: Looks | None = None


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    `repeats` passes through the images, of which the median counts; `alone` images sent one at a
    time; `curve` sets of thresholds for the sweep; `seconds` of work for one reading of the power,
    and of idleness.
    """

    repeats: int = 3
    alone: int = 200
    curve: tuple[tuple[int, ...], ...] = ()
    seconds: float = 2.0


@dataclass(frozen=True)
class Pass:
    """All images at full rate under one set of thresholds."""

    thresholds: tuple[int, ...]
    results: Results
    times: tuple[float, ...]
    mismatches: int
    energy: energies.Energy | None = None

    @property
    def duration(self) -> float:
        """Of the whole set, in the transport's unit: the median."""
        return statistics.median(self.times)


@dataclass(frozen=True)
class Measured:
    """Everything that was seen; `unit` is "cycles" or "seconds", and `scale` units a cycle."""

    subject: Subject
    unit: str
    chosen: Pass
    alone: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # latency in cycles, exit
    calls: npt.NDArray[np.float64] | None  # seconds of the host for each image sent alone
    sweep: tuple[Pass, ...] = ()
    idle: energies.Power | None = None
    wrong: tuple[str, ...] = field(default=())

    @property
    def scale(self) -> float:
        """Units a cycle."""
        return 1.0 if self.unit == "cycles" else 1e-6 / self.subject.clock_mhz


def differences(
    results: Results, expected: controller.Decisions, indices: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Which of the images are not answered as expected, in class, exit or score."""
    wrong = (
        (results.classes != expected.classes[indices])
        | (results.exits != expected.exits[indices])
        | (results.scores != expected.scores[indices])
        | results.bad
    )
    return indices[np.flatnonzero(wrong)]


def sentence(results: Results, expected: controller.Decisions, index: int, position: int) -> str:
    """The first difference: image, got and expected."""
    got: tuple[Labels, ...] = tuple(
        a.astype(np.int64) for a in (results.classes, results.exits, results.scores)
    )
    want = (expected.classes, expected.exits, expected.scores)
    told = ", ".join(
        f"{name} {int(g[position])} instead of {int(w[index])}"
        for name, g, w in zip(FIELDS, got, want, strict=True)
        if int(g[position]) != int(w[index])
    )
    return f"image {index}: {told or 'flagged as cut short'}"


def registers_of(thresholds: Sequence[int]) -> list[int | None]:
    """What the driver is given for one threshold for each exit but the last."""
    return [*thresholds, None]


def measure(
    device: Accelerator,
    subject: Subject,
    plan: Plan,
    *,
    now: Callable[[], float],
    meter: energies.Meter | None = None,
    progress: Progress = silent,
) -> Measured:
    """Put the images through the device, one set of thresholds after the other.

    The device has the thresholds it had before when this returns.

    Args:
        device: an opened accelerator.
        subject: images, and what the reference says of them.
        plan: how long.
        now: the transport's clock.
        meter: of the power, where there is one.
        progress: told of passes done.

    Raises:
        DeviceError: the device did not answer.
        ToolError: a power sensor could not be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutsidePromise)  # a sweep leaves it on purpose
        return _measure(device, subject, plan, now, meter, progress)


def _measure(
    device: Accelerator,
    subject: Subject,
    plan: Plan,
    now: Callable[[], float],
    meter: energies.Meter | None,
    progress: Progress,
) -> Measured:
    unit = "cycles" if device.unit == "cycles" else "seconds"
    before = device.thresholds
    sets = [t for t in dict.fromkeys(plan.curve) if t != subject.thresholds]
    total = 2 + len(sets)
    wrong: list[str] = []
    try:
        progress(0, total, "warming up")
        device.classify(subject.images[: min(64, len(subject.images))])
        idle = meter.idle(plan.seconds) if meter else None
        chosen = _pass(device, subject, subject.thresholds, plan, now, meter, idle, wrong)
        progress(1, total, "one image at a time")
        latency, exits, calls = _alone(device, subject, plan.alone, wrong)
        sweep = []
        for i, thresholds in enumerate(sets):
            progress(2 + i, total, f"thresholds {i + 1} of {len(sets)}")
            sweep.append(_pass(device, subject, thresholds, plan, now, meter, idle, wrong))
    finally:
        device.thresholds = list(before)
    progress(total, total, f"{len(subject.images)} images")
    return Measured(
        subject,
        unit,
        chosen,
        (latency, exits),
        None if unit == "cycles" else calls,
        tuple(sweep),
        idle,
        tuple(wrong),
    )


def _pass(
    device: Accelerator,
    subject: Subject,
    thresholds: tuple[int, ...],
    plan: Plan,
    now: Callable[[], float],
    meter: energies.Meter | None,
    idle: energies.Power | None,
    wrong: list[str],
) -> Pass:
    device.thresholds = registers_of(thresholds)
    expected = controller.decide(
        subject.logits, thresholds, criterion=subject.criterion, scales=subject.scales,
        offsets=subject.offsets, looks=subject.looks,
    )  # fmt: skip
    indices = np.arange(len(subject.images))
    times: list[float] = []
    mismatches = 0
    repeats = 1 if device.unit == "cycles" else plan.repeats  # a simulation repeats itself exactly
    for _ in range(repeats):
        _forget(device, subject)
        started = now()
        results = device.classify(subject.images)
        times.append(now() - started)
        found = differences(results, expected, indices)
        mismatches += len(found)
        if len(found):
            wrong.append(sentence(results, expected, int(found[0]), int(found[0])))
    used = None
    if meter is not None:
        answered = [0]

        def busy() -> None:
            until = time.perf_counter() + plan.seconds
            while not answered[0] or time.perf_counter() < until:
                device.classify(subject.images)
                answered[0] += len(subject.images)

        used = energies.energy(meter, busy, inferences=lambda: answered[0], idle=idle)
    return Pass(thresholds, results, tuple(times), mismatches, used)


def _forget(device: Accelerator, subject: Subject) -> None:
    """Exits that remember the images before begin anew, as the reference does."""
    if criteria.get(subject.criterion).history is not None:
        device.reset()


def _alone(
    device: Accelerator, subject: Subject, count: int, wrong: list[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Latency in cycles and exit of images sent one at a time, and the seconds of each call."""
    device.thresholds = registers_of(subject.thresholds)
    chosen = _spread_out(len(subject.images), count)
    expected = controller.decide(
        [x[chosen] for x in subject.logits], subject.thresholds, criterion=subject.criterion,
        scales=subject.scales, offsets=subject.offsets,
        looks=None if subject.looks is None else subject.looks.some(chosen),
    )  # fmt: skip
    _forget(device, subject)
    latency, exits = np.zeros(len(chosen), np.int64), np.zeros(len(chosen), np.int64)
    calls = np.zeros(len(chosen))
    for k, index in enumerate(chosen):
        started = time.perf_counter()
        answer = device.classify_one(subject.images[index])
        calls[k] = time.perf_counter() - started
        latency[k], exits[k] = answer.latency, answer.exit
        seen = (answer.class_, answer.exit, answer.score)
        want = tuple(int(a[k]) for a in (expected.classes, expected.exits, expected.scores))
        if seen != want:
            wrong.append(f"image {index} alone: class, exit, score {seen} instead of {want}")
    return latency, exits, calls


def _spread_out(total: int, count: int) -> npt.NDArray[np.int64]:
    """`count` indices below `total`, evenly apart."""
    count = min(count, total)
    return (np.arange(count) * total // max(1, count)).astype(np.int64)


def throughput(found: Pass) -> float:
    """Images a unit of time."""
    return len(found.results) / found.duration


def summary(measured: Measured) -> dict[str, Any]:
    """What was seen, as plain data: times in `unit`, throughput in images a `unit`."""
    subject, chosen, scale = measured.subject, measured.chosen, measured.scale
    exits = len(subject.thresholds) + 1
    lone, lone_exits = measured.alone
    alone = lone * scale
    loaded = chosen.results.latency.astype(np.int64) * scale
    left = chosen.results.exits.astype(np.int64)
    per_image = chosen.duration / len(chosen.results)
    right = chosen.results.classes == subject.labels
    rates = statistics.rates(left, exits)
    rows = []
    for i, (one, many) in enumerate(
        zip(
            statistics.by_exit(alone, lone_exits, exits),
            statistics.by_exit(loaded, left, exits),
            strict=True,
        )
    ):
        here = left == i
        rows.append(
            {
                "index": i,
                "rate": rates[i],
                "accuracy": float(right[here].mean()) if here.any() else None,
                "latency": None if one is None else one.to_json(),
                "latency_loaded": None if many is None else many.to_json(),
                "quantiles_loaded": statistics.quantiles(loaded[here]),
            }
        )
    seconds = 1.0 if measured.unit == "seconds" else 1e-6 / subject.clock_mhz
    whole, full = statistics.spread(alone), statistics.spread(loaded)
    return {
        "unit": measured.unit,
        "images": len(chosen.results),
        "repeats": len(chosen.times),
        "mismatches": chosen.mismatches + sum(p.mismatches for p in measured.sweep),
        "differences": list(measured.wrong[:8]),
        "compared": list(FIELDS),
        "thresholds": list(subject.thresholds),
        "accuracy": float(right.mean()),
        "exits": rows,
        "throughput": throughput(chosen),
        "images_per_second": throughput(chosen) / seconds,
        "time_per_image": per_image,
        "latency": None if whole is None else whole.to_json(),
        "latency_loaded": None if full is None else full.to_json(),
        "call": _calls(measured.calls),
        "sweep": [_row(measured, p, seconds) for p in (chosen, *measured.sweep)],
        "energy": None if chosen.energy is None else chosen.energy.to_json(),
    }


def _calls(calls: npt.NDArray[np.float64] | None) -> Mapping[str, Any] | None:
    found = None if calls is None else statistics.spread(calls)
    return None if found is None else {**found.to_json(), "unit": "seconds"}


def _row(measured: Measured, found: Pass, seconds: float) -> dict[str, Any]:
    latency = statistics.spread(found.results.latency.astype(np.int64) * measured.scale)
    used = found.energy
    return {
        "thresholds": list(found.thresholds),
        "chosen": found is measured.chosen,
        "accuracy": float((found.results.classes == measured.subject.labels).mean()),
        "rates": list(
            statistics.rates(found.results.exits.astype(np.int64), len(found.thresholds) + 1)
        ),
        "throughput": throughput(found),
        "images_per_second": throughput(found) / seconds,
        "latency_loaded_p50": None if latency is None else latency.p50,
        "mismatches": found.mismatches,
        "energy": None if used is None else used.total,
        "energy_above_idle": None if used is None else used.above_idle,
    }


def check(measured: Measured) -> None:
    """Refuse figures of wrong answers.

    Raises:
        CheckFailed: an answer differs from the reference's.
    """
    if measured.wrong:
        raise CheckFailed(
            f"every answer of the device must be the reference's, got {len(measured.wrong)} passes "
            f"or images that differ ({measured.wrong[0]}): run the self-test, then simulate"
        )
