"""cocotb tests of the blocks of the serial shell, all corners side by side."""

from __future__ import annotations

import random
import zlib
from typing import Any

import cocotb
from cocotb.triggers import Timer
from lib.handles import Joined, stream
from lib.patterns import always, bernoulli
from lib.streams import PERIOD_NS, Cycles, StreamSink, StreamSource, compare
from serial_blocks.corners import IDLE
from serial_blocks.drivers import Block, Link, Quiet, Recorder, begin, mixes

from exeunt.reference.serial_shell import SerialShell
from exeunt.runtime import framing
from exeunt.runtime.framing import Packet, register


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def uart_rx(dut: Any) -> None:
    """Bytes whose bits are up to 3% off, spikes, a missing stop bit, a break."""
    cycles, blocks = await begin(dut, "ex_uart_rx")
    for block in blocks:
        rng = random.Random(block.name)
        got: list[int] = []
        faults: list[int] = []

        def step(
            cycle: int, block: Block = block, got: list[int] = got, faults: list[int] = faults
        ) -> None:
            if block.get("m_valid"):
                got.append(block.get("m_data"))
            if block.get("m_error"):
                faults.append(cycle)

        cycles.add(step)
        whole = block.parameter("DIVISOR") * PERIOD_NS * 1000

        async def line(levels: list[int], bit_ps: int, block: Block = block) -> None:
            for level in levels:
                block["rx"].value = level
                await Timer(bit_ps, "ps")

        sent = []
        for percent in (100, 98, 102, 97, 103):
            for _ in range(12):
                byte = rng.choice((0, 255, rng.getrandbits(8)))
                bits = [0, *(byte >> k & 1 for k in range(8)), 1]
                await line(bits, whole * percent // 100)
                sent.append(byte)
                if rng.random() < 0.3:
                    await Timer(rng.randrange(1, 3 * whole), "ps")
            await cycles.wait(2 * block.parameter("DIVISOR"))
            await line([0], PERIOD_NS * 1000)  # a spike
            await line([1], 12 * whole)
        compare(f"{block.name}: bytes", got, sent)
        assert not faults, f"{block.name}: a framing error in good bytes"
        await line([0] * 25, whole)  # a break: one error, however long
        await line([1, 1], whole)
        assert len(faults) == 1, f"{block.name}: {len(faults)} framing errors in a break"
        await line([0, *(0x5A >> k & 1 for k in range(8)), 1, 1], whole)
        compare(f"{block.name}: bytes", got, [*sent, 0x5A])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def uart_rx_spikes(dut: Any) -> None:
    """A spike of one cycle in every bit of a byte, at each of its cycles, changes nothing."""
    cycles, blocks = await begin(dut, "ex_uart_rx")
    for block in blocks:
        divisor = block.parameter("DIVISOR")
        got: list[int] = []
        faults: list[int] = []

        def step(
            cycle: int, block: Block = block, got: list[int] = got, faults: list[int] = faults
        ) -> None:
            if block.get("m_valid"):
                got.append(block.get("m_data"))
            if block.get("m_error"):
                faults.append(cycle)

        cycles.add(step)
        sent = []
        for at in range(divisor):
            for byte in (0x00, 0xFF, 0x55, 0xA6):
                for level in (0, *(byte >> k & 1 for k in range(8)), 1):
                    for k in range(divisor):
                        block["rx"].value = level ^ int(k == at)
                        await cycles.wait(1)
                block["rx"].value = 1
                await cycles.wait(2 * divisor)
                sent.append(byte)
                what = f"{block.name}: bytes with spikes in cycle {at} of every bit"
                compare(what, got, sent)
        assert not faults, f"{block.name}: framing errors of spikes in cycles {faults}"


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def uart_tx(dut: Any) -> None:
    """Every bit lasts DIVISOR cycles, bytes follow without a gap, and the line idles high."""
    cycles, blocks = await begin(dut, "ex_uart_tx")
    for block in blocks:
        divisor = block.parameter("DIVISOR")
        levels: list[int] = []
        cycles.add(lambda _, block=block, levels=levels: levels.append(block.get("tx")))
        source = StreamSource(
            stream(block["s_valid"], block["s_ready"], block["s_data"]), "x", cycles
        )
        rng = random.Random(divisor)
        for idle in (always(), bernoulli(0.05, 3)):
            sent = [rng.getrandbits(8) for _ in range(20)]
            source.takes.clear()
            source.idle = idle
            source.send(sent)
            base = len(levels) - cycles.now - 1
            await cycles.until(source.done, 20000, block.name)
            await cycles.wait(12 * divisor)
            want = [1] * len(levels)
            want[:base] = levels[:base]
            for byte, taken in zip(sent, source.takes, strict=True):
                at = base + taken + 1
                bits = [0, *(byte >> k & 1 for k in range(8)), 1]
                want[at : at + 10 * divisor] = [b for b in bits for _ in range(divisor)]
            begun = base + source.takes[0]
            compare(f"{block.name}: line", levels[begun:], want[begun:])
        assert levels[0] == 1


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def crc32(dut: Any) -> None:
    """zlib's value after every byte; good behind data with its own CRC only."""
    cycles, blocks = await begin(dut, "ex_crc32")
    for block in blocks:
        rng = random.Random(5)
        for count in (0, 1, 5, 40):
            await cycles.reset(1)
            data = rng.randbytes(count)
            seen = b""
            for byte in data + zlib.crc32(data).to_bytes(4, "little"):
                block["s_valid"].value, block["s_data"].value = 1, byte
                await cycles.wait(1)
                block["s_valid"].value, block["s_data"].value = 0, rng.getrandbits(8)
                seen += bytes((byte,))
                await cycles.wait(rng.randrange(1, 3))
                assert block.get("crc") == zlib.crc32(seen), f"after {seen.hex()}"
                whole = len(seen) >= 4 and zlib.crc32(seen[:-4]).to_bytes(4, "little") == seen[-4:]
                assert block.get("good") == whole, f"after {seen.hex()}"
            assert block.get("good") == 1


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def packet_rx(dut: Any) -> None:
    """Good and damaged packets, garbage, silence: what the model's parser finds, and the bodies."""
    cycles, blocks = await begin(dut, "ex_packet_rx")
    for block in blocks:
        rng = random.Random(block.name)
        maps = bool(block.parameter("MAPS"))
        model = Recorder(block.parameter("IMAGE_BYTES"), maps=maps)
        lengths = framing.to_device(block.parameter("IMAGE_BYTES"), maps=True)
        got: list[tuple[int, int, int, bytes]] = []
        body = bytearray()

        def step(
            _: int, block: Block = block, got: list[Any] = got, body: bytearray = body
        ) -> None:
            if block.get("body_start"):
                body.clear()
            if block.get("body_valid"):
                body.append(block.get("body_data"))
            if block.get("m_valid"):
                reason, kind = block.get("m_reason"), block.get("m_kind")
                where = block.get("m_address").to_bytes(2, "little")
                payload = {framing.IMAGE: bytes(body), framing.READ: where}.get(kind, b"")
                if kind == framing.WRITE:
                    payload = where + block.get("m_wdata").to_bytes(4, "little")
                good = (0, kind, block.get("m_seq"), payload)
                got.append((reason, 0, 0, b"") if reason else good)

        cycles.add(step)

        async def byte(value: int, gap: int, block: Block = block) -> None:
            block["s_valid"].value, block["s_data"].value = 1, value
            await cycles.wait(1)
            block["s_valid"].value, block["s_data"].value = 0, 0
            await cycles.wait(gap)

        for n in range(60 if block.parameter("IMAGE_BYTES") < 100 else 30):
            kind = rng.choice(list(lengths))
            data = Packet(kind, rng.getrandbits(8), rng.randbytes(lengths[kind])).encode()
            damage = rng.randrange(8)
            where = rng.randrange(len(data))
            if damage == 0:
                data = data[:where] + data[where + 1 :]
            elif damage == 1:
                data = data[:where] + bytes((data[where] ^ 1 << n % 8,)) + data[where + 1 :]
            elif damage == 2:
                data = bytes((framing.SYNC,)) + data
            elif damage == 3:
                data = rng.randbytes(7)
            for value in data:
                await byte(value, rng.choice((3, 3, 4, IDLE - 3)))
            model.feed(data)
            if rng.random() < 0.2:
                block["s_error"].value = 1
                await cycles.wait(1)
                block["s_error"].value = 0
                model.broken()
            if rng.random() < 0.4:
                await cycles.wait(IDLE + 5)
                model.idle()
            await cycles.wait(3)
            assert got == model.found, f"{block.name}, {data.hex()}: {got[-1:]}, {model.found[-1:]}"
        assert len({reason for reason, *_ in got}) > 3


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def frame_store(dut: Any) -> None:
    """Committed frames come out whole and in order, the others not; full is full; flush empties."""
    cycles, blocks = await begin(dut, "ex_frame_store")
    for block in blocks:
        width, frame = block.parameter("WIDTH"), block.parameter("FRAME")
        store, size = block.parameter("STORE"), -(-block.parameter("WIDTH") // 8)
        data = Joined((block["m_data"], width), (block["m_last"], 1))
        sink = StreamSink(stream(block["m_valid"], block["m_ready"], data), "x", cycles)

        async def pulse(port: str, block: Block = block) -> None:
            block[port].value = 1
            await cycles.wait(1)
            block[port].value = 0

        for stall, seed in mixes():
            rng = random.Random(seed)
            sink.clear()
            sink.stall = stall
            want: list[int] = []
            kept = 0
            for k in range(14):
                beats = [rng.getrandbits(width) for _ in range(frame)]
                if k == 8:  # nobody takes: the store fills, and a frame that is too many is lost
                    await cycles.until(lambda: len(sink.words) >= len(want), 9999, block.name)  # noqa: B023
                    sink.stall = bernoulli(0.0, 0)
                    await cycles.wait(3)
                    kept = 0
                if k < 8:  # at most STORE - 1 frames are left
                    limit = len(want) - (store - 1) * frame
                    await cycles.until(
                        lambda limit=limit: len(sink.words) >= limit,  # noqa: B023
                        9999,
                        block.name,
                    )
                await pulse("start")
                part = rng.randrange(frame * size) if rng.random() < 0.2 else frame * size
                raw = b"".join(b.to_bytes(size, "little") for b in beats)[:part]
                for value in raw:
                    await cycles.wait(rng.randrange(1, 3))
                    block["s_data"].value = value
                    await pulse("s_valid")
                await cycles.wait(2)
                whole = block.get("whole")
                if part < frame * size:
                    assert not whole, f"{block.name}: {part} bytes are a whole frame"
                if k < 8:
                    assert whole == (part == frame * size), f"{block.name}: frame {k}: {whole}"
                await pulse("commit")
                if whole:
                    lasts = [int(n == frame - 1) << width for n in range(frame)]
                    want += [b | last for b, last in zip(beats, lasts, strict=True)]
                    kept += 1
                if k < 8:
                    await cycles.wait(rng.randrange(3 * frame))
            # one frame's beats may wait in the output register
            assert store <= kept <= store + (frame == 1), f"{block.name}: {kept} frames stored"
            sink.stall = always()
            await cycles.until(lambda: len(sink.words) >= len(want), 9999, block.name)  # noqa: B023
            await cycles.wait(5)
            compare(f"{block.name}, stall {seed}", sink.words, want)
        sink.stall = bernoulli(0.0, 0)
        await pulse("start")
        for _ in range(frame * size):
            await pulse("s_valid")
            await cycles.wait(1)
        await cycles.wait(2)
        assert block.get("whole") == 1
        await pulse("commit")
        await cycles.wait(3)
        cycles.in_reset = True
        await pulse("flush")
        await cycles.wait(1)
        cycles.in_reset = False
        assert block.get("m_valid") == 0, f"{block.name}: flush left a beat"
        assert block.get("whole") == 0


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def link(dut: Any) -> None:
    """Random packets: answers, commits, writes and reads are the model's; busy means lost."""
    cycles, blocks = await begin(dut, "ex_link")
    for block in blocks:
        link = Link(block, cycles)
        sink, bits = link.sink, block.parameter("ADDRESS_BITS")
        core = Quiet()
        whole = [True]
        model = SerialShell(
            core, 4, room=lambda whole=whole: whole[0], address_bits=bits, maps=True
        )
        nexts = 0x5A
        block["next"].value = nexts
        rng = random.Random(2)
        kinds = {framing.NAK: 0, framing.ACK: 1, framing.DATA: 2, framing.HI: 3}
        places = [8, 12, 0x1008, 0xFFF, 0x8000, (1 << bits) - 1, (1 << bits) % (1 << 16), 4]
        seq, asked, mapped = 0, [0, 0], [0, 0]
        for n in range(1100):
            kind = rng.choice((1, 1, 1, 2, 2, 3, 4, 5, 6, 7) if n > 20 else (1, 2, 3, 5, 6, 7))
            tag = (seq + rng.choice((0, 0, 0, 1, 127, 128, 255))) % 256
            if kind == framing.HELLO and rng.random() < 0.8:
                tag = (seq - 1) % 256
            where, value = rng.choice(places), rng.getrandbits(32)
            reason = rng.choice((0, 0, 0, 0, 0, 1, 2, 3, 6, 7))
            whole[0] = rng.random() < 0.8
            block["store_whole"].value = int(whole[0])
            before, told = model._expected, []
            model._kept, model._written = rng.randrange(256), rng.randrange(256)
            known = (model._written - tag) % 256 <= model._kept
            block["known"].value = int(known)
            model._oldest = rng.randrange(256)
            model._stored = model._shown = model._oldest + rng.randrange(framing.PIECES + 1)
            model._pieces = dict.fromkeys(range(model._oldest, model._stored), (0, b""))
            kept = model._oldest + (tag - model._oldest) % 256 <= model._stored
            block["map_known"].value = int(kept)
            if kind == framing.HELLO and not reason:
                told = [("hello", 0)]
            if kind == framing.AGAIN and not reason and model._open:
                told = [("again", tag)]
            if kind in (framing.TAKEN, framing.MAPS) and not reason and model._open:
                told = [("taken" if kind == framing.TAKEN else "maps", tag)]
            if reason:
                model._refuse(reason)
            else:
                payload = {1: bytes(4), 2: register(where, value), 3: where.to_bytes(2, "little")}
                model._packet(kind, tag, payload.get(kind, b""))
            seq = model._expected
            await link.packet(kind, tag, where, value, reason)
            await cycles.wait(8)
            assert link.told == told, f"{block.name}, packet {n}: the ring was told {link.told}"
            link.told.clear()
            asked[known] += kind == framing.AGAIN and not reason
            mapped[kept] += kind > framing.AGAIN and not reason
            want = list(model._answers)
            model._answers.clear()
            what = f"{block.name}, packet {n}: kind {kind}, seq {tag} for {before}, reason {reason}"
            assert len(sink.words) == len(want), f"{what}: {len(sink.words)} answers for {want}"
            for word, packet in zip(sink.words, want, strict=True):
                body = int.from_bytes(packet.payload, "little")
                if packet.kind == framing.HI:
                    body = nexts
                got = (word & 3, word >> 2 & 255, word >> 10)
                assert got == (kinds[packet.kind], packet.seq, body), f"{what}: {got} for {packet}"
            assert link.done == core.done, f"{what}: {link.done[-2:]} for {core.done[-2:]}"
            sink.clear()
        assert min(asked) > 5, f"{block.name}: AGAIN for results unknown and known: {asked}"
        assert min(mapped) > 5, f"{block.name}: pieces unknown and known: {mapped}"
        counts = [sum((a < 0) == image for a, _ in core.done) for image in (True, False)]
        assert min(counts) > 5, f"{block.name}: images and writes accepted: {counts}"
        # while an answer waits, a packet is as good as lost
        sink.stall = bernoulli(0.0, 0)
        await cycles.wait(2)
        for tag in (seq, seq + 1):
            await link.packet(framing.WRITE, tag, 0, 0)
            await cycles.wait(7)
        sink.stall = always()
        await cycles.wait(8)
        tags = [w >> 2 & 255 for w in sink.words]
        assert tags == [seq % 256], f"{block.name}: a packet was taken while busy"


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def link_flush(dut: Any) -> None:
    """A soft reset, and nothing else, sets flush, for FLUSH cycles behind its write; twice too."""
    cycles, blocks = await begin(dut, "ex_link")
    for block in blocks:
        link = Link(block, cycles)
        control, flush = block.parameter("A_CONTROL"), block.parameter("FLUSH")
        await link.packet(framing.HELLO, 0, 0, 0)
        await cycles.wait(8)
        # the bit of another action, another register, a refused packet, a write that comes again
        seq = 1
        others = ((control, 6, seq, 0), (control ^ 4, 1, seq + 1, 0), (control, 1, seq + 1, 1),
                  (control, 1, seq + 1, 4), (control, 1, seq, 0))  # fmt: skip
        for where, value, tag, reason in others:
            await link.packet(framing.WRITE, tag, where, value, reason)
            await cycles.wait(8)
        assert not link.flushed, f"{block.name}: flush without a soft reset"
        seq += 2
        for again in (flush + 20, 10):  # the second time before the first one's flush may be over
            link.flushed.clear()
            link.written.clear()
            for _ in range(2):
                await link.packet(framing.WRITE, seq, control, 0xFFFF_FFFF)
                seq += 1
                await cycles.wait(again)
            await cycles.wait(flush + 20)
            assert len(link.written) == 2
            want = sorted({w + 1 + k for w in link.written for k in range(flush)})
            compare(f"{block.name}: cycles of flush", link.flushed, want)


async def ring(cycles: Cycles, block: Block) -> None:
    """The test of one ring."""
    source = StreamSource(stream(block["s_valid"], block["s_ready"], block["s_data"]), "x", cycles)
    rng = random.Random(8)
    stored: list[int] = []

    async def take() -> tuple[int, int]:
        await cycles.until(lambda: bool(block.get("m_valid")), 400, "a result")
        seq = block.get("m_seq")
        block["take"].value = 1
        await cycles.wait(1)
        block["take"].value = 0
        value = 0
        for k in range(16):
            block["m_index"].value = k
            await cycles.wait(3)
            value |= block.get("m_data") << 8 * k
        return seq, value

    async def again(seq: int, known: int = 1) -> None:
        block["again"].value, block["again_seq"].value = 1, seq % 256
        await cycles.wait(1)
        block["again"].value = 0
        await cycles.wait(1)
        assert block.get("known") == known, f"again {seq} of {block.get('next')}"

    async def nothing_before(first: int) -> None:
        """Of the numbers only those from `first` to the next are known; the others do nothing."""
        number = block.get("next")
        ours = {(first + k) % 256 for k in range((number - first) % 256 + 1)}
        for seq in range(256):
            block["again_seq"].value = seq
            await cycles.wait(2)
            assert block.get("known") == int(seq in ours), f"again {seq} from {first} to {number}"
        for seq in {first - 1, number + 1} - ours:
            await again(seq, known=0)
            assert block.get("m_valid") == 0, f"again {seq} from {first} to {number}"

    await nothing_before(0)

    def offer(count: int) -> None:
        words = [rng.getrandbits(128) for _ in range(count)]
        stored.extend(words)
        source.send(words)

    offer(260)  # more than fit: the last ones wait
    await cycles.wait(260 * 17)
    assert block.get("next") == 255, f"{block.get('next')} results stored unsent"
    for k in range(260):
        assert await take() == (k % 256, stored[k]), f"result {k}"
    await cycles.wait(5)
    assert block.get("m_valid") == 0
    for back in (1, 2, 255, 100):
        await again(260 - back)
        for k in range(260 - back, 260 - back + min(back, 5)):
            assert await take() == (k % 256, stored[k]), f"again {back}, result {k}"
    source.idle = bernoulli(0.02, 4)
    await again(260)
    offer(20)
    for k in range(260, 275):
        assert await take() == (k % 256, stored[k]), f"result {k}"
    await cycles.until(source.done, 9999, "all stored")
    await cycles.wait(3)
    source.idle = always()
    source.send([0x11])
    await cycles.wait(9)  # half of it is stored
    block["flush"].value = 1
    await cycles.wait(3)
    assert source.done(), "a flush must take what is on offer"
    block["flush"].value = 0
    await cycles.wait(20)
    assert (block.get("m_valid"), block.get("next")) == (0, 280 % 256), "flush"
    await nothing_before(280 % 256)
    offer(3)
    for k in range(280, 283):
        assert await take() == (k % 256, stored[k])
    await nothing_before(280 % 256)
    for after in range(-1, 18):  # a HELLO before, with and after the last byte of a result
        offer(1)
        await cycles.until(lambda: bool(block.get("s_valid")), 9, "a result")
        await cycles.wait(max(0, after))
        first = block.get("next")
        block["hello"].value = 1
        await cycles.wait(1)
        first = block.get("next")  # as the answer to the HELLO says
        block["hello"].value = 0
        await cycles.until(source.done, 40, "stored")
        await cycles.wait(2)
        while block.get("m_valid"):
            await take()
        await nothing_before(first)
    offer(2)
    for _ in range(2):
        await take()
    await nothing_before(first)
    for after in range(20):  # the last one again: before, with and after the last byte of another
        offer(1)
        await cycles.wait(after)
        last = len(stored) - 2
        await again(last)
        for k in (last, last + 1):
            assert await take() == (k % 256, stored[k]), f"again {after} cycles after an offer"


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def result_ring(dut: Any) -> None:
    """Results in and out, again from any of the last 256 on, a full ring, a flush."""
    cycles, blocks = await begin(dut, "ex_result_ring")
    for block in blocks:
        await ring(cycles, block)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def activity(dut: Any) -> None:
    """An event is shown for one to two periods; every light by itself."""
    cycles, blocks = await begin(dut, "ex_activity")
    for block in blocks:
        period = 1 << block.parameter("HOLD_BITS")
        for light in range(block.parameter("N")):
            for wait in range(0, period, 3):
                await cycles.wait(2 * period + wait)
                assert block.get("led") == 0
                block["s_event"].value = 1 << light
                await cycles.wait(1)
                block["s_event"].value = 0
                shown = 0
                for _ in range(3 * period):
                    await cycles.wait(1)
                    assert block.get("led") in (0, 1 << light)
                    shown += block.get("led") != 0
                assert period <= shown <= 2 * period, f"{block.name}: shown for {shown} cycles"
