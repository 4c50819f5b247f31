"""One network: trained, its thresholds chosen, priced; and whether it is worth going on with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.progress import Progress, silent
from exeunt.report import store
from exeunt.search.front import Point
from exeunt.search.wish import Wish

if TYPE_CHECKING:
    from exeunt.config.tree import Config, Model
    from exeunt.hls.beside import Beside
    from exeunt.qonnx.integers import IntegerNetwork

CONFIG = "config.toml"
LEARNT = 5  # finished trials by which is judged how much an epoch still gives
EARLY = 3  # no network is judged before that part of its epochs: small ones learn later
History = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        accuracy: with early exit, of the validation images, 0..1.
        last: that of the last exit alone.
        cost: by `Wish.price`.
        cycles: between frames once the accelerator is full, predicted.
        lut, dsp, bram18: predicted.
        rates: fraction of the validation images that leaves at each exit.
        best: accuracy of the best exit behind each epoch.
        latency: of a frame alone, in cycles, predicted; None: of a journal that is older.
        nanojoules: of an image, an estimate; None: of a journal that is older.
    """

    accuracy: float
    last: float
    cost: float
    cycles: float
    lut: int
    dsp: int
    bram18: int
    rates: tuple[float, ...]
    best: tuple[float, ...]
    latency: int | None = None
    nanojoules: float | None = None

    def point(self, number: int) -> Point:
        """Where it stands."""
        return Point(number, self.accuracy, self.cost, single=len(self.rates) == 1)

    def to_json(self) -> dict[str, Any]:
        """Numbers and lists."""
        return {**asdict(self), "rates": list(self.rates), "best": list(self.best)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Outcome:
        """The outcome that `to_json` made."""
        lists = {key: tuple(data[key]) for key in ("rates", "best")}
        return cls(**{**data, **lists})


class Stopped(Exception):
    """The network does not fit, or no further epoch can make it one of the best."""


@dataclass(frozen=True)
class Judge:
    """Tells whether a training is worth going on with.

    From a third of the epochs on, a network is given the most that any finished one gained from
    there to its end, and the price it would have if nearly all images left at its first exit. If a
    finished network beats even that, it is not trained on.

    Attributes:
        finished: networks that were trained to their end.
        cost: of this one, at best.
        epochs: of the training.
        accuracy: least that counts.
    """

    finished: tuple[Outcome, ...]
    cost: float
    epochs: int
    accuracy: float = 0.0

    def hope(self, history: History) -> float:
        """Accuracy at the end, at best; 1 while it is too early to tell."""
        epoch = len(history)
        if EARLY * epoch < self.epochs:
            return 1.0
        known = [o for o in self.finished if len(o.best) > epoch]
        if len(known) < LEARNT:
            return 1.0
        gain = max(max(o.accuracy, *o.best) - o.best[epoch - 1] for o in known)
        return best_of(history)[-1] + max(0.0, gain)

    def __call__(self, history: History) -> None:
        """Raise `Stopped` when it is not."""
        reached = Point(-1, self.hope(history), self.cost)
        beaten = any(o.point(0).beats(reached) for o in self.finished)
        if beaten or reached.accuracy < self.accuracy:
            raise Stopped(f"epoch {len(history)}, {100 * reached.accuracy:.1f}% at best")


def best_of(history: History) -> list[float]:
    """Accuracy of the best exit behind each epoch, the best so far."""
    found: list[float] = []
    for entry in history:
        found.append(max([*entry["accuracy"], *found[-1:]]))
    return found


def evaluate(
    config: Config,
    folder: Path,
    data_dir: Path,
    *,
    wish: Wish,
    finished: Iterable[Outcome] = (),
    accuracy: float = 0.0,
    progress: Progress = silent,
) -> Outcome:
    """Train a network, compress it, choose its thresholds, price it; all of it lies in `folder`.

    What a compressed network costs is known behind its training, so that none is stopped for it.

    Args:
        config: of the network.
        folder: made when absent; an interrupted training in it goes on.
        data_dir: of the data sets.
        wish: what is asked of the design.
        finished: other networks of the search.
        accuracy: least that counts.
        progress: told of the training.

    Raises:
        InputError: the network cannot be trained.
        Stopped: it does not fit, or cannot become one of the best.
    """
    from exeunt.quant.calibrate import calibrate
    from exeunt.quant.compress.rehearsal import rehearse
    from exeunt.quant.compress.step import compress
    from exeunt.quant.train import HISTORY, train

    smaller = config.compress is not None
    try:
        best = 0.0 if smaller else wish.at_best(config.model).cost
    except InputError as error:
        raise Stopped(str(error)) from None
    judge = Judge(tuple(finished), best, config.train.epochs, accuracy)
    folder.mkdir(parents=True, exist_ok=True)
    store.write_text(folder / CONFIG, tree.to_toml(config))
    if smaller:
        rehearse(config)
    train(config, folder, data_dir, watch=judge, progress=progress)
    if smaller:
        compress(config, folder, data_dir, progress=progress)
    calibrate(config, folder)
    history = json.loads((folder / HISTORY).read_text(encoding="utf-8"))["history"]
    found = calibrated(config, folder)
    exits = found[1]
    try:
        price = wish.price(*found)
    except InputError as error:
        raise Stopped(str(error)) from None
    return Outcome(
        accuracy=exits["accuracy"],
        last=exits["exits_alone"][-1]["accuracy"],
        cost=price.cost,
        cycles=price.cycles,
        lut=price.size.lut,
        dsp=price.size.dsp,
        bram18=price.size.bram18,
        rates=tuple(exits["rates"]),
        best=tuple(best_of(history)),
        latency=price.latency,
        nanojoules=price.nanojoules,
    )


def calibrated(
    config: Config, folder: Path
) -> tuple[Model, dict[str, Any], IntegerNetwork, Beside]:
    """What a network in `folder` became, as `Wish.price` takes it.

    Its stages, the contents of exits.json, its integers, and what stands beside its kernels.
    """
    from exeunt.hls import beside
    from exeunt.quant.calibrate import EXITS
    from exeunt.quant.compress import load_network
    from exeunt.quant.compress.subject import load_subject
    from exeunt.quant.network.logits import exact

    exits = json.loads((folder / EXITS).read_text(encoding="utf-8"))
    network = exact(load_network(config, folder), config)
    model = load_subject(config, folder).model
    return model, exits, network, beside.of(config, exits, folder)
