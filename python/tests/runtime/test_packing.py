"""Packing of images against the general packing of streams, and what it costs."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exeunt import graph, manifest, packing
from exeunt.errors import InputError
from exeunt.runtime import Accelerator
from exeunt.runtime import packing as fast


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 4), size=st.integers(1, 5), bits=st.integers(1, 8),
    lanes=st.integers(1, 21), folds=st.integers(1, 3), signed=st.booleans(),
    spare=st.integers(0, 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_as_streams_are_packed(count, size, bits, lanes, folds, signed, spare, seed):
    kind = graph.Integer(bits, signed=signed)
    stream = graph.Stream((size, 2, lanes * folds), kind, lanes)
    values = np.random.default_rng(seed).integers(
        kind.min, kind.max + 1, (count, *stream.shape), dtype=np.int64
    )
    want = packing.pack(stream, values)
    entry = manifest.stream_entry(stream)
    images = values.astype(np.int8 if signed else np.uint8)
    got = fast.pack(entry, images, want.shape[1] + spare).reshape(-1, want.shape[1] + spare)
    assert np.array_equal(got[:, : want.shape[1]], want)
    assert not got[:, want.shape[1] :].any()
    assert np.array_equal(fast.pack(entry, images).reshape(want.shape), want)


@pytest.mark.parametrize(("lanes", "bits"), [(8, 5), (3, 4), (12, 3), (1, 7)])
def test_large_images_in_parts(lanes, bits):
    stream = graph.Stream((40, 40, 24 if lanes > 1 else 1), graph.Integer(bits), lanes)
    values = np.random.default_rng(0).integers(0, 1 << bits, (8, *stream.shape))
    want = packing.pack(stream, values)
    got = fast.pack(manifest.stream_entry(stream), values.astype(np.uint8))
    assert np.array_equal(got.reshape(want.shape), want)


def test_bytes_are_not_copied():
    stream = graph.Stream((4, 4, 6), graph.Integer(8), 3)
    images = np.zeros((5, 4, 4, 6), np.uint8)
    got = fast.pack(manifest.stream_entry(stream), images)
    assert np.shares_memory(got, images)
    assert got.shape == (5, 96)


def test_images_of_another_layout():
    stream = graph.Stream((4, 4, 2), graph.Integer(8), 2)
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 4, 4), dtype=np.uint8)
    swapped = images.transpose(0, 2, 3, 1)
    got = fast.pack(manifest.stream_entry(stream), swapped)
    assert np.array_equal(got, swapped.reshape(5, -1))


def test_wide_elements_are_refused():
    stream = graph.Stream((2, 2, 1), graph.Integer(9), 1)
    with pytest.raises(InputError) as caught:
        fast.pack(manifest.stream_entry(stream), np.zeros((1, 2, 2, 1), np.uint8))
    assert str(caught.value) == (
        "The accelerator's input must have elements of at most 8 bits for this driver and has 9; "
        "compile the network with an 8-bit input."
    )


@pytest.mark.bench
@pytest.mark.parametrize(
    ("name", "shape", "lanes"),
    [("digits", (8, 8, 1), 1), ("mnist", (28, 28, 1), 1), ("cifar10", (32, 32, 3), 3)],
)
@pytest.mark.parametrize("transfers", [1, 16])
def test_a_thousand_images_cost_less_than_five_milliseconds(null, name, shape, lanes, transfers):
    """Packing, splitting, checking, ordering; what the transport does is taken off."""
    data = null.manifest(shape, lanes=lanes)
    transport = null.Null(data)
    images = np.random.default_rng(0).integers(0, 256, (1000, *shape), dtype=np.uint8)
    took = []
    with Accelerator(data, transport) as device:
        device.batch = -(-1000 // transfers)
        for _ in range(20):
            transport.seconds = 0.0
            started = time.process_time()
            device.classify(images)
            took.append(time.process_time() - started - transport.seconds)
    middle = float(np.median(took)) * 1e3
    print(f"{name}: {middle:.2f} ms for 1,000 images in {transfers} transfers")
    assert middle < 5.0
