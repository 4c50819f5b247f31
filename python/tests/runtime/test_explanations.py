"""The driver's heat maps without a device: which come, whose they are, and every sentence."""

from __future__ import annotations

import re

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.registers import ALWAYS
from exeunt.runtime import Accelerator, DeviceError, DeviceFault, DeviceTimeout
from exeunt.runtime.transport import TransferFault

RESET = "the device was reset and is ready"


def pictures(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng((count, seed))
    return rng.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)


@pytest.fixture
def data(mapping):
    return mapping.manifest()


@pytest.fixture
def transport(mapping, data):
    return mapping.Mapping(data)


@pytest.fixture
def device(data, transport):
    with Accelerator(data, transport) as found:
        yield found


@pytest.fixture
def agree(mapping):
    """Every answer is right, and every map that came is that of its image."""

    def check(got, images, method="saliency") -> None:
        flat = images.reshape(len(images), 16)
        assert np.array_equal(got.classes, flat[:, 0] % 10)
        assert np.array_equal(got.exits, flat[:, 1] % 3)
        assert np.array_equal(got.scores, flat[:, 2])
        for image, found in got.maps.items():
            answer = got[image]
            assert answer.map is found
            want = mapping.expected(answer.id, answer.class_, answer.exit, method)
            assert np.array_equal(found.values, want.values)
            assert (found.id, found.exit, found.class_) == (want.id, want.exit, want.class_)
            assert found.method == method

    return check


# --- what comes


def test_every_image_is_explained(device, transport, agree):
    images = pictures(20)
    got = device.explain(images)
    agree(got, images)
    assert sorted(got.maps) == list(range(20))
    assert got.missed == 0
    assert transport.submits == [20]
    assert transport.used_most == 3  # as many as there are slots
    assert transport.state["explain_every"] == 0
    again = device.explain(images[:5], method="grad-cam")
    agree(again, images[:5], "grad-cam")
    assert sorted(again.maps) == list(range(5))
    assert len(device.explain(images[:0]).maps) == 0


def test_maps_beside_the_answers(device, transport, agree):
    images = pictures(50)
    got = device.classify(images, explain="all")
    agree(got, images)
    assert len(got.maps) == 3  # the others found no slot, since inference does not wait
    assert got.missed == 47
    waited = device.classify(images, explain="all", wait=True)
    agree(waited, images)
    assert (len(waited.maps), waited.missed) == (50, 0)
    got = device.classify(images, explain=20)
    agree(got, images)
    assert sorted(got.maps) == [19, 39]
    assert got.missed == 0
    plain = device.classify(images)
    agree(plain, images)
    assert (dict(plain.maps), plain.missed) == ({}, 0)
    assert plain[3].map is None
    assert transport.submits == [50] * 4


def test_images_by_their_numbers(device, transport, agree):
    images = pictures(40)
    mask = np.zeros(40, bool)
    mask[[0, 1, 5, 6, 7, 39]] = True
    for asked in ([39, 0, 7, 1, 6, 5, 5], np.array([0, 1, 5, 6, 7, 39]), mask):
        transport.submits.clear()
        got = device.classify(images, explain=asked)
        agree(got, images)
        assert sorted(got.maps) == [0, 1, 5, 6, 7, 39]
        assert got.missed == 0
        assert transport.submits == [5, 2, 33]  # two ids at a time
        assert transport.used_most <= 3
    assert len(device.classify(images, explain=[]).maps) == 0
    assert len(device.classify(images, explain=~mask & False).maps) == 0
    assert transport.state["explain_unmet"] == 0


def test_by_exit_and_score(device, transport, agree):
    images = pictures(200)
    flat = images.reshape(200, 16)
    transport.most = 1000
    got = device.classify(images, explain="all", exits=1)
    agree(got, images)
    assert sorted(got.maps) == np.flatnonzero(flat[:, 1] % 3 == 1).tolist()
    got = device.classify(images, explain="all", exits=[0, 2], below=100)
    agree(got, images)
    assert sorted(got.maps) == np.flatnonzero((flat[:, 1] % 3 != 1) & (flat[:, 2] < 100)).tolist()
    got = device.classify(images, explain="all", below=[None, 20, ALWAYS])
    agree(got, images)
    left = flat[:, 1] % 3
    assert (
        sorted(got.maps) == np.flatnonzero((left == 0) | (left == 1) & (flat[:, 2] < 20)).tolist()
    )


