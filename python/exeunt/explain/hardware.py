"""The explanation path of a compiled network, and its place in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.explain import context, engine, scales, walk
from exeunt.explain.backward import Rounding, Scales
from exeunt.explain.design import Engine
from exeunt.explain.lower import lower
from exeunt.explain.program import METHODS, Program, checked_method
from exeunt.graph import Accelerator

KEY = "explain"
CALIBRATION = 200  # validation images by which scales are chosen
ASKED = 4  # ids that a host can ask for ahead
Keys = tuple[str, int]  # method, exit


@dataclass(frozen=True)
class Explained:
    """What is beside the segments so that frames can be explained.

    Attributes:
        methods: that were built, names of METHODS in their order.
        bits: of a gradient.
        lanes: sums in a cycle.
        slots: frames whose context is kept.
        every: one frame in so many is explained unless a host says otherwise; 0: none.
        programs: of each (method, exit).
        scales: of each (method, exit).
    """

    methods: tuple[str, ...]
    bits: int
    lanes: int
    slots: int
    every: int
    programs: Mapping[Keys, Program]
    scales: Mapping[Keys, Scales]

    @property
    def exits(self) -> int:
        """Exits of the network."""
        return 1 + max(exit for _, exit in self.programs)

    @cached_property
    def engine(self) -> Engine:
        """The parameters and tables of `ex_explain`."""
        return lower(self.programs, self.scales, exits=self.exits, pe=self.lanes, slots=self.slots)

    def to_json(self) -> dict[str, Any]:
        """Its entry in the manifest, from which `from_json` makes the same engine."""
        return {
            "methods": list(self.methods),
            "bits": self.bits,
            "lanes": self.lanes,
            "slots": self.slots,
            "asked": ASKED,
            "every": self.every,
            "code": self.engine.code,
            "maps": {
                method: [list(self.engine.shapes[exit, method]) for exit in range(self.exits)]
                for method in self.methods
            },
            "cycles": {
                method: [
                    engine.dense(self.engine, method, exit, pooled=False)
                    for exit in range(self.exits)
                ]
                for method in self.methods
            },
            "scales": {
                method: [
                    [vars(rounding) for rounding in self.scales[method, exit].sweeps]
                    for exit in range(self.exits)
                ]
                for method in self.methods
            },
        }


def _programs(accelerator: Accelerator, methods: Sequence[str]) -> dict[Keys, Program]:
    return {
        (method, exit): walk.program(accelerator, exit, method)
        for method in methods
        for exit in range(len(accelerator.heads))
    }


def calibrated(
    accelerator: Accelerator,
    images: npt.NDArray[np.uint8],
    *,
    methods: Sequence[str],
    bits: int = 8,
    prune: float = 0.0,
    lanes: int = 8,
    slots: int = 2,
    every: int = 1,
) -> Explained:
    """The explanation path of a network, with scales that suit these images.

    Args:
        accelerator: the compiled graph, with its arrays.
        images: uint8 (N, H, W, C), of the validation split.
        methods: names of METHODS.
        bits: of a gradient.
        prune: what is below this share of the largest gradient of a layer becomes 0.
        lanes: sums in a cycle, a power of two.
        slots: frames whose context is kept.
        every: see `Explained`.

    Raises:
        InputError: a method, a width or a network that the engine does not have.
    """
    if not methods:
        raise InputError(
            f"explanations in hardware must have a method, got none: choose of {', '.join(METHODS)}"
        )
    chosen = tuple(m for m in METHODS if m in {checked_method(method) for method in methods})
    programs = _programs(accelerator, chosen)
    found: dict[Keys, Scales] = {}
    for key, program in programs.items():
        known = context.forward(accelerator, program, images)
        found[key] = scales.calibrated(
            program, known, known.logits.argmax(1), bits=bits, prune=prune
        )
    return Explained(chosen, bits, lanes, slots, every, programs, found)


def folded(accelerator: Accelerator, like: Explained) -> Explained:
    """The explanation path of the same network, folded otherwise; scales stay.

    Args:
        accelerator: the compiled graph, with its arrays.
        like: the path of the other folding.
    """
    return replace(like, programs=_programs(accelerator, like.methods))


def from_json(accelerator: Accelerator, data: Mapping[str, Any]) -> Explained:
    """What `Explained.to_json` described.

    Args:
        accelerator: the compiled graph, with its arrays.
        data: the entry of its manifest.
    """
    bits = int(data["bits"])
    programs = _programs(accelerator, data["methods"])
    found = {
        (method, exit): Scales(bits, tuple(_rounding(row) for row in data["scales"][method][exit]))
        for method, exit in programs
    }
    return Explained(
        tuple(data["methods"]), bits, int(data["lanes"]), int(data["slots"]), int(data["every"]),
        programs, found,
    )  # fmt: skip


def _rounding(row: Mapping[str, Any]) -> Rounding:
    lists = {name: tuple(row[name]) for name in ("mantissas", "left")}
    return Rounding(**{**row, **lists})
