"""Heat maps of a board that behaves as PYNQ and the DMAs do."""

from __future__ import annotations

import json

import pytest

from exeunt.errors import InputError
from exeunt.runtime import Accelerator, DeviceFault, DeviceTimeout
from exeunt.runtime.pynq import Pynq

pytestmark = pytest.mark.sim


@pytest.fixture
def device(explained, mapping_board):
    transport = Pynq(explained.folder, mapping_board.bitstream)
    with Accelerator(explained.folder, transport) as found:
        yield found


def test_maps(explained, mapping_board, device):
    images = explained.images[:20]
    for method in ("saliency", "grad-cam"):
        got = device.explain(images, method=method)
        explained.agree(got, slice(20))
        assert sorted(got.maps) == list(range(20))
    got = device.classify(images, explain=[3, 4, 19])
    explained.agree(got, slice(20))
    assert sorted(got.maps) == [3, 4, 19]
    plain = device.classify(images)
    explained.agree(plain, slice(20))
    board = mapping_board.board
    longest = device._device.description.explains.packet_bytes
    assert {size for kind, size in board.transfers if kind == "map"} == {longest}
    assert board.dirty == 0
    used = board.free
    device.explain(images)
    assert board.free == used  # the buffer is kept


def test_a_board_that_takes_no_maps(explained, mapping_board, device):
    mapping_board.board.device.hold(maps=10**9)
    images = explained.images[:9]
    with pytest.raises(DeviceTimeout) as caught:
        device.classify(images, explain="all", timeout=0.3)
    assert "a heat map must come within 0.3 s and none did, with" in str(caught.value)
    explained.agree(caught.value.answered, slice(9))
    mapping_board.board.device.hold()
    explained.agree(device.explain(images), slice(9))


@pytest.mark.parametrize(("bit", "kind"), [(0x10, "internal"), (0x20, "slave"), (0x40, "decode")])
def test_an_error_of_the_dma(explained, mapping_board, device, bit, kind):
    board, images = mapping_board.board, explained.images[:5]
    plain = board.tick

    def failing() -> None:
        plain()
        if board.map_busy and board.device.progress[2]:
            board.fail_maps(bit)

    board.tick = failing
    with pytest.raises(DeviceFault) as caught:
        device.explain(images)
    assert f"the DMA of heat maps stopped: error {kind}, status 0x" in str(caught.value)
    board.tick = plain
    explained.agree(device.explain(images), slice(5))


def test_a_packet_that_is_too_long(explained, mapping_board, device):
    """Of another design, say: the DMA stops, and nothing is taken for a map."""
    device._device.transport._map_bytes = 24
    device.reset()
    with pytest.raises(DeviceFault) as caught:
        device.explain(explained.images[:4])
    assert "as it does when a packet is longer than the 24 bytes of the longest map" in (
        str(caught.value)
    )


def test_an_overlay_without_the_second_dma(explained, board):
    with pytest.raises(InputError) as caught:
        Pynq(explained.folder, board.bitstream)
    assert str(caught.value) == (
        "The overlay must have a block maps_0 and has dma_0, exeunt_0; load the overlay that "
        "`exeunt bitstream` made."
    )


def test_a_second_dma_that_cannot_receive(explained, mapping_board, monkeypatch):
    plain = mapping_board.Overlay

    def overlay(path: str):
        found = plain(path)
        del found.maps_0.recvchannel
        return found

    monkeypatch.setattr(mapping_board, "Overlay", overlay)
    with pytest.raises(InputError, match="The DMA maps_0 must have a receive channel for heat"):
        Pynq(explained.folder, mapping_board.bitstream)


def test_the_manifest_says_how_long_a_map_may_be(explained):
    data = json.loads((explained.folder / "manifest.json").read_text())["explain"]
    assert set(data) >= {"methods", "slots", "asked", "every", "bits", "code", "maps", "cycles"}
