"""Corners of `ex_explain`: graphs of every kind, 1 to 16 lanes, 4 to 14 bits, every code."""

from __future__ import annotations

from typing import Any

from explain.engines import case
from lib.bench import Corner, Port

from exeunt.explain.design import Engine
from exeunt.explain.program import METHODS
from exeunt.runtime.maps import LEVELS, LINEAR, LOG

GRADIENTS = METHODS[:4]
CASES = (
    ("three exits", METHODS, 8, 8, 0.0),
    ("sums and concatenation", METHODS, 6, 4, 0.1),
    ("tangled 6", GRADIENTS, 12, 1, 0.02, LINEAR),
    ("tangled 9", ("gradient-x-input",), 14, 2, 0.0),
    ("depthwise", METHODS, 5, 16, 0.1),
    ("groups, overlapping maximum", GRADIENTS, 4, 4, 0.0),
    ("tiled sum with a rest", ("saliency", "gradient-x-input"), 8, 2, 0.05, LINEAR),
    ("three exits", ("grad-cam",), 8, 1, 0.0),
    ("three exits", ("saliency", "gradient-x-input"), 8, 1, 0.0),
    ("three exits", METHODS, 8, 8, 0.0, LEVELS),
    ("depthwise", METHODS, 5, 4, 0.1, LEVELS),
    ("sums and concatenation", ("gradient-x-input",), 8, 2, 0.0, LEVELS),
)


def corner_of(engine: Engine, name: str, data: Any = None) -> Corner:
    """The corner of any engine."""
    numbers = engine.parameters
    files = {table: f"{name}_{table.lower()}.hex" for table in engine.tables}
    slot = numbers["SLOT_BITS"]
    inputs = {
        "s_valid": 1, "s_id": 32, "s_class": 16, "s_exit": 8, "s_method": 4, "s_slot": slot,
        "c_data": numbers["CW"], "m_ready": 1,
    }  # fmt: skip
    outputs = {
        "s_ready": 1, "done": 1, "done_slot": slot, "c_enable": 1, "c_tap": numbers["T_BITS"],
        "c_slot": slot, "c_address": numbers["A_BITS"], "m_valid": 1, "m_data": 32, "m_last": 1,
    }  # fmt: skip
    return Corner(
        name=name,
        module="ex_explain",
        parameters={**numbers, **files},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
        memories={files[table]: engine.hex(table) for table in engine.tables},
        data=data,
    )


def corner(
    graph: str, methods: tuple[str, ...], bits: int, pe: int, prune: float, code: str = LOG
) -> Corner:
    """The engine of a graph that the tests share."""
    found = (graph, methods, bits, pe, prune, code)
    name = f"{graph.replace(',', '').replace(' ', '_')}_{len(methods)}_b{bits}_pe{pe}"
    name += "_levels" * (code == LEVELS)
    return corner_of(case(*found).engine, name, found)


CORNERS = [corner(*c) for c in CASES]
