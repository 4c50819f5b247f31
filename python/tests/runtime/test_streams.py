"""Streams: in the order of the images, as they were when they were yielded, nothing lost."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.runtime import Accelerator, DeviceError, DeviceTimeout


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)


def classes(images: np.ndarray) -> list[int]:
    """What the device without a device says of them."""
    return (images.reshape(len(images), -1)[:, 0] % 10).tolist()


def check(got, images) -> None:
    assert got.classes.tolist() == classes(images)


@pytest.fixture
def transport(null):
    return null.Null(null.manifest())


@pytest.fixture
def device(null, transport):
    with Accelerator(null.manifest(), transport) as found:
        yield found


def test_stream_of_images_and_of_batches(device, transport):
    images = pictures(100)
    items = [images[0], images[1:40], images[40], images[41:41], images[41:]]
    got = list(device.stream(items, batch=16))
    assert [a.image for a in got] == list(range(100))
    assert [a.class_ for a in got] == (images[:, 0, 0, 0] % 10).tolist()
    assert max(transport.submits) <= 16
    assert list(device.stream([])) == []


def test_a_slow_producer_gets_its_answers_at_once(device):
    images = pictures(4)
    go = threading.Semaphore(1)

    def produce():
        for image in images:
            assert go.acquire(timeout=10)  # the next image comes when the answer is there
            yield image

    for count, answer in enumerate(device.stream(produce(), batch=64)):
        assert answer.image == count
        go.release()


def test_endless_input_ends_with_close(device, transport):
    taken = []

    def produce():
        while True:
            taken.append(1)
            yield pictures(1)[0]

    stream = device.stream(produce(), batch=8)
    for _ in range(50):
        next(stream)
    assert len(taken) <= 50 + 2 * 8 + 2 * 8 * 2 + 2  # bounded: the queue and what is under way
    stream.close()
    for thread in threading.enumerate():
        if thread.name == "exeunt-producer":
            thread.join(60.0)
            assert not thread.is_alive()
    count = len(taken)
    time.sleep(0.1)
    assert len(taken) == count
    assert not transport.pending
    check(device.classify(pictures(9)), pictures(9))


def test_what_the_producer_raises(device):
    def produce():
        yield from pictures(5)
        raise OSError("the camera is gone")

    got = []
    with pytest.raises(OSError, match="the camera is gone"):
        got.extend(device.stream(produce(), batch=2))
    assert [a.image for a in got] == list(range(5))
    check(device.classify(pictures(9)), pictures(9))


def test_thresholds_of_a_stream_that_is_open(device):
    stream = device.stream(iter(pictures(40)), batch=4)
    next(stream)
    device.thresholds = [1, 2, None]
    device.order = "input"
    assert [a.image for a in stream] == list(range(1, 40))
    assert device.thresholds == (1, 2, None)


def test_a_stream_that_fails(device, transport, null):
    stream = device.stream(iter(pictures(40)), batch=8)
    next(stream)
    transport.fault = null.broken("the DMA stopped")
    got = []
    with pytest.raises(DeviceError, match="the DMA stopped") as caught:
        got.extend(stream)
    images = [a.image for a in got]
    assert images == list(range(1, 1 + len(got)))
    assert not set(images) & set(caught.value.indices.tolist())
    check(device.classify(pictures(9)), pictures(9))


def test_settings_that_fail_leave_the_stream_its_answers(device, transport):
    stream = device.stream(iter(pictures(400)), batch=4)
    next(stream)
    transport.commit_takes = 1 << 60
    with pytest.raises(DeviceTimeout):
        device.thresholds = [1, 2, None]
    transport.commit_takes = 0
    assert [a.image for a in stream] == list(range(1, 400))
    check(device.classify(pictures(9)), pictures(9))


# ---------------------------------------------------------------------- whose array it is


def camera(images):
    """As OpenCV's read(buffer): every frame in the same array."""
    frame = np.zeros(images.shape[1:], np.uint8)
    for image in images:
        frame[:] = image
        yield frame


def ring(images):
    """Views of one buffer of five frames."""
    buffer = np.zeros((5, *images.shape[1:]), np.uint8)
    for i, image in enumerate(images):
        buffer[i % 5] = image
        yield buffer[i % 5]


def groups(images):
    """Three frames at a time, in one array."""
    buffer = np.zeros((3, *images.shape[1:]), np.uint8)
    for at in range(0, len(images), 3):
        part = images[at : at + 3]
        buffer[: len(part)] = part
        yield buffer[: len(part)]


def strided(images):
    """Every second column of one wider array."""
    wide = np.zeros((4, 8, 1), np.uint8)
    for image in images:
        wide[:, ::2] = image
        yield wide[:, ::2]


def lists(images):
    """Lists of arrays, one list for all."""
    given: list = [None, None]
    for at in range(0, len(images), 2):
        given[:] = [image.copy() for image in images[at : at + 2]]
        yield given


