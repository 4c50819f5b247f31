"""cocotb test of ex_packet_tx: what waits goes in turn, and comes as the codec reads it."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import cocotb
from lib.handles import Joined, stream
from lib.streams import StreamSink, StreamSource
from serial_blocks.drivers import Block, begin, mixes

from exeunt.runtime import framing
from exeunt.runtime.framing import Packet, Parser


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def packet_tx(dut: Any) -> None:
    """Answers and results as packets, in turn when both wait, under stalls."""
    cycles, blocks = await begin(dut, "ex_packet_tx")
    for block in blocks:
        parts = Joined((block["a_body"], 48), (block["a_seq"], 8), (block["a_kind"], 2))
        answers = StreamSource(stream(block["a_valid"], block["a_ready"], parts), "x", cycles)
        sink = StreamSink(stream(block["m_valid"], block["m_ready"], block["m_data"]), "x", cycles)
        results: list[bytes] = []
        pieces: list[tuple[bool, bytes]] = []
        taken, sent = [0], [0]

        def ring(
            _: int, block: Block = block, results: list[bytes] = results, taken: list[int] = taken,
            pieces: list[tuple[bool, bytes]] = pieces, sent: list[int] = sent,
        ) -> None:  # fmt: skip
            taken[0] += block.get("r_take")
            sent[0] += block.get("p_take")
            index = block.get("r_index")
            block["r_valid"].value = int(taken[0] < len(results))
            block["r_seq"].value = taken[0] % 256
            if taken[0]:
                block["r_data"].value = results[taken[0] - 1][index]
            block["p_valid"].value = int(sent[0] < len(pieces))
            block["p_seq"].value = sent[0] % 256
            if sent[0]:
                block["p_end"].value, data = int(pieces[sent[0] - 1][0]), pieces[sent[0] - 1][1]
                block["p_data"].value = data[index]

        cycles.add(ring)
        told = framing.Greeting(
            1, block.parameter("STORE"), block.parameter("IMAGE_BYTES"), 0x77,
            block.parameter("BEAT_BYTES"),
        )  # fmt: skip
        for stall, seed in mixes():
            rng = random.Random(seed)
            sink.clear()
            sink.stall = stall
            base, count = len(results), 25
            results.extend(rng.randbytes(16) for _ in range(count))
            first, mapped = len(pieces), (0, count, 3)[seed]  # without maps, with many, with few
            pieces.extend((rng.random() < 0.4, rng.randbytes(16)) for _ in range(mapped))
            want: list[Packet] = []
            for _ in range(count):
                kind, tag, value = rng.randrange(4), rng.getrandbits(8), rng.getrandbits(48)
                payload = (
                    bytes((value & 255,)), b"", value.to_bytes(6, "little"),
                    told.encode()[:4] + bytes((value & 255,)) + told.encode()[5:],
                )[kind]  # fmt: skip
                code = (framing.NAK, framing.ACK, framing.DATA, framing.HI)[kind]
                want.append(Packet(code, tag, payload))
                answers.send([value | tag << 48 | kind << 56])
            await cycles.until(
                lambda: (answers.done(), taken[0], sent[0]) == (True, len(results), len(pieces)),  # noqa: B023
                40000,
                f"{block.name}, stall {seed}",
            )
            await cycles.wait(400)
            parser = Parser(framing.FROM_DEVICE)
            found = parser.feed(bytes(sink.words))
            assert (parser.skipped, parser.pending) == (0, 0)
            maps = [p for p in found if p.kind in (framing.MAP, framing.MAP_END)]
            mine = [p for p in found if p.kind != framing.RESULT and p not in maps]
            theirs = [p for p in found if p.kind == framing.RESULT]
            assert mine == want, f"{block.name}, stall {seed}"
            assert theirs == [
                Packet(framing.RESULT, k % 256, results[k]) for k in range(base, base + count)
            ]
            assert maps == [
                Packet(framing.MAP_END if pieces[k][0] else framing.MAP, k % 256, pieces[k][1])
                for k in range(first, len(pieces))
            ]
            turns = [min(p.kind, framing.MAP) if p.kind < framing.NAK else 0 for p in found]
            turns = [t if t in (framing.RESULT, framing.MAP) else 0 for t in turns]
            pairs = list(pairwise(turns))
            assert sum(a == b for a, b in pairs[:40]) <= 3, f"{block.name}: {turns}"
            if mapped == count:  # round and round
                rounds = zip(turns[6:60], turns[7:61], turns[8:62], strict=True)
                assert sum(len({*t}) == 3 for t in rounds) >= 50, f"{block.name}: {turns}"
