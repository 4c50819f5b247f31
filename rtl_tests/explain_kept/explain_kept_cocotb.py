"""cocotb test: what frames leave in the stores is what `exeunt.explain.context` says."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from edges.corners import mask_of
from lib.bench import Corner, bench_corners
from lib.handles import stream
from lib.observer import Beats
from lib.patterns import bernoulli
from lib.stream_block import bit_strings, random_values, salt
from lib.streams import Cycles, StreamSink, StreamSource

from exeunt.explain.context import gathered, winners
from exeunt.explain.store import packed, way_bits, words
from exeunt.kernels import registry

FRAMES = 3


class Line:
    """One quantizer."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        told, route = corner.data

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        self.source = StreamSource(
            stream(port("s_valid"), port("s_ready"), port("s_data")), "x", cycles,
            idle=bernoulli(0.7, index),
        )  # fmt: skip
        self.sink = StreamSink(
            stream(port("m_valid"), port("m_ready"), port("m_data")), "x", cycles,
            stall=bernoulli(0.6, index + 1),
        )  # fmt: skip
        kept = [(port("pass_kept"), 1), (port("pass_slot"), 2)]
        self.passes = Beats(port("pass"), kept, cycles, index)
        node = told.node
        x = random_values(node.input, FRAMES, salt(corner))
        (y,) = registry.computed(node, told.arrays, [x])
        y, mask = np.asarray(y, np.int64), mask_of(told, x)
        ways = winners(route, y)
        inside = gathered((route,), {0: ways}, mask)
        bits = way_bits(route.kernel)
        self.tables = {
            "r_mask": (words(mask.astype(np.int64)), 1),
            "r_levels": (words(y & 15), 4),
            "r_pooled": (words(ways | inside.astype(np.int64) << bits), bits + 1),
        }
        self.source.send([int(w, 2) for w in bit_strings(node.input, x)])
        self.count = FRAMES * node.output.words
        self.read = {n: port(n) for n in ("r_valid", "r_slot", "r_address", "r_pooled_address")}
        self.read |= {n: port(n) for n in self.tables}
        for name in ("r_valid", "r_slot", "r_address", "r_pooled_address"):
            self.read[name].value = 0

    async def check(self, cycles: Cycles, slots: list[int]) -> None:
        """Every word of every frame, in its slot."""
        self.read["r_valid"].value = 1
        for name, (found, bits) in self.tables.items():
            where = "r_pooled_address" if name == "r_pooled" else "r_address"
            for frame, slot in enumerate(slots):
                for address, want in enumerate(packed(found[frame], bits)):
                    self.read["r_slot"].value = slot
                    self.read[where].value = address
                    await cycles.wait(2)
                    got = int(self.read[name].value)
                    assert got == want, (
                        f"{self.name}: {name} frame {frame} word {address}: got {got:#x}, "
                        f"expected {want:#x}"
                    )


@cocotb.test()
async def context(dut: Any) -> None:
    """Three frames with a slot each, under stalls and idles."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    slots = [2, 0, 1]
    await cycles.reset()
    for line in lines:
        first = cycles.now + 2
        line.passes.start([1 | slot << 1 for slot in slots], list(range(first, first + FRAMES)))
    await cycles.until(lambda: all(len(x.sink.words) >= x.count for x in lines), 9000, "frames")
    await cycles.wait(4)
    for line in lines:
        await line.check(cycles, slots)
