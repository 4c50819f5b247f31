"""Folds a network for what a board holds, see `exeunt.optimise`.

What the optimiser does not know when it chooses, the depths of the FIFOs and the exact latency, is
found afterwards with the cycle reference. Where the design turns out too large or too slow by it,
the choice is made again with what was learned.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exeunt import cost
from exeunt.boards import targets
from exeunt.cost import control
from exeunt.cost.layers import chains
from exeunt.errors import InputError
from exeunt.graph import Accelerator
from exeunt.hls import beside as besides
from exeunt.hls import bursts, chosen, folded
from exeunt.hls.back import folding
from exeunt.hls.back.folding import Overrides
from exeunt.hls.beside import Beside
from exeunt.hls.bursts import Case
from exeunt.hls.designs import Design, Limits
from exeunt.hls.folded import Compiled
from exeunt.hls.weighted import weighted
from exeunt.kernels.layer import Layer
from exeunt.kernels.parts.size import Size
from exeunt.optimise import budget as budgets
from exeunt.optimise import known, search
from exeunt.optimise.budget import NAMES, Budget
from exeunt.optimise.choose import Asked, Choice, choose, smallest
from exeunt.optimise.problem import Problem, problem
from exeunt.qonnx.exits import parts as cut
from exeunt.reference import system
from exeunt.reference.frames import Room

if TYPE_CHECKING:
    from exeunt.config.compile import Compile
    from exeunt.config.tree import Config, Model
    from exeunt.hls.front.network import Network
    from exeunt.qonnx.integers import IntegerNetwork

ROUNDS = 5
FAMILIES = ("xc7", "xcup")  # whose LUT and blocks the sizes of kernels are of
CLEAR = 0.998  # of the cycles between frames, from which on a design is the faster one


def limits(section: Compile) -> Limits:
    """What the section [compile] lets the design take.

    Raises:
        InputError: no such board, one whose resources are of another kind, or more than it has.
    """
    given = Budget(**({} if section.resources is None else section.resources.model_dump()))
    if not section.board:
        return Limits(given, given, "the given resources")
    board = targets.load(section.board)
    if board.family not in FAMILIES:
        raise InputError(
            f"compile.board must be a board of family {' or '.join(FAMILIES)}, whose LUT the sizes "
            f"of kernels are of, got {board.name} of family {board.family}: give "
            "compile.resources in LUT6, or target_cycles"
        )
    found = board.resources
    available = Budget(found.lut, found.dsp, found.bram18)
    for name, value in given.items():
        if value > getattr(available, name):
            raise InputError(
                f"compile.resources.{name} must be at most the {getattr(available, name):,} "
                f"{NAMES[name]} of board {board.name}, got {value:,}: give less, or leave out board"
            )
    budget = budgets.share(available, section.use)
    both = {name: min(limit, getattr(budget, name)) for name, limit in given.items()}
    kept = {name: limit for name, limit in budget.items() if name not in both}
    return Limits(Budget(**kept, **both), available, f"{section.use:.0%} of {board.title}")


def asked(section: Compile) -> Asked:
    """What the section [compile] asks for, in cycles."""
    latency = section.latency_us
    return Asked(
        section.objective,
        section.asked,
        None if latency is None else int(latency * section.clock_mhz),
        section.percentile,
        section.clock_mhz,
    )


def build(
    network: Network,
    *,
    config: Config,
    reach: Sequence[float] | None,
    sequence: str | None = None,
    beside: Beside = besides.NOTHING,
) -> Compiled:
    """The network folded for what the config asks for, its FIFOs sized.

    Args:
        network: the layers.
        config: name and the [compile] section.
        reach: fraction of the frames that reach each exit; None: all reach all.
        sequence: exits of frames in the order in which they come, a digit each; None: that many as
            `reach` says, in random order.
        beside: what stands beside the kernels, within the same resources.

    Raises:
        InputError: a folding file that does not fit the network, a budget that is too small, a
            target that is out of reach, or a sequence with other exits.
    """
    started = time.perf_counter()
    section = config.compile
    overrides = folded.read_folding(section.folding)
    folding.check_names(overrides, network.nodes)
    found = _settled(
        Unfolded.read(network, name=config.name), limits(section), asked(section), section=section,
        overrides=overrides, case=Case.of(section, sequence, reach, network.exits), beside=beside,
    )  # fmt: skip
    folded.check_values(found.accelerator, network)
    assert found.optimised is not None
    found.optimised["seconds"] = round(time.perf_counter() - started, 1)
    return found


def twin(network: Network, *, name: str, section: Compile, size: Size) -> Compiled:
    """The network without early exits, the fastest that takes no more than `size` of anything.

    Raises:
        InputError: not even the smallest one does.
    """
    backbone = tuple(layer for segment in network.layers[0::2] for layer in segment)
    budget = Budget(size.lut, size.dsp, size.bram18)
    made = Unfolded(
        name, [backbone], [network.layers[-1]], (network.parts[-1].scale,), network.shape
    )
    found = _settled(
        made, Limits(budget, budget, "what the design takes"),
        Asked("throughput", clock_mhz=section.clock_mhz), section=section, overrides={},
        case=Case.of(section, None, None, 1), beside=besides.NOTHING,
    )  # fmt: skip
    folded.check_values(found.accelerator, network)
    return found


def foreseen(
    source: Unfolded,
    section: Compile,
    *,
    allowed: Limits,
    wish: Asked,
    reach: Sequence[float] | None = None,
    sequence: str | None = None,
    beside: Beside = besides.NOTHING,
) -> Design:
    """The design that `build` would make of a network, also of one that is still a config.

    A network that is not trained has accumulators that are as wide as usual (`exeunt.cost.layers`),
    and no kernel is weighed that needs the weights.

    Args:
        source: the network.
        section: what it fixes: head room, buffers, frames in flight.
        allowed: what the design may take.
        wish: what is asked of it.
        reach: fraction of the frames that reach each exit; None: all reach all.
        sequence: exits of frames in the order in which they come, as of `build`.
        beside: what stands beside the kernels, within the same resources.

    Raises:
        InputError: a budget that is too small, a target that is out of reach, or a sequence with
            other exits.
    """
    case = Case.of(section, sequence, reach, len(source.heads))
    return _designer(source, allowed, overrides={}, case=case, beside=beside).settled(wish)


def total(accelerator: Accelerator, room: Room) -> Size:
    """What a design with sized FIFOs takes, its controller and what frames wait in included."""
    found = cost.network(accelerator)
    return Size(found.lut + found.control, found.dsp, found.bram18) + bursts.size(accelerator, room)


def latencies(accelerator: Accelerator, room: Room) -> list[int]:
    """Cycles from the first beat to the result of a frame that is alone, for each exit."""
    known = room.sizes(accelerator)
    return [
        int(system.predict(accelerator, np.array([i]), sizes=known, gives=False).reported[0])
        for i in range(len(accelerator.heads))
    ]


@dataclass(frozen=True)
class Unfolded:
    """A network that is to be folded.

    Attributes:
        name: of the accelerator.
        segments, heads: their layers.
        scales: of the logits of each exit.
        image: (H, W, C) of the images.
    """

    name: str
    segments: Sequence[Sequence[Layer]]
    heads: Sequence[Sequence[Layer]]
    scales: tuple[float, ...]
    image: tuple[int, int, int]

    @classmethod
    def read(cls, network: Network, *, name: str) -> Unfolded:
        """A network that was read from a file."""
        return cls(
            name, network.layers[0::2], network.layers[1::2],
            tuple(part.scale for part in network.parts[1::2]), network.shape,
        )  # fmt: skip

    @classmethod
    def described(cls, model: Model, network: IntegerNetwork | None = None) -> Unfolded:
        """A network that is still a config, with the integers of `network` where it is trained.

        Raises:
            InputError: it is not described by stages.
        """
        segments, heads = chains(model)
        if network is not None:
            parts = cut(network)
            segments, heads = (
                tuple(map(weighted, layers, parts[first::2]))
                for first, layers in enumerate((segments, heads))
            )
        return cls("described", segments, heads, (1.0,) * len(heads), model.input)

    def assembled(self, space: Problem, choice: Choice, share: Sequence[float]) -> Compiled:
        """The accelerator of a choice, its FIFOs as they come."""
        folds = {k: [[f] for f in v] for k, v in space.folds(choice.solution.chosen).items()}
        labels = [f"{kind}{i}" for i in range(len(self.heads)) for kind in ("seg", "head")]
        slowest = [1] * len(self.heads)
        for place, option in zip(space.places, choice.solution.chosen, strict=True):
            slowest[place.stage] = max(slowest[place.stage], option.period)
        cycles = slowest if choice.cycles is None else search.bounds(choice.cycles, share)
        return folded.assemble(
            self.name, self.segments, self.heads, scales=self.scales, cycles=cycles,
            choices={label: folds.get(label, []) for label in labels}, image=self.image,
        )  # fmt: skip


@dataclass(frozen=True)
class Designer:
    """What a network may become, and what is asked of it."""

    source: Unfolded
    allowed: Limits
    case: Case
    space: Problem
    beside: Beside
    known: Mapping[str, Size]  # what of that takes how much, before the folding is known

    def settled(self, wish: Asked) -> Design:
        """The best design of which also the cycle reference says that it fits.

        Later stages are first as fast as their measured share of the frames needs. Where frames
        still wait for them then, head room is tried against that, and the faster design is taken.
        """
        best = self.fitted((self.case.start,) * self.case.stages, wish)
        assert best is not None, "all cycles are allowed"
        spare = self.case.headroom(best.fit, best.choice.cycles)
        if spare is not None:
            best = self._faster(best, spare, wish)
        asked = wish.cycles
        if spare is not None and asked is not None and best.pace > asked * bursts.CLOSE:
            closer = max(1, int(asked * asked / best.pace))  # bursts take what was asked too much
            best = self._faster(best, spare, dataclasses.replace(wish, cycles=closer))
        return best

    def _faster(self, best: Design, spare: Sequence[float], wish: Asked) -> Design:
        """That design or the one with so much head room."""
        between = None
        if wish.objective == "throughput" and wish.cycles is None:
            assert best.choice.cycles is not None, "throughput decides"
            between = (best.choice.cycles, int(best.pace * CLEAR))
        try:
            other = self.fitted(spare, wish, between)
        except InputError:  # it does not fit
            return best
        return best if other is None or other.pace > best.pace * CLEAR else other

    def fitted(
        self, spare: Sequence[float], wish: Asked, between: tuple[int, int] | None = None
    ) -> Design | None:
        """The choice with that head room, of those cycles between frames; None: there is none."""
        case, allowed = self.case, self.allowed
        share = search.shares(case.reach, case.stages, spare)
        shared = {"controller": Size(control.shared(case.stages)), **self.known}
        beside = besides.together(shared.values())
        stretch = 1.0
        for _ in range(ROUNDS):
            budget = allowed.budget.less(beside)
            if between is None:
                choice = choose(
                    self.space, budget, wish, share=share, reach=case.reach, stretch=stretch,
                    beside=_with_rest(shared, beside),
                )  # fmt: skip
            else:
                found = search.fastest(self.space, budget, share, between=between)
                if found is None:
                    return None
                choice = Choice(found.solution, found.cycles)
            made = self._design(choice, share, wish)
            late = 1.0 if wish.latency is None else made.late(wish, case) / wish.latency
            if not allowed.budget.excess(made.taken) and late <= 1.0:
                break
            spent = choice.solution.size
            beside = Size(*(
                max(getattr(beside, n), getattr(made.taken, n) - getattr(spent, n)) for n in NAMES
            ))  # fmt: skip
            stretch *= max(1.0, late * 1.001)
        return made

    def _design(self, choice: Choice, share: tuple[float, ...], wish: Asked) -> Design:
        """The design of a choice, with FIFOs and room."""
        made = folded.sized(self.source.assembled(self.space, choice, share))
        bare, limit = cost.network(made.accelerator), self.allowed.budget.bram18
        held = bare.bram18 + besides.together(self.known.values()).bram18
        fit = self.case.fit(
            made.accelerator, wanted=wish.cycles or 0.0,
            blocks=None if limit is None else limit - held,
        )  # fmt: skip
        beside = self.beside.sizes(made.accelerator, fit.room, dsp=self.allowed.budget.dsp != 0)
        taken = total(made.accelerator, fit.room) + besides.together(beside.values())
        waits = tuple(latencies(made.accelerator, fit.room))
        spent = self.space.nanojoules(choice.solution.chosen, self.case.reach)
        return Design(made, choice, share, fit, taken, waits, spent, beside)


def _settled(
    source: Unfolded,
    allowed: Limits,
    wish: Asked,
    *,
    section: Compile,
    overrides: Overrides,
    case: Case,
    beside: Beside,
) -> Compiled:
    """The best design, and what report.json says of it."""
    designer = _designer(source, allowed, overrides=overrides, case=case, beside=beside)
    design = designer.settled(wish)
    told = chosen.told(design, designer.space, allowed, wish, section, case)
    return dataclasses.replace(
        design.compiled, optimised=told, room=design.fit.room, bursts=bursts.told(design.fit, case)
    )


def _designer(
    source: Unfolded, allowed: Limits, *, overrides: Overrides, case: Case, beside: Beside
) -> Designer:
    """All that the network may become."""
    choices = {
        label: _choices(layers, overrides, constants=beside.hardware is None)
        for i, pair in enumerate(zip(source.segments, source.heads, strict=True))
        for label, layers in zip((f"seg{i}", f"head{i}"), pair, strict=True)
    }
    usual = case.given.usual(2)
    space = problem(
        source.segments, source.heads, choices, buffer_frames=usual.buffers[0],
        kept_frames=usual.queues[0], dsp=allowed.budget.dsp != 0,
    )  # fmt: skip
    known = _beside(source, space, beside, usual, allowed)
    return Designer(source, allowed, case, space, beside, known)


def _choices(layers: Sequence[Layer], overrides: Overrides, *, constants: bool) -> folding.Choices:
    """The foldings of each layer, of all kernels; a layer that the folding file names is dense.

    Additions of its own (`constants`) have thresholds that do not know which sums there can be:
    the engine of explanations finds no line through them.
    """
    dense = folding.choices(layers, overrides)
    found = []
    for layer, folds in zip(layers, dense, strict=True):
        ways = [] if set(layer.finn) & set(overrides) else known.ways(layer)
        found.append([*folds, *(w for w in ways if constants or w.multiplier != "constant")])
    return found


def _beside(
    source: Unfolded, space: Problem, beside: Beside, room: Room, allowed: Limits
) -> dict[str, Size]:
    """What stands beside the smallest folding: most of that is the same for all of them."""
    if beside.empty:
        return {}
    least = Choice(smallest(space, Budget()), None)
    made = source.assembled(space, least, (1.0,) * len(source.heads))
    return beside.sizes(made.accelerator, room, dsp=allowed.budget.dsp != 0)


def _with_rest(shared: Mapping[str, Size], beside: Size) -> dict[str, Size]:
    """What is beside the kernels, with what only the design before showed."""
    rest = beside.less(besides.together(shared.values()))
    return {**shared, **({"queues": rest} if rest != Size() else {})}
