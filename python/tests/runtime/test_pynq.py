"""The PYNQ transport over a board that behaves as PYNQ and the DMA do."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from exeunt.errors import InputError, ToolError
from exeunt.runtime import Accelerator, DeviceFault, DeviceTimeout
from exeunt.runtime.pynq import Pynq

MEMORY_BASE = 0x1000_0000

pytestmark = pytest.mark.sim


@pytest.fixture
def transport(small, board):
    made = Pynq(small.folder, board.bitstream)
    yield made
    made.close()


@pytest.fixture
def device(small, transport):
    with Accelerator(small.folder, transport) as found:
        yield found


def test_answers(small, board, device):
    assert board.loaded == [str(board.bitstream)]
    assert device.unit == "s"
    small.agree(device.classify(small.images))
    device.batch = 40
    for _ in range(2):
        small.agree(device.classify(small.images))
    one = device.classify_one(small.images[3])
    assert one.class_ == small.want().classes[3]
    assert np.array_equal(device.logits(small.images[:5], exit=1), small.logits[1][:5])
    got = list(device.stream(iter(small.images), batch=16))
    assert [a.class_ for a in got] == small.want().classes.tolist()
    assert board.board.dirty == 0
    assert ("receive", 16 * 120) in board.board.transfers
    assert ("send", 64 * 120) in board.board.transfers


def test_buffers_are_kept(small, board, device):
    device.classify(small.images)
    device.classify(small.images)
    used = board.board.free
    for _ in range(4):
        device.classify(small.images)
        device.classify(small.images[:7])
    assert board.board.free == used


def test_a_stuck_output_ends_in_a_sentence(small, board, device):
    device.batch = 60
    board.board.device.hold(output=10**9)
    with pytest.raises(DeviceTimeout) as caught:
        device.classify(small.images, timeout=0.2)
    text = str(caught.value)
    assert re.match(
        r"The accelerator sample must answer and did not: the DMA's 3840 bytes were not taken in "
        r"within 0\.2 s, 60 of 60 results missing \(images 0, 1, 2, 3 and more, ids from 0\) "
        r"\(\d+ frames in flight; bad 0, cycles \d+, frames_in \d+, frames_out 0, stall \d+, ",
        text,
    )
    assert text.endswith(
        "; the device was reset and is ready, 0 answers are in the error's `answered`."
    )
    board.board.device.hold()
    small.agree(device.classify(small.images))


def test_a_result_that_nobody_takes(small, board, device):
    """It stays on offer, as AXI demands, so the reset cannot end; once it is taken it can."""
    board.board.deaf = True
    board.board.device.hold(output=10**9)
    with pytest.raises(DeviceTimeout) as caught:
        device.classify(small.images[:9], timeout=0.2)
    assert str(caught.value).endswith(
        "; a reset did not help (The accelerator sample must come back from a reset and does not: "
        "its soft reset must end within 1.00001 s and does not, as it does while nobody takes the "
        "result that is on its output; power-cycle the board or load the bitstream again), 0 "
        "answers are in the error's `answered`."
    )
    board.board.deaf = False
    small.agree(device.classify(small.images))  # the next call tries again


def test_what_arrived_is_kept(small, board, device):
    board.board.device.disturb(0, 0, after=0)  # nothing
    board.board.cut = 64 * 30 + 20
    with pytest.raises(DeviceTimeout, match="results stay out after waiting") as caught:
        device.classify(small.images, timeout=0.3)
    found = caught.value
    assert found.indices.tolist() == list(range(30))
    small.agree(found.answered, images=slice(30))
    small.agree(device.classify(small.images))


@pytest.mark.parametrize(("block", "side"), [(0x00, "send"), (0x30, "receive")])
@pytest.mark.parametrize(("bit", "kind"), [(0x10, "internal"), (0x20, "slave"), (0x40, "decode")])
def test_an_error_of_the_dma(small, board, device, block, side, bit, kind):
    board.board.device.hold(output=10**9)
    plain = board.board.tick

    def failing() -> None:
        plain()
        if board.board.busy[block]:
            board.board.fail(block, bit)

    board.board.tick = failing
    device.batch = 60
    with pytest.raises(DeviceFault) as caught:
        device.classify(small.images, timeout=0.5)
    assert f"the DMA stopped: {side} channel with error {kind}, status 0x" in str(caught.value)
    board.board.tick = plain
    board.board.device.hold()
    small.agree(device.classify(small.images))


def test_tlast_too_early(small, board, device):
    board.board.device.disturb(0x1C, 5, after=5000)  # somebody else sets a batch of five
    with pytest.raises(DeviceFault, match="TLAST came after") as caught:
        device.classify(small.images, timeout=0.5)
    small.agree(caught.value.answered, images=caught.value.indices)
    small.agree(device.classify(small.images))


def test_a_dma_that_stays_in_reset(small, board, transport):
    device = Accelerator(small.folder, transport)
    board.board.stuck_in_reset = True
    with pytest.raises(DeviceFault) as caught:
        device.reset()
    assert str(caught.value) == (
        "The accelerator sample must come back from a reset and does not: the DMA does not come "
        "out of its reset in 0.5 s; power-cycle the board or load the bitstream again."
    )
    board.board.stuck_in_reset = False
    small.agree(device.classify(small.images))  # the next call tries again


def test_memory_runs_out(small, board, device):
    board.board.free = board.board.memory.size
    with pytest.raises(DeviceFault, match="8192 bytes of contiguous memory and gave none"):
        device.classify(small.images)


HIGH = 0x8_0000_0000


def test_small_buffers_stay_low(small, board, device):
    """XRT puts buffers of up to 4 kB above 4 GB, and an image of 64 bytes is one (PYNQ 1500)."""
    board.board.small = HIGH
    assert device.classify_one(small.images[3]).class_ == small.want().classes[3]
    small.agree(device.classify(small.images[:9]), images=slice(9))
    assert ("send", 64) in board.board.transfers


@pytest.mark.parametrize("bits", [None, "32", "36"])
@pytest.mark.parametrize("below", [0, 4096])
def test_buffers_out_of_the_reach_of_the_dma(small, board, bits, below):
    """Wholly, or with their end alone."""
    if bits:
        board.parameters = {"parameters": {"c_addr_width": bits}}
    bits = int(bits or 32)
    board.board.base = (1 << bits) - below
    with Accelerator(small.folder, Pynq(small.folder, board.bitstream)) as device:
        with pytest.raises(DeviceFault) as caught:
            device.classify(small.images[:5])
        assert (
            f"did not: the DMA's addresses have {bits} bits and the buffer of 8192 bytes that PYNQ "
            f"gave is at {(1 << bits) - below:#x}, out of its reach; keep the kernel's contiguous "
            "memory low (boot argument cma=256M@0-2G), or build an overlay with larger "
            "`address_bits`, 5 of 5 results missing"
        ) in str(caught.value)
        assert not board.board.transfers
        board.board.base = MEMORY_BASE
        small.agree(device.classify(small.images[:5]), images=slice(5))


def test_the_last_buffer_that_the_dma_reaches(small, board):
    board.parameters = {"parameters": {"c_addr_width": "36"}}
    board.board.base = (1 << 36) - 8192
    transport = Pynq(small.folder, board.bitstream)
    transport._buffer([None], 0, 64)
    transport.close()


def test_the_board_is_in_use(small, board, transport):
    with pytest.raises(InputError) as caught:
        Pynq(small.folder, board.bitstream)
    assert str(caught.value).startswith("The board must be free and process ")
    transport.close()
    transport.close()
    Pynq(small.folder, board.bitstream).close()
    with pytest.raises(InputError, match="must be open to be used and was closed"):
        transport.read(0)


def test_another_bitstream(small, board, transport):
    data = {**small.manifest.data, "design_hash": 0x12345678}
    with pytest.raises(InputError) as caught:
        Accelerator(data, transport)
    assert str(caught.value) == (
        "The bitstream must be the one of this manifest, hash 0x12345678, and its hash register "
        f"reads {small.manifest.data['design_hash']:#010x}; load the bitstream that was made from "
        "the same run folder."
    )


def test_no_board_no_file_no_block(small, board):
    with pytest.raises(InputError, match="needs a bitstream or an overlay and got neither"):
        Pynq(small.folder)
    board.bitstream.with_suffix(".hwh").unlink()
    with pytest.raises(InputError, match=r"exeunt\.hwh must be there to load the overlay"):
        Pynq(small.folder, board.bitstream)
    board.bitstream.with_suffix(".hwh").touch()
    with pytest.raises(InputError, match="must have a block other and has dma_0, exeunt_0"):
        Pynq(small.folder, board.bitstream, core="other")
    with pytest.raises(InputError, match="must carry a frame of 64 bytes and its result"):
        Pynq(small.folder, board.bitstream, capacity=60)
    board.device = False
    with pytest.raises(ToolError) as caught:
        Pynq(small.folder, board.bitstream)
    assert str(caught.value) == (
        "PYNQ must load exeunt.bit and did not (No Devices Found); run this on the board, as root."
    )


def test_no_pynq(small):
    code = (
        "import sys; sys.modules['pynq'] = None\n"
        "from exeunt.runtime.pynq import Pynq\n"
        f"Pynq({str(small.folder)!r}, 'x.bit')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.endswith(
        "The PYNQ transport needs the package pynq and found none; run it on a PYNQ image, or use "
        "the simulated device.\n"
    )