def test_calls_that_say_nothing(mapping, agree):
    """The manifest says what they explain, until somebody says otherwise."""
    images = pictures(9)
    data = mapping.manifest(every=3)
    with Accelerator(data, mapping.Mapping(data)) as device:
        explanations = device.explanations
        assert (explanations.when, explanations.method) == (3, "saliency")
        assert (explanations.methods, explanations.slots) == (mapping.BUILT, 3)
        assert explanations.shape(1) == explanations.shape(1, "grad-cam") == (6, 5, 2)
        got = device.classify(images)
        agree(got, images)
        assert sorted(got.maps) == [0, 3, 6]
        assert device.classify(images, explain="none").maps == {}
        explanations.when = "all"
        explanations.method = "grad-cam"
        got = device.classify(images)
        agree(got, images, "grad-cam")
        assert sorted(got.maps) == [0, 1, 2]
        assert device.classify_one(images[4]).map.method == "grad-cam"
        explanations.when = "none"
        assert device.classify(images).maps == {}


def test_streams(device, transport, agree):
    """Answers bring their maps; those by number there are none of."""
    images = pictures(30)
    got = list(device.stream(iter(images), batch=10, explain=4, method="grad-cam"))
    assert [a.class_ for a in got] == (images.reshape(30, 16)[:, 0] % 10).tolist()
    assert [a.image for a in got if a.map is not None] == list(range(0, 30, 4))
    assert all(a.map.id == a.id for a in got if a.map is not None)
    flat = images.reshape(30, 16)
    got = list(device.stream(iter(images), explain="all", exits=2, below=90, wait=True))
    wanted = np.flatnonzero((flat[:, 1] % 3 == 2) & (flat[:, 2] < 90)).tolist()
    assert [a.image for a in got if a.map is not None] == wanted
    assert all(a.map is None for a in device.stream(iter(images)))
    agree(device.explain(images), images)
    with pytest.raises(InputError) as caught:
        device.stream(iter(images), explain=[3])
    assert str(caught.value) == (
        "images of a stream must be explained as they come and not by their numbers, got [3]; use "
        '"all", "none" or n for one in n.'
    )
    transport.damage = flip(0)
    found = device.stream(iter(images), batch=10, explain="all", wait=True)
    error = raised(lambda: list(found))
    assert error.indices.tolist() == list(range(10))
    transport.damage = None
    one = next(device.stream(iter(images), explain="all", wait=True))
    assert one.map.id == one.id
    agree(device.explain(images), images)


def test_counters_are_the_drivers(device, transport):
    device.classify(pictures(10), explain="all")
    found = device.counters
    assert (found["explained"], found["explain_missed"], found["explain_unmet"]) == (3, 7, 0)


def test_others_work_between(device, agree):
    """A call without maps, a setting and another method, with maps of every call its own."""
    images = pictures(7)
    for k in range(4):
        agree(device.explain(images), images)
        agree(device.classify(images), images)
        device.thresholds = [k, 9, None]
        agree(device.classify(images, explain="all", method="grad-cam"), images, "grad-cam")
        device.reset()


def test_maps_that_others_asked_for(device, transport, agree):
    """Through registers, before: they are taken and thrown away, and ids are forgotten."""
    images = pictures(6)
    device.registers["explain_every"] = 1
    agree(device.classify(images), images)
    device.registers["explain_every"] = 0
    device.registers["explain_ask"] = 9
    assert transport.used == 3
    got = device.classify(images, explain=[0])
    agree(got, images)
    assert sorted(got.maps) == [0]
    assert (got[0].id, transport.asked) == (6, [])


# --- what goes wrong


def raised(call, kind=DeviceFault) -> DeviceError:
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert text.startswith("The accelerator null must answer and did not: ")
    assert f"; {RESET}, " in text
    return caught.value


def flip(at: int):
    def damage(packet: bytes) -> list[bytes]:
        hurt = bytearray(packet)
        hurt[at] ^= 1
        return [bytes(hurt)]

    return damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip(0), r"the CRC of a heat map must be 0x\w+, got 0x\w+: the packet was damaged"),
        (flip(-1), r"the CRC of a heat map must be 0x\w+, got 0x\w+: the packet was damaged"),
        (flip(17), r"the CRC of a heat map must be"),
        (lambda p: [p[:-4]], r"a heat map of \d+ bits must have \d+ bytes, got \d+: the packet"),
        (lambda p: [p[:16] + bytes(4)], r"a heat map of \d+ bits must have"),
        (lambda p: [p[:16]], r"a heat map must have at least 20 bytes, got 16: the packet was cut"),
        (lambda p: [p + p], r"a heat map must end with its packet of \d+ bytes"),
        (lambda p: [p, p], r"5 heat maps were begun and \d+ came"),
    ],
)
def test_damaged_maps(device, transport, agree, damage, said):
    """Never a wrong picture: an error with the answers, and the next call is right again."""
    images = pictures(9)
    device.explain(images[:2])
    transport.damage = damage
    error = raised(lambda: device.classify(images, explain="all"))
    assert re.search(said, str(error)), str(error)
    assert error.indices.tolist() == list(range(9))
    agree(error.answered, images)
    transport.damage = None
    agree(device.explain(images), images)