@pytest.mark.parametrize("source", [camera, ring, groups, strided, lists])
@pytest.mark.parametrize("batch", [1, 16])
def test_frames_are_answered_as_they_were_yielded(device, source, batch):
    images = pictures(60)
    got = list(device.stream(source(images), batch=batch))
    assert [a.image for a in got] == list(range(60))
    assert [a.class_ for a in got] == classes(images)


@pytest.mark.parametrize("batch", [1, 7])
def test_images_are_copied_before_classify_waits(device, transport, batch):
    """Whoever changes the array meanwhile changes no answer."""
    images = pictures(40)
    want = classes(images)
    plain = transport.submit

    def submit(*arguments):
        images[:] = 0
        plain(*arguments)

    transport.submit = submit
    device.batch = batch
    assert device.classify(images).classes.tolist() == want


def test_images_of_any_layout(device):
    images = pictures(30)
    mirrored = images[:, ::-1, ::-1]
    turned = images.transpose(0, 2, 1, 3)
    want = device.classify(np.ascontiguousarray(turned)).classes
    check(device.classify(mirrored), np.ascontiguousarray(mirrored))
    assert np.array_equal(device.classify(turned).classes, want)
    check(device.classify(images[::3]), images[::3])
    check(device.classify(list(images)), images)
    check(device.classify(np.asfortranarray(images)), images)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("batch", [0, -1, 2.5, 4.0, "8", None, True])
def test_a_batch_that_cannot_be(device, batch):
    """At the call, not when the first answer is asked for."""
    with pytest.raises(InputError) as caught:
        device.stream(iter(pictures(4)), batch=batch)
    assert str(caught.value) == (
        f"batch must be a whole number of images from 1 on, got {batch!r}; leave it out to send up "
        "to 64 images a transfer."
    )
    assert len(list(device.stream(iter(pictures(4)), batch=np.int64(3)))) == 4


@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", True])
def test_a_timeout_that_cannot_be(device, timeout):
    for use in (device.classify, device.classify_one, device.stream):
        with pytest.raises(InputError) as caught:
            use(pictures(4) if use != device.classify_one else pictures(1)[0], timeout=timeout)
        assert str(caught.value) == (
            f"timeout must be a number from 0 on, or None to have it estimated, got {timeout!r}; "
            "it is in the accelerator's `unit`."
        )
    with pytest.raises(InputError, match="timeout must be a number from 0 on"):
        device.logits(pictures(1), 0, timeout=timeout)


def test_what_is_no_stream(device):
    with pytest.raises(InputError) as caught:
        device.stream(5)
    assert str(caught.value) == (
        "the images of a stream must be something to go through, such as a generator, got int; use "
        "classify_one for a single image."
    )


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            np.zeros((3, 3, 1), np.uint8),
            "image 11 of the stream must have the shape (4, 4, 1), or (N, 4, 4, 1) for several, "
            "got (3, 3, 1); yield whole images.",
        ),
        (
            np.zeros((2, 4, 4, 3), np.uint8),
            "image 11 of the stream must have the shape (4, 4, 1), or (N, 4, 4, 1) for several, "
            "got (2, 4, 4, 3); yield whole images.",
        ),
        (
            np.zeros((4, 4, 1), np.float32),
            "image 11 of the stream must be uint8 as the network was trained on, got float32; give "
            "the integers of its training data, not divided by 255.",
        ),
        (
            np.zeros((4, 4, 1), np.int32),
            "image 11 of the stream must be uint8 as the network was trained on, got int32; "
            "convert them as its training data was.",
        ),
        (
            None,
            "image 11 of the stream must have the shape (4, 4, 1), or (N, 4, 4, 1) for several, "
            "got (); yield whole images.",
        ),
    ],
)
@pytest.mark.parametrize("batch", [1, 4, 64])
def test_a_frame_that_does_not_fit_loses_none_before_it(device, wrong, sentence, batch):
    images = pictures(20)

    def produce():
        yield images[0]
        yield images[1:11]
        yield wrong
        yield images[11]

    got = []
    with pytest.raises(InputError) as caught:
        got.extend(device.stream(produce(), batch=batch))
    assert str(caught.value) == sentence
    assert [a.class_ for a in got] == classes(images[:11])
    check(device.classify(images), images)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_fractions_are_refused_at_every_entrance(device, kind):
    """Images divided by 255, as other tools want them."""
    images = (pictures(3) / 255).astype(kind)
    uses = {
        "images": (lambda: device.classify(images), lambda: device.logits(images, 0)),
        "image": (lambda: device.classify_one(images[0]),),
        "image 0 of the stream": (
            lambda: list(device.stream(images)),
            lambda: list(device.stream(iter([images]))),
        ),
    }
    for name, calls in uses.items():
        for call in calls:
            with pytest.raises(InputError) as caught:
                call()
            assert str(caught.value) == (
                f"{name} must be uint8 as the network was trained on, got {np.dtype(kind)}; give "
                "the integers of its training data, not divided by 255."
            )


def test_one_image_of_another_shape(device):
    with pytest.raises(InputError) as caught:
        device.classify_one(pictures(2))
    assert str(caught.value) == (
        "image must have the shape (4, 4, 1), got (2, 4, 4, 1); use classify for several images."
    )
