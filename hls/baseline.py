"""The network without early exits, folded as the design is, for comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from exeunt import cost
from exeunt.hls.back import folding
from exeunt.hls.compressed import Kernels
from exeunt.hls.folded import Compiled, assemble, check_values

if TYPE_CHECKING:
    from exeunt.hls.front.network import Network

LADDER = "baseline/ladder"
RUNGS = 2  # foldings on either side of the LUT budget
SPAN, STEPS = 1.8, 30  # cycles from 1 / SPAN to SPAN times those that meet the budget


def baseline(
    network: Network, *, name: str, multipliers: int, kernels: str = "exeunt", constants: int = 0,
    compressed: bool = False,
) -> Compiled:  # fmt: skip
    """The same backbone without early exits: all segments in one, and the last head.

    It is folded for the fewest cycles a frame that `multipliers` (sum of PE * SIMD) allow.
    """
    attempt = _plain(
        network, name=name, kernels=kernels, constants=constants, compressed=compressed
    )
    best = _fastest(attempt, lambda found: found.multipliers <= multipliers)
    check_values(best.accelerator, network)
    return best


def ladder(
    network: Network, *, name: str, lut: int, constants: int = 0, compressed: bool = False
) -> list[Compiled]:
    """Foldings of the network without early exits around `lut` LUT, from slow to fast.

    The cost model predicts their LUT with all multipliers made of LUT, so that LUT are all that is
    spent. Of the foldings that no other one beats in both LUT and cycles, these are the RUNGS
    nearest to `lut` from below and from above: which of them has no more LUT than another design
    is for Yosys to count.
    """
    attempt = _plain(
        network, name=name, kernels="exeunt", constants=constants, compressed=compressed
    )
    middle = cycles(_fastest(attempt, lambda found: luts(found) <= lut))
    tried = (middle * SPAN ** (step / STEPS) for step in range(-STEPS, STEPS + 1))
    found = {cycles(rung): rung for rung in (attempt(max(1, round(c))) for c in tried)}
    cheapest: list[tuple[int, Compiled]] = []  # from fast to slow, each with fewer LUT
    for _, rung in sorted(found.items()):
        needed = luts(rung)
        if not cheapest or needed < cheapest[-1][0]:
            cheapest.append((needed, rung))
    below = [rung for needed, rung in cheapest if needed <= lut][:RUNGS]
    above = [rung for needed, rung in cheapest if needed > lut][-RUNGS:]
    rungs = [*below[::-1], *above[::-1]]
    for rung in rungs:
        check_values(rung.accelerator, network)
    return rungs


def _plain(
    network: Network, *, name: str, kernels: str, constants: int, compressed: bool
) -> Callable[[int], Compiled]:
    """The network without early exits, folded for so many cycles a frame."""
    backbone = tuple(layer for segment in network.layers[0::2] for layer in segment)
    head, scale = network.layers[-1], network.parts[-1].scale
    choices = {"seg0": folding.choices(backbone), "head0": folding.choices(head)}
    ways = {
        label: Kernels(layers, choices[label])
        for label, layers in (("seg0", backbone), ("head0", head))
        if compressed
    }

    def folded(cycles: int) -> Compiled:
        return assemble(
            name, [backbone], [head], scales=[scale], cycles=[cycles], kernels=kernels,
            choices=choices, image=network.shape, constants=constants, compressed=ways,
        )  # fmt: skip

    return folded


def _fastest(attempt: Callable[[int], Compiled], fits: Callable[[Compiled], bool]) -> Compiled:
    """What `attempt` makes of the fewest cycles that fit, found by bisection."""
    low, high = 1, 1
    best = attempt(high)
    while not fits(best):
        low, high = high, high * 4
        best = attempt(high)
        if high > 1 << 40:
            break  # the budget is below one multiplier a layer: the smallest design there is
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        found = attempt(middle)
        if fits(found):
            high, best = middle, found
        else:
            low = middle
    return best


def luts(compiled: Compiled) -> int:
    """Predicted LUT of a design with all multipliers made of LUT."""
    size = cost.network(compiled.accelerator, dsp=False)
    return size.lut + size.control


def cycles(compiled: Compiled) -> int:
    """Cycles a frame of the slowest part."""
    return max(found.period for found in compiled.foldings.values())
