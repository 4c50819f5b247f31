"""Prints the sizes in `hls/rtl/README.md`: `python rtl_tests/sizes.py`, some minutes of Yosys.

`python rtl_tests/sizes.py criteria` prints those of the score block of every exit criterion,
`python rtl_tests/sizes.py rules` those of rule units for MNIST (docs/rules.md).

Each figure is LUT / FF / DSP / BRAM of one corner alone, for xc7 and for ECP5, without place and
route.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import add.corners
import concat.corners
import decide.corners
import duplicate.corners
import edges.corners
import explain_choose.corners
import explain_encode.corners
import explain_gather.corners
import explain_pool.corners
import explain_slots.corners
import explain_store.corners
import explain_tap.corners
import frame_buffer.corners
import hold.corners
import look_buffer.corners
import looks.corners
import margin.corners
import merge.corners
import mvu.corners
import pool.corners
import reduce.corners
import registers.corners
import rules.corners
import sparse.corners
import swg.corners
import tag.corners
import threshold.corners
import width.corners
from lib import carry_block, score_block
from lib.bench import BUILD, Corner, Port, kernel_corner, stream_ports
from lib.blocks import corners
from lib.yosys import measure

from exeunt import criteria
from exeunt.graph import Integer
from exeunt.rules import Condition, Modification, Rule, gain
from exeunt.synth.counts import ECP5, KINDS, XC7

INT4, UINT8 = Integer(4), Integer(8)


def fifo(word: int, depth: int) -> Corner:
    """A FIFO by its two parameters."""
    parameters = {"WIDTH": word, "DEPTH": depth}
    ports = (*stream_ports(word, word), Port("count", depth.bit_length(), output=True))
    return Corner(f"fifo{word}_{depth}", "ex_fifo", parameters, ports)


def chosen() -> dict[str, Corner]:
    """What the table shows, by its description there."""
    plain = kernel_corner
    swg_node, pool_node, reduce_node = swg.corners.node, pool.corners.node, reduce.corners.node
    deep = threshold.corners.corner(
        "deep", bits=16, signed=True, levels=15, channels=16, lanes=1, pixels=(1, 1)
    )
    wide = threshold.corners.corner(
        "wide", bits=16, signed=True, levels=15, channels=8, lanes=8, pixels=(1, 1)
    )
    return {
        "fifo: 32 bits, 16 words": fifo(32, 16),
        "fifo: 32 bits, 512 words": fifo(32, 512),
        "fork: 37 bits": corners()["fork"][2],
        "duplicate: 32 bits": plain(duplicate.corners.node(8, 4, 9)),
        "add: 8 lanes of 4 bits": plain(add.corners.node((INT4, INT4), (1, 1), lanes=8)),
        "add: 4 lanes of 4 bits, 2 a - 3 b": plain(
            add.corners.node((INT4, INT4), (2, -3), lanes=4)
        ),
        "concat: 4 and 4 words of 8 lanes of 4 bits": plain(
            concat.corners.node((INT4, INT4), (1, 1), (4, 4), lanes=8)
        ),
        "width: 8 to 2 lanes of 4 bits": plain(width.corners.node((8, 2), INT4)),
        "width: 2 to 8 lanes of 4 bits": plain(width.corners.node((2, 8), INT4)),
        "swg: 14x14x8, 3x3, 8 lanes": plain(swg_node((14, 14), (3, 3), lanes=(8, 8))),
        "swg_parallel: 28x28x1 8 bits, 3x3": plain(
            swg_node((28, 28), (3, 3), dtype=UINT8, parallel=True)
        ),
        "swg_parallel: 14x14x8, 3x3": plain(
            swg_node((14, 14), (3, 3), lanes=(8, 8), parallel=True)
        ),
        "pool: max 2x2, 28x28x8, 8 lanes": plain(pool_node("max", INT4, (28, 28), lanes=(8, 8))),
        "pool: sum 2x2, 28x28x8, 2 lanes": plain(pool_node("sum", INT4, (28, 28), lanes=(8, 2))),
        "reduce: sum of 49, 16 channels, 4 lanes": plain(
            reduce_node("sum", INT4, count=49, lanes=(16, 4))
        ),
        "threshold: 15 levels, 16 bits in, 8 lanes": wide,
        "threshold: 15 levels, 16 bits in, 1 lane of 16 channels": deep,
        "threshold: the same 8 lanes with edges": edges.corners.random(wide),
        "threshold: the same lane with edges": edges.corners.random(deep),
        "mvu: 72x16, SIMD 9, PE 8, 15 levels": mvu.corners.corner((8, 9, 2, 8), INT4, levels=15),
        "mvu: 9x8 8 bits in, SIMD 9, PE 2, 15 levels": mvu.corners.corner(
            (1, 9, 4, 2), UINT8, levels=15
        ),
        "mvu: 160x10, SIMD 4, PE 2, no levels": mvu.corners.corner((40, 4, 5, 2), INT4),
        "mvu: 128x6, signs on 1 bit, SIMD 32, PE 3, 1 level": mvu.corners.corner(
            (4, 32, 2, 3), Integer(1), weight_bits="1s", levels=1
        ),
        "mvu: 64x6, signs and 0 on 2 bits, SIMD 32, PE 2, 3 levels": mvu.corners.corner(
            (2, 32, 3, 2), Integer(2), weight_bits="2s", levels=3
        ),
        "sparse: 72x16, SIMD 4, PE 4, 15 levels, a quarter of the blocks": sparse.corners.corner(
            (18, 4, 4, 4, 4), 4, INT4, levels=15
        ),
        "sparse: 72x16 8 bits in, SIMD 4, PE 4, 15 levels, 8 numbers": sparse.corners.corner(
            (18, 4, 4, 4, 4), 0, UINT8, pattern="none", weight_bits=8, book=8, levels=15
        ),
        "tag: 32 bits, 16 words, 16 in flight": tag.corners.corner(32, 16, 16),
        "margin: 10 classes one by one": margin.corners.corner("margin", 1, 10, 14),
        "margin: 10 classes at once": margin.corners.corner("margin", 10, 10, 14),
        "decide: 10 classes one by one": decide.corners.corner(1, 10, 14, 15),
        "decide: 10 classes at once": decide.corners.corner(10, 10, 14, 15),
        "decide: 10 classes one by one, offsets of 6 bits": decide.corners.corner(
            1, 10, 14, 15, offset_bits=6
        ),
        "decide: 10 classes one by one, 16 bits held": decide.corners.corner(
            1, 10, 14, 15, held=16
        ),
        "decide: 1,000 classes one by one, offsets of 6 bits": decide.corners.corner(
            1, 1000, 14, 15, offset_bits=6
        ),
        "frame_buffer: 32 bits, 4 frames of 49": frame_buffer.corners.corner(32, 49, 196),
        "merge: 3 exits, 16 in flight": merge.corners.corner(3, 16),
        "hold: 3 exits, of which 2 hold, 16 bits": hold.corners.corner(2, 16),
        "registers: 3 exits": registers.corners.corner(3, 5),
        "axil": corners()["axil"][0],
        "explain_encode: 8 bits, 49 tiles": explain_encode.corners.corner(8, 49),
        "explain_pool: 2x2, 14x14x16 4 bits, 1 lane": explain_pool.corners.corner(
            pool.corners.node("max", INT4, (14, 14), lanes=(16, 1))
        ),
        "explain_pool: 2x2, 28x28x8 4 bits, 8 lanes": explain_pool.corners.corner(
            pool.corners.node("max", INT4, (28, 28), lanes=(8, 8))
        ),
        "explain_gather: 1 lane of 32 channels, 1 bit, 7x7": explain_gather.corners.corner(
            32, 1, 1, 49
        ),
        "explain_gather: 8 lanes of 8 channels, 1 bit, 14x14": explain_gather.corners.corner(
            8, 8, 1, 196
        ),
        "explain_gather: 12 lanes of 24 channels, 2 bits, 14x14": explain_gather.corners.corner(
            24, 12, 2, 196
        ),
        "explain_store: 4 slots of 49 words of 16 bits": explain_store.corners.corner(16, 49, 4),
        "explain_store: 4 slots of 784 words of 8 bits": explain_store.corners.corner(8, 784, 4),
        "explain_store: 4 slots of 392 words of 16 bits, 2 at once": explain_store.corners.corner(
            16, 392, 4, 2
        ),
        "explain_slots: 4 slots, 3 exits, 16 in flight": explain_slots.corners.corner(4, 3, 16),
        "explain_choose: 4 slots, 3 exits, 4 ids, 10 classes": explain_choose.corners.corner(
            4, 3, 4, 4
        ),
        "explain_tap: 1 lane of 32 channels, 1 bit, 7x7, 4 slots": explain_tap.corners.corner(
            32, 1, 1, 49, slots=4
        ),
    }


def scores() -> dict[str, Corner]:
    """The score block of every criterion for few and for many classes, by logits a beat."""
    found = {}
    for name in criteria.names():
        for classes, lanes in ((10, 1), (10, 10), (100, 1), (100, 10), (1000, 1), (1000, 10)):
            label = f"{name}: {classes:,} classes, {lanes} a beat"
            if criteria.get(name).carry is not None:
                found[label] = carry_block.corner(name, lanes, classes, 14)
            else:
                found[label] = score_block.corner(name, lanes, classes, 14, scale=0.01)
    return found


def units() -> dict[str, Corner]:
    """Rule units for images of 28 x 28, and what further looks need beside them."""
    shape = (28, 28, 1)
    right, left = (Rule((), Modification(dx=dx)) for dx in (1, -1))
    dark = Rule((Condition("mean", "<", 400),), Modification(table=gain(1.3)))
    slanted = tuple(
        Rule((Condition("slant", sign, 21 * side),), Modification(shear=-8 * side))
        for sign, side in (("<", -1), (">=", 1))
    )

    def looking(name: str, *found: tuple[Rule, ...]) -> Corner:
        return rules.corners.corner(name, (), shape=shape, slots=4, looks=found, places=4)

    return {
        "gain below a mean": rules.corners.corner("gain", (dark,), shape=shape),
        "shift": rules.corners.corner("shift", (right,), shape=shape),
        "two shears by slant": rules.corners.corner("slant", slanted, shape=shape),
        "one look: shift": looking("look", (right,)),
        "two looks: shifts": looking("twice", (right,), (left,)),
        "two looks: two shears by slant each": looking("slants", slanted, slanted),
        "looks: 10 logits of 14 bits one by one": looks.corners.corner(1, 10, 14, 2, 4),
        "frame_buffer: 32 bits, 4 frames of 196": frame_buffer.corners.corner(32, 196, 784),
        "look_buffer: 32 bits, 4 frames of 196": look_buffer.corners.corner(32, 196, 784),
    }


def main() -> None:
    """One table row a corner."""
    tables = {"criteria": scores, "rules": units}
    found = tables.get("".join(sys.argv[1:]), chosen)()
    rows: dict[str, list[str]] = {name: [] for name in found}
    for target in (XC7, ECP5):
        sizes = measure(BUILD / f"sizes_{target.name}", list(found.values()), target)
        for name, size in zip(found, sizes, strict=True):
            rows[name].append(" / ".join(str(size[kind]) for kind in KINDS))
    print(f"| corner | xc7 {' / '.join(KINDS)} | ecp5 |\n|---|---|---|")
    for name, (xc7, ecp5) in rows.items():
        print(f"| {name} | {xc7} | {ecp5} |")


if __name__ == "__main__":
    main()
