"""What the controller refuses, in one sentence, and what it derives from an accelerator."""

import dataclasses
from typing import Any

import pytest

from exeunt.errors import InputError
from exeunt.graph import Accelerator, Dataflow, Integer, Stream
from exeunt.hls.back.stitch_core import CoreDescription, ExitDescription, describe, render_core
from exeunt.kernels.mvu import Mvu

EXIT = ExitDescription(
    segment_width=16, segment_words=9, logits_lanes=5, logits_bits=14, buffer_depth=36
)
CORE = CoreDescription("net", 8, 64, 10, (EXIT, EXIT))


def head(name: str, stream: Stream, logits: Stream) -> Dataflow:
    node = Mvu(name + "_fc", stream, logits, accumulator=logits.dtype)
    return Dataflow(name, stream, (node,), (2,))


def accelerator(logits: Integer = Integer(14, signed=True)) -> Accelerator:  # noqa: B008 - frozen
    image = Stream((8, 8, 1), Integer(8), 1)
    inner = Stream((4, 4, 2), Integer(4), 2)
    answer = Stream((1, 1, 10), logits, 5)
    seg0 = Dataflow("seg0", image, (Mvu("a", image, inner, accumulator=inner.dtype),), (4,))
    seg1 = Dataflow("seg1", inner, (Mvu("b", inner, inner, accumulator=inner.dtype),), (0,))
    return Accelerator(
        "net",
        (seg0, seg1),
        (head("head0", inner, answer), head("head1", inner, answer)),
        (1.0, 1.0),
        {},
    )


def test_thresholds_follow_only_where_asked_for() -> None:
    plain, holds = describe(accelerator()), describe(accelerator(), holds=True)
    assert plain.held == 0
    assert "ex_hold" not in plain.modules
    assert "hold_rdata" not in render_core(plain)
    assert holds.held == 16  # margins of logits of 14 bits have 15
    assert "ex_hold" in holds.modules
    text = render_core(holds)
    assert ".HELD(16)" in text
    assert ".held(held[0 +: 16])" in text
    assert text.count(".held(1'b0)") == 1  # the last exit's
    assert "assign reg_rdata = base_rdata | hold_rdata;" in text


def test_describe() -> None:
    found = describe(accelerator(), buffer_frames=3, in_flight=8, hash_word=7)
    assert (found.input_width, found.input_words, found.classes) == (8, 64, 10)
    assert (found.in_flight, found.hash) == (8, 7)
    first, last = found.exits
    assert (first.segment_width, first.segment_words, first.buffer_depth) == (8, 16, 48)
    assert (first.logits_lanes, first.logits_bits) == (5, 14)
    assert first.segment_depth == 0  # its last FIFO is the register
    assert last.segment_depth == 2
    assert "seg1 u_seg1" in render_core(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"in_flight": 12},
            "compile.in_flight must be a power of two from 2 to 1024, got 12; use 16",
        ),
        ({"exits": ()}, "an accelerator has 1 to 8 exits, net has 0; change their number"),
        ({"exits": (EXIT,) * 9}, "an accelerator has 1 to 8 exits, net has 9; change their number"),
        (
            {"classes": 1},
            "an exit needs 2 to 65536 classes, net has 1; change the last linear layer",
        ),
        (
            {"exits": (EXIT, dataclasses.replace(EXIT, logits_bits=32))},
            "the logits of exit 1 must have 2 to 31 bits, they have 32; use fewer weight or "
            "activation bits in its head",
        ),
        (
            {"exits": (dataclasses.replace(EXIT, buffer_depth=8), EXIT)},
            "the frame buffer of exit 0 must hold a frame of 9 words, its depth is 8; raise "
            "compile.buffer_frames to 1 or more",
        ),
        (
            {"exits": (EXIT,), "holds": True},
            "what holds a rate must have an exit before the last, net has one exit: leave "
            "compile.hold out",
        ),
        (
            {"criterion": "exclusion", "holds": True},
            "what holds a rate must go with a criterion whose frames carry nothing that depends on "
            'thresholds, got "exclusion": leave compile.hold out',
        ),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        dataclasses.replace(CORE, **change)
    assert str(caught.value) == message


def test_unsigned_logits_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        describe(accelerator(Integer(9)))
    assert str(caught.value) == (
        "logits must be signed integers, those of head0 are unsigned 9 bits wide; end the head "
        "with a linear layer"
    )
