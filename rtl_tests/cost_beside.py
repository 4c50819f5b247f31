"""Counts what stands beside the kernels: `python rtl_tests/cost_beside.py`, half an hour of Yosys.

`cost_beside.jsonl` has one block a line: the explanation engine and what feeds it, rule units and
further looks, and what holds a rate; its parameters, and its size on xc7 as Yosys maps it ("dsp")
and with `-nodsp` ("luts"). Lines that are held back ("held": true) are not fitted: they say how far
off the model is. Blocks without a count are counted; with `--all` every one.
`python -m exeunt.cost` and all tables fits the model.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import again.corners
import edges.corners
import explain.corners
import explain_choose.corners
import explain_pool.corners
import explain_port.corners
import explain_registers.corners
import explain_slots.corners
import explain_tap.corners
import hold.corners
import look_buffer.corners
import looks.corners
import pool.corners
import rules.corners
import threshold.corners
from explain.engines import GRAPHS, case
from lib.bench import BUILD, Corner
from lib.yosys import measure

from exeunt import samples
from exeunt.cost import beside
from exeunt.explain import hardware
from exeunt.explain.design import Engine
from exeunt.explain.program import METHODS
from exeunt.graph import Integer
from exeunt.rules import Condition, Modification, Rule, gain, gamma
from exeunt.runtime.maps import LEVELS, LINEAR
from exeunt.synth.counts import XC7, XC7_LUTS

TABLE = Path(__file__).with_suffix(".jsonl")
SIZES = {"dsp": XC7, "luts": XC7_LUTS}
GRADIENTS = METHODS[:4]
PIXELS = ("gradient-x-input",)


@dataclass(frozen=True)
class Block:
    """A block to count, whether it is held back from the fit, and counted without DSPs too."""

    made: Callable[[], Corner]
    held: bool = False
    both: bool = True


def _graph(*given: Any) -> Callable[[], Corner]:
    """The engine of a graph that the tests share."""
    return lambda: explain.corners.corner_of(case(*given).engine, "engine")


def engine(
    channels: tuple[int, ...], methods: tuple[str, ...], bits: int, pe: int, size: int = 28
) -> Engine:
    """The engine of a network of 3 x 3 convolutions, an exit behind each."""
    stages = tuple(samples.Stage(c, pe=1, pool=i > 0, reduce=i > 1) for i, c in enumerate(channels))
    made = GRAPHS.straight(samples.accelerator(stages, size=size, sized=False, seed=pe))
    frames = GRAPHS.frames(made, count=4)
    return hardware.calibrated(made, frames, methods=methods, bits=bits, lanes=pe).engine


def _network(*given: Any) -> Callable[[], Corner]:
    return lambda: explain.corners.corner_of(engine(*given), "engine")


def _engines() -> Iterator[Block]:
    yield Block(_graph("three exits", METHODS, 8, 8, 0.0), both=False)
    yield Block(_network((8, 16, 32), PIXELS, 8, 8), both=False)
    yield Block(_network((12, 24), ("saliency",), 8, 16), held=True, both=False)
    yield Block(_graph("sums and concatenation", METHODS, 6, 4, 0.1), both=False)
    yield Block(_graph("depthwise", METHODS, 5, 4, 0.1, LEVELS), both=False)
    yield Block(_graph("sums and concatenation", PIXELS, 8, 2, 0.0, LEVELS), held=True, both=False)
    yield Block(_graph("three exits", ("grad-cam",), 8, 1, 0.0))
    yield Block(_graph("tangled 6", GRADIENTS, 12, 1, 0.02, LINEAR), both=False)
    yield Block(_network((8, 16, 16), METHODS, 8, 4, 16), held=True, both=False)
    yield Block(_graph("depthwise", METHODS, 5, 16, 0.1), both=False)
    yield Block(_graph("groups, overlapping maximum", GRADIENTS, 4, 4, 0.0))
    yield Block(_graph("three exits", METHODS, 8, 8, 0.0, LEVELS), both=False)
    yield Block(_graph("tangled 9", PIXELS, 14, 2, 0.0), held=True)
    yield Block(_network((4, 8), METHODS, 10, 32), both=False)


def _taps() -> Iterator[Block]:
    fit = (
        (32, 1, 1, 49, 4), (8, 8, 1, 196, 2), (24, 12, 2, 196, 2), (16, 4, 1, 196, 2),
        (16, 16, 4, 64, 2), (48, 6, 1, 64, 2), (64, 32, 1, 64, 4), (1, 1, 8, 784, 2),
        (8, 2, 2, 16, 2), (10, 5, 1, 1, 2), (16, 1, 2, 49, 16),
    )  # fmt: skip
    held = ((32, 4, 1, 196, 2), (16, 8, 2, 49, 4), (12, 12, 4, 49, 2), (64, 16, 1, 16, 8))
    for which, found in ((False, fit), (True, held)):
        for c, lanes, bits, positions, slots in found:
            yield Block(
                functools.partial(
                    explain_tap.corners.corner, c, lanes, bits, positions, slots=slots
                ),
                which,
            )


def _pools() -> Iterator[Block]:
    fit = (
        (4, (14, 14), (16, 1)), (4, (28, 28), (8, 8)), (2, (8, 8), (16, 4)), (8, (10, 10), (4, 2)),
        (4, (28, 28), (32, 4)), (6, (32, 32), (16, 16)),
    )  # fmt: skip
    held = ((4, (14, 14), (24, 2)), (3, (28, 28), (16, 8)), (4, (16, 16), (48, 16)))
    for which, found in ((False, fit), (True, held)):
        for bits, size, lanes in found:
            node = pool.corners.node("max", Integer(bits), size, lanes=lanes)
            yield Block(functools.partial(explain_pool.corners.corner, node), which)


def _choices() -> Iterator[Block]:
    """Who is explained: choice, slots, registers, port, for slots, exits, frames, classes."""
    fit = ((2, 1, 16, 4), (4, 3, 16, 4), (16, 2, 32, 7), (2, 4, 16, 4), (8, 3, 64, 10))
    held = ((2, 3, 16, 4), (4, 2, 32, 4))
    for which, found in ((False, fit), (True, held)):
        for slots, exits, frames, classes in found:
            corner = explain_choose.corners.corner
            yield Block(functools.partial(corner, slots, exits, 4, classes), which)
            yield Block(
                functools.partial(explain_slots.corners.corner, slots, exits, frames), which
            )
            yield Block(functools.partial(explain_registers.corners.corner, exits, slots, 0), which)
    yield Block(functools.partial(explain_port.corners.corner, 32))


def _ruled(rules_: tuple[Rule, ...], **given: Any) -> Callable[[], Corner]:
    return lambda: rules.corners.corner("rules", rules_, **given)


def _rules() -> Iterator[Block]:
    mnist, cifar = (28, 28, 1), (32, 32, 3)
    right, left = (Rule((), Modification(dx=dx)) for dx in (1, -1))
    dark = Rule((Condition("mean", "<", 400),), Modification(table=gain(1.3)))
    slanted = tuple(
        Rule((Condition("slant", sign, 21 * side),), Modification(shear=-8 * side))
        for sign, side in (("<", -1), (">=", 1))
    )
    some = tuple(
        Rule(
            (Condition("mean", "<", 100 * k),),
            Modification(dx=k % 3, dy=k % 2, border=(k, 0, 0, 1)),
        )
        for k in range(1, 6)
    )  # fmt: skip
    tables = tuple(
        Rule((Condition("ink", "<", 90 * k), Condition("edges", ">=", 40)),
             Modification(table=gamma(0.4 + 0.2 * k)))
        for k in range(1, 4)
    )  # fmt: skip
    mixed = rules.corners.MIXED
    look = {"slots": 4, "places": 4}
    yield Block(_ruled((dark,), shape=mnist))
    yield Block(_ruled((right,), shape=mnist))
    yield Block(_ruled(slanted, shape=mnist), held=True)
    yield Block(_ruled(some, shape=mnist))
    yield Block(_ruled(tables, shape=mnist))
    yield Block(_ruled(mixed, shape=mnist))
    yield Block(_ruled(mixed, shape=cifar, lanes=3))
    yield Block(_ruled(tables, shape=cifar, lanes=1))
    yield Block(_ruled(some[:2], shape=(8, 8, 1)))
    yield Block(_ruled(mixed[:3], shape=(16, 16, 1)), held=True)
    yield Block(_ruled((*slanted, dark), shape=cifar, lanes=3))
    yield Block(_ruled((), shape=mnist, looks=((right,),), **look))
    yield Block(_ruled((), shape=mnist, looks=((right,), (left,)), **look), held=True)
    yield Block(_ruled((), shape=mnist, looks=(slanted, slanted), **look))
    yield Block(_ruled(mixed, shape=mnist, looks=(mixed, some), **look))
    yield Block(_ruled(slanted, shape=cifar, lanes=3, looks=(tables,), **look))
    yield Block(_ruled((), shape=mnist, looks=(mixed[:4], some[:3]), **look), held=True)
    yield Block(_ruled(some[:4], shape=(20, 20, 1), looks=(slanted,), **look), held=True)
    yield Block(_ruled((*tables, right), shape=(12, 12, 3), lanes=3), held=True)
    yield Block(_ruled((), shape=(8, 8, 1), looks=((left,), tables[:2]), **look))


def _looks() -> Iterator[Block]:
    fit = ((1, 10, 14, 2), (2, 10, 12, 1), (10, 10, 14, 2), (5, 10, 16, 1), (1, 100, 16, 2))
    held = ((1, 10, 12, 1), (2, 10, 16, 2), (4, 100, 14, 1))
    for which, found in ((False, fit), (True, held)):
        for pe, classes, bits, count in found:
            corner = looks.corners.corner
            yield Block(functools.partial(corner, pe, classes, bits, count, 4), which)
    buffers = ((32, 196, 784, False), (8, 64, 256, False), (16, 49, 196, False),
               (64, 16, 64, False), (32, 256, 2048, False), (12, 100, 300, False),
               (24, 64, 512, True), (16, 196, 784, True))  # fmt: skip
    for width, frame, depth, which in buffers:
        yield Block(functools.partial(look_buffer.corners.corner, width, frame, depth), which)
    yield Block(functools.partial(again.corners.corner, 4))


def _holds() -> Iterator[Block]:
    fit = ((1, 8), (2, 16), (3, 12), (1, 30), (2, 24), (3, 20))
    held = ((1, 16), (2, 13), (3, 27))
    for which, found in ((False, fit), (True, held)):
        for exits, bits in found:
            yield Block(functools.partial(hold.corners.corner, exits, bits), which)


def _edges() -> Iterator[Block]:
    """Quantizers with and without telling edges."""
    fit = ((12, 15, 8, 8), (14, 15, 16, 1), (16, 15, 8, 2), (14, 3, 16, 4), (18, 15, 32, 4),
           (16, 63, 8, 1))  # fmt: skip
    held = ((14, 15, 16, 2), (16, 15, 16, 8))
    for which, found in ((False, fit), (True, held)):
        for bits, levels, channels, lanes in found:
            plain = threshold.corners.corner(
                f"t{bits}_{levels}_{channels}_{lanes}", bits=bits, signed=True, levels=levels,
                channels=channels, lanes=lanes, pixels=(1, 1),
            )  # fmt: skip
            yield Block(functools.partial(_same, plain), which)
            yield Block(functools.partial(edges.corners.random, plain), which)


def _same(corner: Corner) -> Corner:
    return corner


def blocks() -> list[Block]:
    """All of them, in the order of the table."""
    parts = (_holds, _looks, _rules, _engines, _taps, _choices, _pools, _edges)
    return [block for part in parts for block in part()]


def row(corner: Corner) -> dict[str, Any]:
    """Module and parameters; names of files and addresses are left out."""
    kept = {
        key: value for key, value in corner.parameters.items()
        if (not key.endswith("_FILE") and not key.startswith("A_")) or key == "A_BITS"
    }  # fmt: skip
    return {"block": corner.module, "parameters": kept}


def key(line: Mapping[str, Any]) -> str:
    """What makes two lines the same."""
    return json.dumps([line["block"], line["parameters"]], sort_keys=True)


def main(*, again_: bool) -> None:
    """Count in small batches and keep the table up to date."""
    known: dict[str, dict[str, Any]] = {}
    if TABLE.is_file() and not again_:
        known = {key(r): r for r in map(json.loads, TABLE.read_text("ascii").splitlines())}
    every = [(block, block.made()) for block in blocks()]
    rows = [known.get(key(row(c)), row(c)) for _, c in every]
    for line, (block, _) in zip(rows, every, strict=True):
        line.pop("held", None)
        line.update({"held": True} if block.held else {})
    for name, target in SIZES.items():
        for line in rows:  # without a multiplier nothing changes
            if "dsp" in line and not line["dsp"]["dsp"]:
                line["luts"] = line["dsp"]
        left = [
            i for i, (block, _) in enumerate(every)
            if name not in rows[i] and (block.both or name == "dsp")
        ]  # fmt: skip
        while left:
            size = 1 if rows[left[0]]["block"] == beside.ENGINE else 16
            batch, left = left[:size], left[size:]
            corners = [_named(every[i][1], i) for i in batch]
            counts = measure(BUILD / f"cost_beside_{name}", corners, target)
            for i, count in zip(batch, counts, strict=True):
                rows[i][name] = count
            text = "".join(json.dumps(line) + "\n" for line in rows)
            TABLE.write_text(text, encoding="ascii")
            print(f"{name}: {len(left)} left; {rows[batch[-1]]}", flush=True)


def _named(corner: Corner, number: int) -> Corner:
    """The same with files of its own, so that many fit into one folder."""
    given = set(corner.parameters.values())  # of a quantizer only how the names of files begin
    names = {name: f"b{number}_{name}" if name in given else name for name in corner.memories}
    parameters = {k: names.get(v, v) for k, v in corner.parameters.items()}
    memories = {names[name]: text for name, text in corner.memories.items()}
    return dataclasses.replace(corner, name=f"b{number}", parameters=parameters, memories=memories)


if __name__ == "__main__":
    main(again_="--all" in sys.argv[1:])
