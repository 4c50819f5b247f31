"""The best folding of a network that is still a config; the compiler asks the same of a file's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exeunt.cost import control
from exeunt.cost.layers import chains
from exeunt.kernels.layer import Fold
from exeunt.kernels.parts.size import Size
from exeunt.kernels.registry import foldings
from exeunt.optimise.budget import Budget
from exeunt.optimise.choose import Asked, choose, waited
from exeunt.optimise.problem import problem
from exeunt.optimise.search import shares
from exeunt.optimise.solver import Delay

if TYPE_CHECKING:
    from exeunt.config.tree import Model

THROUGHPUT = Asked("throughput")


@dataclass(frozen=True)
class Filled:
    """A folding that fits.

    Attributes:
        cycles: between frames; where latency alone was asked for, what the slowest stage takes.
        latency: of the percentile of the frames that was asked for, each alone in the accelerator,
            in cycles, before FIFOs are sized.
        size: what it takes, the controller and what else stands in it included, before FIFOs are
            sized.
        folds: of every layer, by "seg0", "head0", ...
        gap: by what part the best folding could be better at most; 0: this is the best.
        nanojoules: energy of an image, an estimate: see `exeunt.cost.energy`.
    """

    cycles: int
    latency: int
    size: Size
    folds: Mapping[str, tuple[Fold, ...]]
    gap: float
    nanojoules: float


def network(
    model: Model,
    budget: Budget,
    *,
    asked: Asked = THROUGHPUT,
    reach: Sequence[float] | None = None,
    headroom: float = 1.5,
    buffer_frames: int = 4,
    beside: Mapping[str, Size] | None = None,
) -> Filled:
    """The best folding within a budget.

    Args:
        model: the [model] section of a config, with stages.
        budget: what the design may take on xc7, its controller included.
        asked: what is best, and what is enough.
        reach: fraction of the frames that reach exit i, from 1.0 down; None: all reach all.
        headroom: drift of reach that is allowed for, `compile.headroom`.
        buffer_frames: frames that wait for a decision, `compile.buffer_frames`.
        beside: what else stands in the design, by name, within the same budget.

    Raises:
        InputError: a network without stages, a budget that is too small, or a target that is out of
            reach.
    """
    segments, heads = chains(model)
    choices = {
        f"{kind}{i}": [list(foldings(layer)) for layer in layers]
        for kind, parts in (("seg", segments), ("head", heads))
        for i, layers in enumerate(parts)
    }
    space = problem(segments, heads, choices, buffer_frames=buffer_frames, dsp=budget.dsp != 0)
    stages = len(heads)
    others = {"controller": Size(control.shared(stages)), **(beside or {})}
    taken = sum(others.values(), Size())
    share = shares(reach, stages, headroom)
    found = choose(space, budget.less(taken), asked, share=share, reach=reach, beside=others)
    chosen = found.solution.chosen
    pace = max(
        math.ceil(max(1, option.period) * share[place.stage])
        for place, option in zip(space.places, chosen, strict=True)
    )
    path = Delay(waited(reach, stages, asked.percentile))
    return Filled(
        cycles=pace if found.cycles is None else found.cycles,
        latency=math.ceil(path.of(space, chosen)),
        size=found.solution.size + taken,
        folds=space.folds(chosen),
        gap=found.solution.gap,
        nanojoules=space.nanojoules(chosen, reach),
    )