def test_maps_of_others(mapping, device, transport, agree):
    """A map of another frame, exit, class or method, or that nobody asked for."""
    images = pictures(6)
    for change in ({"id": 77}, {"exit": 2}, {"class_": 11}, {"method": "grad-cam"}):
        wrong = dict(change)

        def other(packet: bytes, wrong=wrong) -> list[bytes]:
            found = mapping.decode(packet)
            if "exit" in wrong:
                wrong["exit"] = (found.exit + 1) % 3
                wrong["values"] = np.zeros(mapping.SHAPES[wrong["exit"]], np.int32)
            return [mapping.encode(mapping.replace(found, **wrong))]

        transport.damage = other
        error = raised(lambda: device.classify(images, explain="all"))
        assert "a heat map cannot be one of images 0 to 5: id " in str(error)
        agree(error.answered, images)
    transport.damage = None
    agree(device.explain(images), images)


def test_a_map_twice(mapping, device, transport):
    first: list[bytes] = []

    def twice(packet: bytes) -> list[bytes]:
        first.append(packet)
        return [first[0]]

    transport.damage = twice
    error = raised(lambda: device.classify(pictures(6), explain="all"))
    assert "the heat map of image 0 came twice" in str(error)


def test_a_map_that_does_not_come(device, transport, agree):
    images = pictures(6)
    transport.damage = lambda packet: []
    error = raised(lambda: device.explain(images), DeviceTimeout)
    assert (
        "a heat map must come within 0.05 s and none did, with 6 begun since the last reset, 0 "
        in (str(error))
    )
    assert error.indices.tolist() == list(range(6))
    transport.damage = None
    transport.stuck = True
    error = raised(lambda: device.classify(images, explain="all", timeout=0.3), DeviceTimeout)
    assert "within 0.3 s and none did, with 0 begun since the last reset, 0 here and 3 slots" in (
        str(error)
    )
    agree(error.answered, images)
    transport.stuck = False
    agree(device.explain(images), images)


def test_images_without_a_slot(device, transport, agree):
    """Those that are asked for one by one, or all of them, must have their map."""
    images = pictures(6)
    transport.most = 1
    error = raised(lambda: device.explain(images))
    assert "images 1, 2, 3, 4 and more have none; frames without a slot: 5, ids that" in str(error)
    agree(error.answered, images)
    assert sorted(error.answered.maps) == [0]
    error = raised(lambda: device.classify(images, explain=[4, 5]))
    assert "images 5 have none; frames without a slot: 1, ids that came too late: 0" in str(error)
    got = device.classify(images, explain="all")
    assert (sorted(got.maps), got.missed) == ([0], 5)


def test_an_id_that_comes_too_late(device, transport):
    plain = transport.submit

    def submit(frames, records, timeout) -> None:
        transport.asked.clear()  # somebody else had sent frames
        transport.state["explain_unmet"] += 1
        plain(frames, records, timeout)

    transport.submit = submit
    error = raised(lambda: device.classify(pictures(6), explain=[3]))
    assert "images 3 have none; frames without a slot: 0, ids that came too late: 1" in str(error)


def test_maps_that_vanish(device, transport):
    """Fewer than the frames that had a slot."""
    plain = transport.work

    def work() -> None:
        if transport.requests:
            transport.requests.popleft()
            transport.used -= 1
        plain()

    transport.work = work
    error = raised(lambda: device.classify(pictures(6), explain="all"))
    assert "6 frames must be explained or found without a slot, and 1 heat maps came with 3" in (
        str(error)
    )


def test_a_reset_by_somebody_else(device, transport, agree):
    images = pictures(6)
    plain = transport.work

    def work() -> None:
        transport.work = plain
        transport.write(0x00C, 1)

    transport.work = work
    error = raised(lambda: device.classify(images, explain="all"))
    assert "the accelerator was reset by somebody else while it explained" in str(error)
    agree(device.explain(images), images)


def test_the_rest_of_a_packet_that_a_reset_has_cut(device, transport, agree):
    images = pictures(6)
    for rest in ([bytes(4)], [bytes(8)], []):
        device.reset()
        transport.leftover = list(rest)
        agree(device.explain(images), images)
    transport.leftover = [bytes(8), bytes(4)]  # there is only one
    device.reset()
    error = raised(lambda: device.explain(images))
    assert "heat map" in str(error)


