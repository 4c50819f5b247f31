"""The same network on the processor: what the accelerator is compared with, in the same run.

Images leave early here too: an image that has left is not computed any further. `Reference` is the
integer reference in NumPy, which runs everywhere; `OnnxRuntime` runs the float graph of
`exeunt.bench.floats` where onnxruntime exists.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from exeunt import criteria, registers
from exeunt.bench import statistics
from exeunt.errors import ExeuntError
from exeunt.graph import Accelerator
from exeunt.reference import controller, network
from exeunt.reference.prepared import Prepared
from exeunt.rules.rule import RuleSet

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Stage = Callable[[int, npt.NDArray[Any]], tuple[npt.NDArray[Any], npt.NDArray[Any]]]

MODEL = "model.onnx"
PIECES = "onnx"
"""Folder with the pieces that onnxruntime runs, `<quantizers>-<exit>.onnx`."""

MEANING = {
    "kept": "quantizers as plain operators",
    "dropped": "activations not rounded, only clipped",
}
BATCHES = (1, 16, 64, 256)
LATENCIES = 200
SECONDS = 0.5
REPEATS = 5


class Engine(Protocol):
    """A network on the processor."""

    name: str
    graph: str
    threads: int

    def classify(self, images: Images, thresholds: Sequence[int]) -> tuple[Labels, Labels]:
        """Class and exit of every image (N, H, W, C), all of them at once."""


def leave(
    stage: Stage,
    x: npt.NDArray[Any],
    limits: Sequence[float | None],
    criterion: str = criteria.DEFAULT,
    scales: Sequence[float] = (),
    offsets: Sequence[Sequence[int]] = (),
) -> tuple[Labels, Labels]:
    """Class and exit of every frame, none of them computed further than to where it leaves.

    Args:
        stage: (index, frames) -> what goes on, logits in integer steps.
        x: (N, ...) frames for stage 0, in the order in which they come.
        limits: lowest score that leaves, one for each exit but the last; None: nobody leaves.
        criterion: what gives the score.
        scales: what a logit of 1 stands for at each exit; 1.0 unless given.
        offsets: per exit, of each class: taken off the scores; none: nothing is.
    """
    rule = criteria.get(criterion)
    classes, exits = np.zeros(len(x), np.int64), np.full(len(x), len(limits), np.int64)
    here = np.arange(len(x))
    frames: criteria.Frames | None = None
    for index, limit in enumerate((*limits, -np.inf)):
        if not len(here):
            break
        x, logits = stage(index, x)
        frames = frames or criteria.Frames(
            rule, len(here), logits.shape[1], scales=scales, offsets=offsets
        )
        least = np.full(len(here), np.inf if limit is None else limit)
        scored, leave_now = frames.judge(logits, least)
        classes[here] = scored.classes
        exits[here[leave_now]] = index
        here, x = here[~leave_now], x[~leave_now]
    return classes, exits


class Reference:
    """The integer reference in NumPy, exact."""

    name = "numpy"
    graph = "integers"

    def __init__(self, accelerator: Accelerator) -> None:
        self._prepared, self._accelerator = Prepared(accelerator), accelerator
        self._criterion, self._scales = accelerator.criterion, accelerator.logit_scales
        self._offsets, self._rules = accelerator.offsets, accelerator.rules
        limit = os.environ.get("OMP_NUM_THREADS", "")
        self.threads = int(limit) if limit.isdigit() else os.cpu_count() or 1  # as BLAS does

    def _stage(self, index: int, x: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        going, logits = self._prepared.stage(index, x)
        return going, logits.astype(np.int64)  # so that scores are those of the integers

    def classify(self, images: Images, thresholds: Sequence[int]) -> tuple[Labels, Labels]:
        """Class and exit of every image, as the accelerator answers."""
        if self._rules is not None and self._rules.looks:
            return self._looked(images, thresholds)
        limits = [None if t == registers.NEVER else float(t) for t in thresholds]
        images = images if self._rules is None else self._rules.look(images, 0)[0]
        flat = images.reshape(len(images), -1)
        return leave(self._stage, flat, limits, self._criterion, self._scales, self._offsets)

    def _looked(self, images: Images, thresholds: Sequence[int]) -> tuple[Labels, Labels]:
        """The same with further looks, of which all are computed."""
        outputs = network.run(self._accelerator, images)
        found = controller.decide(
            outputs.logits, [*thresholds, None], criterion=self._criterion, scales=self._scales,
            offsets=self._offsets, looks=outputs.looks,
        )  # fmt: skip
        return found.classes.astype(np.int64), found.exits.astype(np.int64)


class OnnxRuntime:
    """onnxruntime on the float graph, one session for each exit.

    Args:
        pieces: serialized models, as `exeunt.bench.floats` cuts them.
        graph: what was done with the quantizers.
        scales: of the logits of each exit.
        criterion: what the exits go by.
        offsets: per exit, of each class: taken off the scores; none: nothing is.
        rules: what modifies the images before.
        threads: 0 for one a core.

    Raises:
        ImportError: there is no onnxruntime here.
    """

    name = "onnxruntime"

    def __init__(
        self,
        pieces: Sequence[bytes],
        graph: str,
        scales: Sequence[float],
        *,
        criterion: str = criteria.DEFAULT,
        offsets: Sequence[Sequence[int]] = (),
        rules: RuleSet | None = None,
        threads: int = 0,
    ) -> None:
        import onnxruntime

        self.graph = graph
        self.threads = threads or os.cpu_count() or 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        self._scales = tuple(scales)
        self._criterion, self._offsets, self._rules = criterion, offsets, rules
        self._sessions = [
            onnxruntime.InferenceSession(
                piece, sess_options=options, providers=["CPUExecutionProvider"]
            )
            for piece in pieces
        ]

    def _stage(self, index: int, x: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        session = self._sessions[index]
        got = session.run(None, {session.get_inputs()[0].name: x})
        return got[-1], got[0] / np.float32(self._scales[index])

    def classify(self, images: Images, thresholds: Sequence[int]) -> tuple[Labels, Labels]:
        """Class and exit of every image; a threshold counts as reached half a step before it is."""
        limits = [None if t == registers.NEVER else t - 0.5 for t in thresholds]
        images = images if self._rules is None else self._rules.look(images, 0)[0]
        x = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        return leave(self._stage, x, limits, self._criterion, self._scales, self._offsets)


@dataclass(frozen=True)
class Figures:
    """What an engine does: rates in images a second, latencies of single images in seconds."""

    engine: Engine
    batch: int
    images_per_second: float
    without_exits: float
    latency: statistics.Spread
    agreement: float
    accuracy: float | None
    images: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "engine": self.engine.name,
            "graph": self.engine.graph,
            "threads": self.engine.threads,
            "batch": self.batch,
            "images": self.images,
            "images_per_second": self.images_per_second,
            "images_per_second_without_exits": self.without_exits,
            "latency": self.latency.to_json(),
            "unit": "seconds",
            "agreement": self.agreement,
            "accuracy": self.accuracy,
        }


def _rate(
    engine: Engine, images: Images, thresholds: Sequence[int], batch: int, seconds: float
) -> float:
    """Images a second in batches of that size: the median over passes through the images."""
    passes: list[float] = []
    until = time.perf_counter() + seconds
    while not passes or (time.perf_counter() < until and len(passes) < REPEATS):
        started = time.perf_counter()
        for first in range(0, len(images), batch):
            engine.classify(images[first : first + batch], thresholds)
        passes.append(time.perf_counter() - started)
    return len(images) / statistics.median(passes)


def measure(
    engine: Engine,
    images: Images,
    thresholds: Sequence[int],
    *,
    expected: Labels,
    labels: Labels | None = None,
    seconds: float = SECONDS,
) -> Figures:
    """Rate at the best batch, latency of single images, agreement with the expected classes.

    Args:
        engine: the network on this processor.
        images: uint8 (N, H, W, C).
        thresholds: one for each exit but the last.
        expected: int64 (N,), the classes that the integers give.
        labels: int64 (N,), the truth; None: no accuracy.
        seconds: time for each batch size.
    """
    classes, _ = engine.classify(images, thresholds)  # also warms up
    rates = {}
    for batch in BATCHES:
        if batch <= max(1, len(images)):
            part = images[: max(batch, min(len(images), 4 * batch if batch > 1 else 64))]
            rates[batch] = _rate(engine, part, thresholds, batch, seconds)
    best = max(rates, key=lambda b: rates[b])
    never = [registers.NEVER] * len(thresholds)
    part = images[: 4 * best]
    engine.classify(part[:best], never)
    whole = _rate(engine, part, never, best, seconds)
    rate = _rate(engine, images, thresholds, best, 2 * seconds)
    single = []
    for i in range(min(LATENCIES, len(images))):
        started = time.perf_counter()
        engine.classify(images[i : i + 1], thresholds)
        single.append(time.perf_counter() - started)
    latency = statistics.spread(single)
    assert latency is not None, "there are images"
    return Figures(
        engine,
        best,
        rate,
        whole,
        latency,
        float((classes == expected).mean()),
        None if labels is None else float((classes == labels).mean()),
        len(images),
    )


def engines(
    accelerator: Accelerator, folder: Path, *, scales: Sequence[float] = (), threads: int = 0
) -> tuple[list[Engine], str]:
    """What there is to compare with here, and why onnxruntime is not among it ("" when it is).

    Args:
        accelerator: the compiled graph.
        folder: a run folder with model.onnx, or one with the pieces that `exeunt.bench.floats`
            cut of it; the latter needs no onnx.
        scales: of the logits of each exit; the accelerator's unless given.
        threads: for onnxruntime; 0: one a core.
    """
    found: list[Engine] = [Reference(accelerator)]
    if accelerator.rules is not None and accelerator.rules.looks:
        return found, "onnxruntime makes no further looks"
    try:
        if importlib.util.find_spec("onnxruntime") is None:
            return found, "onnxruntime is not installed here"
        for name, meaning in MEANING.items():
            pieces = _pieces(folder, name)
            if not pieces:
                return found, f"there is no {MODEL} here"
            found.append(
                OnnxRuntime(
                    pieces, meaning, scales or accelerator.logit_scales,
                    criterion=accelerator.criterion, offsets=accelerator.offsets,
                    rules=accelerator.rules, threads=threads,
                )
            )  # fmt: skip
    except (ImportError, ExeuntError) as error:
        return found[:1], str(error)
    return found, ""


def _pieces(folder: Path, quantizers: str) -> list[bytes]:
    """The network in pieces: from files where they are there, else cut from the model."""
    files = sorted((folder / PIECES).glob(f"{quantizers}-*.onnx"))
    if files:
        return [path.read_bytes() for path in files]
    if not (folder / MODEL).is_file():
        return []
    from exeunt.bench import floats

    return [piece.model for piece in floats.read(folder / MODEL, quantizers)]
