"""What an engine of a given width needs for a map: cycles by its non-zero gradients, and dense.

A scatter takes one non-zero gradient after another; each costs KH * KW * ceil(C / PE) cycles, with
C the channels that a row of the weights sees, one cycle without weights. With lanes `across` the
columns of the kernel, which lie side by side in a row of sums, it is KH * ceil(KW * C / PE). A
sweep takes `lanes` values a cycle, whether they are 0 or not. This is the cost by design, without
the few cycles in which a step begins and ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.explain.program import Program, Scatter


@dataclass(frozen=True)
class Cycles:
    """Of N maps.

    Attributes:
        scatters: int64 (sweeps, N), cycles of the scatters in front of each sweep.
        dense: int64 (sweeps,), the same when no zero is skipped, in front of a max pool those of
            the pool's output.
        unpooled: int64 (sweeps,), the same when zeros beside the largest inputs are not skipped
            either.
        sweeps: int64 (sweeps,), cycles of each sweep.
    """

    scatters: npt.NDArray[np.int64]
    dense: npt.NDArray[np.int64]
    unpooled: npt.NDArray[np.int64]
    sweeps: npt.NDArray[np.int64]

    @property
    def total(self) -> npt.NDArray[np.int64]:
        """Cycles of each map, int64 (N,)."""
        return np.asarray(self.scatters.sum(axis=0) + self.sweeps.sum())

    @property
    def total_dense(self) -> int:
        """Cycles of a map when no zero is skipped but those of max pools."""
        return int(self.dense.sum() + self.sweeps.sum())

    @property
    def total_unpooled(self) -> int:
        """Cycles of a map when no zero is skipped."""
        return int(self.unpooled.sum() + self.sweeps.sum())


def of_gradient(scatter: Scatter, pe: int, *, across: bool = False) -> int:
    """Cycles that one non-zero gradient takes with `pe` lanes, see above."""
    if scatter.weights is None:
        return 1
    channels = scatter.weights.shape[3] // scatter.groups
    if across and scatter.groups == 1 and scatter.dilation[1] == 1:
        return scatter.kernel[0] * math.ceil(scatter.kernel[1] * channels / pe)
    return scatter.kernel[0] * scatter.kernel[1] * math.ceil(channels / pe)


def cycles(
    program: Program,
    nonzeros: npt.NDArray[np.int64],
    *,
    pe: int = 8,
    lanes: int = 1,
    across: bool = False,
) -> Cycles:
    """What maps cost with these non-zero gradients.

    Args:
        program: of one exit and method.
        nonzeros: int64 (streams, N), `backward.Maps.nonzeros`.
        pe: channels of the sums that one gradient reaches in a cycle.
        lanes: values that a sweep takes in a cycle.
        across: lanes lie across the columns of a kernel too.

    Raises:
        InputError: no lanes.
    """
    if pe < 1 or lanes < 1:
        raise InputError(
            f"an engine must have 1 lane and more, got pe {pe} and lanes {lanes}: choose 8 and 1"
        )
    if program.features is not None:
        height, width, channels = program.features.shape
        every = height * width * math.ceil(channels / pe)
        size = nonzeros.shape[1]
        return Cycles(
            np.full((1, size), every, np.int64),
            np.array([every], np.int64),
            np.array([every], np.int64),
            np.array([math.ceil(height * width / lanes)], np.int64),
        )
    scatters, dense, unpooled, sweeps = [], [], [], []
    for sweep in program.sweeps:
        found = np.zeros(nonzeros.shape[1], np.int64)
        every = whole = 0
        for term in sweep.scatters:
            each = of_gradient(term, pe, across=across)
            found += nonzeros[term.stream] * each
            size = math.prod(program.stream_shape(term.stream))
            every += size * each
            whole += (math.prod(term.routes[-1].shape) if term.routes else size) * each
        scatters.append(found)
        dense.append(every)
        unpooled.append(whole)
        sweeps.append(math.ceil(math.prod(sweep.shape) / lanes))
    tables = (np.array(found, np.int64) for found in (dense, unpooled, sweeps))
    return Cycles(np.stack(scatters), *tables)
