"""Engines of the graphs that the tests of explanations share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from lib.bench import ROOT

from exeunt.explain import backward, context, scales, walk
from exeunt.explain.backward import Maps
from exeunt.explain.context import Context
from exeunt.explain.design import Engine
from exeunt.explain.lower import lower
from exeunt.explain.program import Program
from exeunt.runtime.maps import LOG

_HOME = str(ROOT / "python" / "tests" / "explain")
if _HOME not in sys.path:
    sys.path.append(_HOME)
GRAPHS = importlib.import_module("explained_graphs")
FRAMES = 6


@dataclass(frozen=True)
class Case:
    """An engine, and of each method and exit what frames leave behind and the maps."""

    engine: Engine
    programs: dict[tuple[str, int], Program]
    contexts: dict[tuple[str, int], Context]
    maps: dict[tuple[str, int], Maps]


def case(
    graph: str, methods: Sequence[str], bits: int, pe: int, prune: float, code: str = LOG
) -> Case:
    """Of `FRAMES` frames, with some gradients clipped and some pruned."""
    accelerator = GRAPHS.straight(GRAPHS.GRAPHS[graph]())
    images = GRAPHS.frames(accelerator, count=FRAMES)
    exits = range(len(accelerator.heads))
    programs, numbers, contexts, maps = {}, {}, {}, {}
    for method in methods:
        for exit in exits:
            key = (method, exit)
            programs[key] = walk.program(accelerator, exit, method)
            contexts[key] = context.forward(accelerator, programs[key], images)
            classes = np.arange(FRAMES) % programs[key].classes
            numbers[key] = scales.calibrated(
                programs[key], contexts[key], classes, bits=bits, prune=prune, saturated=0.05
            )
            maps[key] = backward.maps(
                programs[key], numbers[key], contexts[key], classes, streams=True
            )
    engine = lower(programs, numbers, exits=len(exits), pe=pe, slots=4, code=code)
    return Case(engine, programs, contexts, maps)
