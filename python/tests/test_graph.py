"""The graph of kernels: what a Dataflow refuses, how two are joined, and its way through JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from exeunt import packing, samples
from exeunt.graph import ENTRY, Dataflow, Integer, Stream, from_json, to_json
from exeunt.kernels import registry
from exeunt.kernels.add import Add
from exeunt.kernels.concat import Concat
from exeunt.kernels.duplicate import Duplicate
from exeunt.kernels.width import Width
from exeunt.reference import network

STREAM = Stream((1, 3, 4), Integer(4), 2)
SUM = Stream((1, 3, 4), Integer(5), 2)
COPY, SAME = Duplicate("copy", STREAM, STREAM), Width("same", STREAM, STREAM)
ADD = Add("add", STREAM, SUM, other=STREAM)
TWICE: Any = {"nodes": (COPY, SAME, ADD), "fifos": (2, 3, 4, 5)}


def test_streams_have_the_numbers_in_which_they_are_given() -> None:
    found = Dataflow("seg0", STREAM, **TWICE, reads=((ENTRY,), (0,), (2, 1)))
    assert found.first_streams == (0, 2, 3)
    assert found.streams == (STREAM, STREAM, STREAM, SUM)
    assert found.output == SUM


def test_without_reads_kernels_stand_in_a_row() -> None:
    found = Dataflow("seg0", STREAM, (SAME, Width("again", STREAM, STREAM)), (2, 2))
    assert found.reads == ((ENTRY,), (0,))
    empty = Dataflow("seg0", STREAM, ())
    assert (empty.output, empty.streams, empty.reads) == (STREAM, (), ())


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        (((ENTRY,), (0,), (2, 2)), "add reads stream 2, as another does"),
        (((ENTRY,), (ENTRY,), (2, 1)), "same reads stream -1, as another does"),
        (((ENTRY,), (2,), (0, 1)), "same reads stream 2, which is not there yet"),
        (((ENTRY,), (3,), (0, 1)), "same reads stream 3, which is not there yet"),
    ],
)
def test_a_stream_has_one_reader_behind_it(reads: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        Dataflow("seg0", STREAM, **TWICE, reads=reads)


def test_only_the_last_stream_leaves() -> None:
    with pytest.raises(AssertionError, match=r"seg0: streams \[1, 2\] have no reader"):
        Dataflow("seg0", STREAM, (COPY, SAME), (2, 2, 2), ((ENTRY,), (0,)))
    with pytest.raises(AssertionError, match=r"seg0: streams \[0, 1\] have no reader"):
        Dataflow("seg0", STREAM, (COPY,), (2, 2), ((ENTRY,),))


def test_a_stream_must_carry_what_its_reader_takes() -> None:
    narrow = Width("narrow", STREAM, Stream((1, 3, 4), Integer(4), 1))
    with pytest.raises(
        AssertionError, match=r"same reads Stream.*lanes=1.*, needs Stream.*lanes=2"
    ):
        Dataflow("seg0", STREAM, (narrow, SAME), (2, 2))
    wide = Add("add", STREAM, SUM, other=SUM)
    with pytest.raises(AssertionError, match=r"add reads Stream.*bits=4.*, needs Stream.*bits=5"):
        Dataflow("seg0", STREAM, (COPY, wide), (2, 2, 2), ((ENTRY,), (0, 1)))


def test_each_kernel_reads_as_many_streams_as_it_takes() -> None:
    with pytest.raises(ValueError, match="argument"):
        Dataflow("seg0", STREAM, (COPY, ADD), (2, 2, 2), ((ENTRY,), (0,)))


def test_one_behind_the_other_moves_the_numbers() -> None:
    first = Dataflow("seg0", STREAM, **TWICE, reads=((ENTRY,), (0,), (2, 1)))
    copy = Duplicate("copy1", SUM, SUM)
    both = Concat("both", SUM, Stream((1, 3, 8), Integer(5), 2), other=SUM)
    second = Dataflow("head0", SUM, (copy, both), (6, 7, 8), ((ENTRY,), (1, 0)))
    whole = first.then(second)
    assert whole.nodes == (COPY, SAME, ADD, copy, both)
    assert whole.reads == ((ENTRY,), (0,), (2, 1), (3,), (5, 4))
    assert whole.fifos == (2, 3, 4, 5, 6, 7, 8)
    assert (whole.name, whole.input, whole.output) == ("seg0", STREAM, second.output)
    empty = Dataflow("seg1", STREAM, ())
    assert empty.then(first).reads == first.reads
    assert first.then(Dataflow("head0", SUM, ())).reads == first.reads


def test_a_graph_comes_back_from_json() -> None:
    whole = samples.residual()
    text = json.dumps(to_json(whole))
    again = from_json(json.loads(text), whole.arrays, registry.nodes())
    assert again == whole
    assert any(len(sources) > 1 for chain in again.chains for sources in chain.reads)
    images = samples.images(3, channels=2)
    for mine, theirs in zip(_logits(again, images), _logits(whole, images), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_graph_stored_without_reads_is_a_row() -> None:
    whole = samples.accelerator()
    data = to_json(whole)
    for chain in (*data["segments"], *data["heads"]):
        del chain["reads"]
    assert from_json(data, whole.arrays, registry.nodes()) == whole


def _logits(whole: Any, images: Any) -> Any:
    return network.run(whole, images).logits


@pytest.mark.parametrize("low", range(-9, 18))
def test_the_narrowest_type_for_a_range(low: int) -> None:
    for high in range(low, 18):
        found = Integer.covering(low, high)
        assert found.min <= low <= high <= found.max
        narrower = Integer(found.bits - 1, found.signed)
        assert found.bits == 1 or narrower.min > low or narrower.max < high


def test_no_frames_are_no_words():
    stream = Stream((2, 2, 4), Integer(8), 2)
    words = packing.pack(stream, np.zeros((0, 2, 2, 4), np.int64))
    assert words.shape == (0, 2)
    assert packing.unpack(stream, words).shape == (0, 2, 2, 4)
