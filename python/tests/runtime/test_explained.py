"""The driver's heat maps from the RTL: those of the reference, whatever happens on the way."""

from __future__ import annotations

import random
import threading
from collections import Counter

import numpy as np
import pytest

from exeunt.registers import ALWAYS, NEVER
from exeunt.runtime import Accelerator, DeviceError, DeviceTimeout

pytestmark = pytest.mark.sim


@pytest.fixture
def device(explained, explaining):
    with Accelerator(explained.folder, explaining) as found:
        yield found


def test_every_image_by_every_method(explained, device):
    images = explained.images
    for method in device.explanations.methods:
        got = device.explain(images, method=method)
        explained.agree(got)
        assert sorted(got.maps) == list(range(len(images)))
        assert {m.method for m in got.maps.values()} == {method}
        assert got.missed == 0
    assert len(set(got.exits.tolist())) == 3
    assert device.counters["explained"] == 3 * len(images)


def test_which_are_explained(explained, device):
    images = explained.images
    got = device.classify(images, explain="all")
    explained.agree(got)
    assert len(got.maps) + got.missed == len(images)
    assert got.missed > 0
    got = device.classify(images, explain="all", wait=True)
    explained.agree(got)
    assert len(got.maps) == len(images)
    got = device.classify(images, explain=12, wait=True)
    explained.agree(got)
    assert len(got.maps) == len(images) // 12
    asked = [0, 1, 2, 3, 4, 5, 20, 47]
    got = device.classify(images, explain=asked)
    explained.agree(got)
    assert sorted(got.maps) == asked
    got = device.classify(images, explain="all", exits=[1], wait=True)
    explained.agree(got)
    assert sorted(got.maps) == np.flatnonzero(got.exits == 1).tolist()
    half = int(np.median(got.scores))
    got = device.classify(images, explain="all", below=half, wait=True)
    explained.agree(got)
    assert sorted(got.maps) == np.flatnonzero(got.scores < half).tolist()
    got = device.classify(images, explain="all", below=[ALWAYS, NEVER, None], wait=True)
    assert sorted(got.maps) == np.flatnonzero(got.exits > 0).tolist()
    plain = device.classify(images)
    explained.agree(plain)
    assert plain.maps == {}


@pytest.mark.parametrize("seed", range(3))
def test_stalls(explained, explaining, device, seed):
    """Words that come and go at random, on every stream: the same answers and maps."""
    images = explained.images[:16]
    idle, stall, maps = random.Random(seed).sample([0.0, 0.5, 0.9], 3)
    explaining.random(idle=idle, stall=stall, maps=maps, seed=seed)
    got = device.explain(images)
    explained.agree(got, slice(16))
    assert len(got.maps) == 16


def test_nobody_takes_maps(explained, explaining, device):
    """Answers come all the same; the maps are missed, and the error has what had come."""
    images = explained.images
    explaining.hold(maps=1 << 40)
    got = device.classify(images)
    explained.agree(got)
    with pytest.raises(DeviceTimeout) as caught:
        device.classify(images, explain="all")
    text = str(caught.value)
    assert "a heat map must come within" in text
    assert "cycles and none did, with" in text
    assert text.endswith("ready, 48 answers are in the error's `answered`.")
    explained.agree(caught.value.answered)
    explained.agree(device.explain(images[:5]), slice(5))


def test_a_reset_in_the_middle_of_a_map(explained, explaining, device):
    """By this driver: the cut packet is no map of the next call."""
    images = explained.images[:6]
    for cycles in range(600, 3600, 250):
        explaining.random(maps=0.8, seed=cycles)
        device.registers["explain_every"] = 1
        frames = device._device.packed(images)
        explaining.submit(frames, len(images), 0)
        explaining.device.go(cycles, until=0)
        explaining.hold(maps=1 << 40)  # a word stays on offer
        device.reset()
        got = device.explain(images)
        explained.agree(got, slice(6))
        assert len(got.maps) == 6


KINDS = (
    "none", "stalls", "reset", "pulled", "maps held", "results held", "cut", "short", "damaged",
    "asked",
)  # fmt: skip