def test_a_carrier_that_fails(device, transport, agree):
    images = pictures(6)

    def broken(timeout, between=None):
        raise TransferFault("the DMA of heat maps stopped")

    transport.map = broken
    error = raised(lambda: device.explain(images))
    assert "did not: the DMA of heat maps stopped" in str(error)
    del transport.map
    agree(device.explain(images), images)


def test_interrupted(device, transport, agree):
    """Ctrl-C while maps are waited for: nothing is explained any more; the next call is right."""
    images = pictures(6)

    def interrupted() -> None:
        raise KeyboardInterrupt

    transport.work = interrupted
    with pytest.raises(KeyboardInterrupt):
        device.explain(images)
    del transport.work
    assert transport.state["explain_every"] == 0
    assert transport.requests.maxlen is None
    assert not transport.requests
    agree(device.explain(images), images)


# --- what cannot be asked for


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"explain": "some"}, 'explain must be "all", "none", a whole number n from 1 to 65535 for '
         "one image in n, or the numbers of images, got 'some'; use one of them."),
        ({"explain": 0}, 'explain must be "all", "none", a whole number n from 1 to 65535 for one '
         "image in n, or the numbers of images, got 0; use one of them."),
        ({"explain": 65536}, 'explain must be "all", "none", a whole number n from 1 to 65535 for '
         "one image in n, or the numbers of images, got 65536; use one of them."),
        ({"explain": [0.5]}, 'explain must be "all", "none", a whole number n from 1 to 65535 for '
         "one image in n, or the numbers of images, got [0.5]; use one of them."),
        ({"explain": [2, 4]}, "explain must name images from 0 to 3, got 4; these are the places "
         "among the images of the call."),
        ({"explain": [-1]}, "explain must name images from 0 to 3, got -1; these are the places "
         "among the images of the call."),
        ({"explain": [1], "exits": 0}, "images that are explained by their numbers must be "
         "explained whatever their exit and score, got exits or below besides; use explain=\"all\" "
         "with these."),
        ({"explain": "all", "method": "deconvnet"}, "method must be one that the accelerator was "
         "built with, saliency or grad-cam, got 'deconvnet'; add it to `methods` under [explain] "
         "and run `exeunt compile` again."),
        ({"explain": "all", "exits": 3}, "an exit must be from 0 to 2, got 3; this network has 3 "
         "exits."),
        ({"explain": "all", "exits": [0, True]}, "an exit must be from 0 to 2, got True; this "
         "network has 3 exits."),
        ({"explain": "all", "below": [1, 2]}, "below must be a whole number or one for each of 3 "
         "exits (None: any score), got [1, 2]; an image whose score is not below it is not "
         "explained."),
        ({"explain": "all", "below": 0.5}, "below must be a whole number or one for each of 3 "
         "exits (None: any score), got 0.5; an image whose score is not below it is not "
         "explained."),
        ({"explain": "all", "below": [1, 2, 1 << 31]}, "below must be of whole numbers of 32 "
         "signed bits, got 2147483648; scores are counted in the steps of a logit."),
    ],
)  # fmt: skip
def test_wrong_arguments(device, transport, arguments, said):
    with pytest.raises(InputError) as caught:
        device.classify(pictures(4), **arguments)
    assert str(caught.value) == said
    assert transport.submits == []


def test_wrong_settings(device):
    for value in ("some", 0, 1.5, [1]):
        with pytest.raises(InputError, match=r'explain must be "all", "none", a whole number'):
            device.explanations.when = value
    with pytest.raises(InputError, match="method must be one that the accelerator was built with"):
        device.explanations.method = "deconvnet"
    with pytest.raises(InputError, match="an exit must be from 0 to 2, got 7"):
        device.explanations.shape(7)
    with pytest.raises(InputError, match="method must be one that the accelerator was built with"):
        device.explain(pictures(2), method="lrp")
    assert (device.explanations.when, device.explanations.method) == ("none", "saliency")


def test_built_without(null):
    data = null.manifest()
    said = (
        "The accelerator null must be compiled with explanations to explain images, and was "
        "compiled without; set `hardware = true` under [explain] and run `exeunt compile` again."
    )
    with Accelerator(data, null.Null(data)) as device:
        for call in (
            lambda: device.explain(pictures(2)),
            lambda: device.classify(pictures(2), explain="all"),
            lambda: device.classify(pictures(2), method="saliency"),
            lambda: device.explanations,
        ):
            with pytest.raises(InputError) as caught:
                call()
            assert str(caught.value) == said
        assert device.classify(pictures(2), explain="none").maps == {}
    with pytest.raises(InputError, match="must be open"):
        device.explain(pictures(2))