def damaging(plain, rng: random.Random):
    """Packets of which some have a wrong bit, are cut, too long, come twice or not at all."""
    again: list[bytes] = []

    def found(timeout, between=lambda: None):
        packet = again.pop() if again else plain(timeout, between)
        if packet is None or rng.random() < 0.6:
            return packet
        way = rng.randrange(5)
        if way == 0:
            bit = rng.randrange(8 * len(packet))
            number = int.from_bytes(packet, "little") ^ 1 << bit
            return number.to_bytes(len(packet), "little")
        if way == 1:
            return packet[: 4 * rng.randrange(1, len(packet) // 4)] + bytes(4)
        if way == 2:
            return packet + packet[:4]
        if way == 3:
            again.append(packet)
            return packet
        return None

    return found


def interrupted(explained, explaining, device, count: int) -> Counter[str]:
    """Random disturbances: right answers and right maps, or an error with what had come."""
    rng = random.Random(count)
    ends: Counter[str] = Counter()
    for k in range(count):
        kind = rng.choice(KINDS)
        first = rng.randrange(30)
        part = slice(first, first + rng.randrange(1, 9))
        images, after = explained.images[part], rng.randrange(1, 8000)
        explaining.hold()
        explaining.random(seed=k)
        if kind == "stalls":
            explaining.random(idle=0.3, stall=rng.random(), maps=rng.random(), seed=k)
        if kind == "reset":
            explaining.reset_after(after)
        if kind == "pulled":
            explaining.pull_reset_after(after)
        if kind in ("maps held", "results held"):
            name = kind.split()[0].replace("results", "output")
            explaining.hold(**{name: rng.choice((after, 1 << 40))})
        if kind == "damaged":
            explaining.map = damaging(explaining.map, rng)
        if kind == "asked":  # ids that never come, that are over, and some of this call
            for _ in range(rng.randrange(1, 9)):
                near = device.counters["frames_in"] + rng.randrange(-2, 20)
                number = rng.choice((near & 0xFFFFFFFF, rng.getrandbits(32)))
                device.registers["explain_ask"] = number
        if kind == "cut":
            explaining.cut(rng.randrange(1, 200))
        timeout = 5000 if kind == "short" else 60_000
        try:
            if rng.random() < 0.5:
                got = device.explain(images, timeout=timeout)
                assert len(got.maps) == len(images)
            else:
                choice = rng.choice(["all", 2, [0]])
                got = device.classify(images, explain=choice, timeout=timeout)
            ends[f"{kind}: right"] += 1
        except DeviceError as error:
            ends[f"{kind}: error"] += 1
            got = error.answered
        if len(got) == len(images):
            explained.agree(got, part)
        explaining.__dict__.pop("map", None)
        if kind in ("reset", "pulled"):  # it may be due yet
            explaining.device.go(9000, until=0)
            device.reset()
    return ends


def test_interruptions(explained, explaining, device):
    ends = interrupted(explained, explaining, device, 120)
    assert sum(ends.values()) == 120
    for kind in ("none", "stalls", "asked"):
        assert ends[f"{kind}: error"] == 0, ends
    for kind in ("reset", "pulled", "maps held", "results held", "damaged"):
        assert ends[f"{kind}: error"] > 1, ends


@pytest.mark.slow
def test_a_thousand_interruptions(explained, explaining, device):
    ends = interrupted(explained, explaining, device, 1000)
    assert sum(ends.values()) == 1000
    assert ends["none: error"] == ends["asked: error"] == 0, ends


def test_somebody_else_resets_it(explained, explaining, device):
    images = explained.images[:9]
    said = []
    for cycles in range(2000, 9000, 700):
        explaining.reset_after(cycles)
        try:
            explained.agree(device.explain(images), slice(9))
        except DeviceError as error:
            said.append(str(error))
        explaining.device.go(9000, until=0)
        device.reset()
    assert [text for text in said if "reset by somebody else while it explained" in text]
    explained.agree(device.explain(images), slice(9))


def test_threads(explained, device):
    """One explains, one answers, one reads counters and one streams: each gets what is its own."""
    images = explained.images[:12]
    errors: list[BaseException] = []
    left = threading.Event()

    def guarded(work) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # told below
                errors.append(error)

        return threading.Thread(target=run)

    def explain() -> None:
        for method in device.explanations.methods * 2:
            got = device.explain(images, method=method)
            explained.agree(got, slice(12))
            assert len(got.maps) == 12
        left.set()

    def answer() -> None:
        while not left.is_set():
            got = device.classify(images)
            explained.agree(got, slice(12))
            assert not got.maps

    def count() -> None:
        while not left.is_set():
            assert device.counters["explain_unmet"] == 0

    def stream() -> None:
        while not left.is_set():
            found = list(device.stream(iter(images), batch=5, explain=3, method="grad-cam"))
            assert {a.map.method for a in found if a.map is not None} == {"grad-cam"}
            assert all(a.map.id == a.id for a in found if a.map is not None)

    threads = [guarded(work) for work in (explain, answer, count, stream)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
