"""Threads that share one device: no exception, no wrong or lost answer, nobody waits for ever."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib.util
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.reference.golden import make
from exeunt.reference.modelled import Modelled
from exeunt.registers import NEVER
from exeunt.runtime import Accelerator, DeviceError, DeviceTimeout
from exeunt.runtime.pynq import Pynq
from exeunt.runtime.serial import Serial
from exeunt.simulate.simulated import Simulated

pytestmark = pytest.mark.sim
HANG_SECONDS = 60.0  # longer than any wait here may take


def _sibling(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["simulated", "modelled", "pynq", "serial"])
def shared(request, small) -> Iterator[Accelerator]:
    """The small design behind each transport."""
    if request.param == "modelled":
        transport = Modelled(small.folder)
    elif request.param == "simulated":
        transport = request.getfixturevalue("simulated")
    elif request.param == "pynq":
        board = request.getfixturevalue("board")
        transport = Pynq(small.folder, board.bitstream)
    else:
        simulated = request.getfixturevalue("simulated")
        stream = small.manifest.data["input"]
        core = _sibling("test_serial_driver").RtlCore(simulated.device, simulated.beat_bytes)
        frame = stream["words"] * simulated.beat_bytes
        line = _sibling("line").Line(core, frame=frame, beat_bytes=simulated.beat_bytes)
        transport = Serial(line, clock=line.clock)
    with Accelerator(small.folder, transport) as device:
        device.batch = 24
        yield device


class Known:
    """Threshold sets, and what the reference says of each image under each of them."""

    def __init__(self, small) -> None:
        first = int(small.thresholds[0])
        second = int(small.thresholds[1])
        self.small = small
        self.sets: list[tuple[int | None, ...]] = [
            (first, second, None), (None, 5, None), (NEVER, second, None), (NEVER, NEVER, None),
            (first + 40, 0, None),
        ]  # fmt: skip
        self.golden = make(small.folder, small.images[:20], thresholds=[0, NEVER, None], logits=1)
        self.tables = [small.want(x) for x in self.sets]

    def right(self, images, classes, exits, scores) -> None:
        """Each answer is the reference's under one of the sets, but never under the golden one."""
        got = np.stack([np.asarray(x, np.int64) for x in (classes, exits, scores)])
        may = [
            (got == np.stack([w.classes[images], w.exits[images], w.scores[images]])).all(axis=0)
            for w in self.tables
        ]
        wrong = ~np.logical_or.reduce(may)
        assert not wrong.any(), f"images {images[wrong]}: {got[:, wrong].T}"


class Threads:
    """Threads that do something over and over until the time is over or one fails."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.errors: list[BaseException] = []
        self.count: Counter[str] = Counter()
        self.turn = threading.Lock()  # held by a test that wants the device to itself
        self._threads: list[threading.Thread] = []

    def add(self, work: Callable[[np.random.Generator], object]) -> None:
        name = f"{work.__name__} {len(self._threads)}"

        def run() -> None:
            random = np.random.default_rng(len(name) + len(self._threads))
            try:
                while not self.stop.is_set():
                    work(random)
                    self.count[name] += 1
            except BaseException as error:
                error.add_note(f"in {name} after {dict(self.count)}")
                self.errors.append(error)
                self.stop.set()

        self._threads.append(threading.Thread(target=run, name=name, daemon=True))

    def run(self, seconds: float) -> Counter[str]:
        for thread in self._threads:
            thread.start()
        self.stop.wait(seconds)
        self.stop.set()
        faulthandler.dump_traceback_later(HANG_SECONDS)
        for thread in self._threads:
            thread.join(HANG_SECONDS)
        faulthandler.cancel_dump_traceback_later()
        assert not [t.name for t in self._threads if t.is_alive()], "threads wait for ever"
        if self.errors:
            raise self.errors[0]
        assert all(self.count[t.name] for t in self._threads), dict(self.count)
        return self.count


def hammer(small, device: Accelerator, seconds: float, *, alone: bool = True) -> Counter[str]:
    """Eight threads that answer, poll and set; each answer is checked."""
    known, threads = Known(small), Threads()
    device.thresholds = known.sets[0]
    images = small.images

    def pick(random) -> np.ndarray:
        return random.integers(0, len(images), int(random.integers(1, 60)))

    def classify(random) -> None:
        which = pick(random)
        got = device.classify(images[which])
        assert not got.bad.any()
        known.right(which, got.classes, got.exits, got.scores)

    def one(random) -> None:
        which = pick(random)[:1]
        got = device.classify_one(images[which[0]])
        known.right(which, [got.class_], [got.exit], [got.score])

    def stream(random) -> None:
        """Its generator sets thresholds, and now and then it is closed early."""
        which = pick(random)
        stop = int(random.integers(1, 2 * len(which)))

        def produce():
            for i, k in enumerate(which):
                if i % 7 == 3:
                    device.thresholds = known.sets[i % len(known.sets)]
                yield images[k]

        answers = device.stream(produce(), batch=int(random.integers(1, 20)))
        got = list(itertools.islice(answers, stop))
        answers.close()
        assert [a.image for a in got] == list(range(min(stop, len(which))))
        known.right(which[: len(got)], *zip(*((a.class_, a.exit, a.score) for a in got)))  # noqa: B905

    def poll(random) -> None:
        seen = device.counters
        assert seen["in_flight"] == seen["frames_in"] - seen["frames_out"]
        assert device.registers["status.in_flight"] >= 0
        assert device.info.name == "sample"

    def read(random) -> None:
        got = device.thresholds
        assert got in {*known.sets, (0, NEVER, None)}, got
        device.registers["taken", 1]

    def set_(random) -> None:
        device.thresholds = known.sets[int(random.integers(len(known.sets)))]
        if random.random() < 0.2:
            device.order = str(random.choice(["arrival", "input"]))

    def rarely(random) -> None:
        """What has the device for itself."""
        time.sleep(0.05)
        what = random.random()
        if not alone or what < 0.4:
            device.reset()
        elif what < 0.7:
            which, exit = pick(random)[:3], int(random.integers(3))
            assert np.array_equal(device.logits(images[which], exit), small.logits[exit][which])
        else:
            assert device.selftest(known.golden).images == 20

    for work in (classify, stream, one, poll, read, set_, set_, rarely):
        threads.add(work)
    return threads.run(seconds)


def test_three_seconds_of_eight_threads(small, shared):
    print(dict(hammer(small, shared, 3.0)))
    small.agree(shared.classify(small.images[:5]), shared.thresholds, slice(5))


@pytest.mark.slow
def test_a_minute_of_eight_threads(small, shared):
    print(dict(hammer(small, shared, 60.0)))
    small.agree(shared.classify(small.images[:5]), shared.thresholds, slice(5))


# ---------------------------------------------------------------------- one thing after the other


def test_thresholds_set_by_the_generator(small, shared):
    """An image is under those that were in force when it entered, never under others."""
    known = Known(small)
    shared.thresholds = known.sets[0]

    def produce():
        for i, image in enumerate(small.images):
            if i % 10 == 5:
                shared.thresholds = known.sets[i // 10 % len(known.sets)]
                assert shared.thresholds == known.sets[i // 10 % len(known.sets)]
            yield image

    got = list(shared.stream(produce(), batch=8))
    assert [a.image for a in got] == list(range(len(small.images)))
    which = np.arange(len(got))
    known.right(which, [a.class_ for a in got], [a.exit for a in got], [a.score for a in got])


def test_a_generator_that_uses_the_whole_device(small, shared):
    """Nothing that it may do waits for the stream that waits for it."""
    known = Known(small)
    calls = [
        lambda: small.agree(shared.classify(small.images[:9]), images=slice(9)),
        lambda: shared.logits(small.images[:2], 1),
        lambda: shared.selftest(known.golden),
        shared.reset,
        lambda: shared.counters,
        lambda: shared.thresholds,
        lambda: setattr(shared, "order", "input"),
        lambda: setattr(shared, "thresholds", known.sets[0]),
        lambda: len(list(shared.stream(iter(small.images[:9]), batch=4))),
    ]

    def produce():
        for i, image in enumerate(small.images[:40]):
            if i % 4 == 3:
                calls[i // 4 % len(calls)]()
            yield image

    for batch in (1, 6):
        got = list(shared.stream(produce(), batch=batch))
        assert [a.image for a in got] == list(range(40))
        assert [a.score for a in got] == small.want(images=slice(40)).scores.tolist()


def test_a_consumer_that_does_something_else(small, shared):
    """With a stream open and transfers under way all else works, and the stream goes on."""
    for do in (
        lambda: small.agree(shared.classify(small.images)),
        lambda: setattr(shared, "thresholds", (*small.thresholds[:2], None)),
        shared.reset,
        lambda: shared.logits(small.images[:2], 0),
        lambda: shared.selftest(make(small.folder, small.images[:5], logits=1)),
        lambda: list(shared.stream(iter(small.images[:9]), batch=4)),
    ):
        stream = shared.stream(iter(small.images), batch=8)
        got = [next(stream)]
        do()
        got += list(stream)
        assert [a.image for a in got] == list(range(len(small.images)))
        assert [a.score for a in got] == small.want().scores.tolist()


def test_two_streams_side_by_side(small, shared):
    one = shared.stream(iter(small.images[:60]), batch=7)
    two = shared.stream(iter(small.images[60:]), batch=5)
    got = list(zip(one, two, strict=True))
    want = small.want()
    assert [a.score for a, _ in got] == want.scores[:60].tolist()
    assert [b.score for _, b in got] == want.scores[60:].tolist()


def test_a_stream_that_is_thrown_away(small, shared):
    for keep in (False, True):
        stream = shared.stream(iter(small.images), batch=8)
        next(stream)
        if keep:
            circle = [stream]
            circle.append(circle)
            del circle
        del stream
        gc.collect()
        small.agree(shared.classify(small.images[:20]), images=slice(20))


@pytest.fixture
def busy(shared, busy_any) -> Callable[..., threading.Thread]:
    """Starts a thread that must end before the device is closed."""
    return busy_any


@pytest.fixture
def busy_any() -> Iterator[Callable[..., threading.Thread]]:
    """Starts a thread that must end."""
    threads = []

    def start(work) -> threading.Thread:
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(HANG_SECONDS)
        assert not thread.is_alive()


def test_counters_are_read_while_a_transfer_is_waited_for(small, shared, busy, monkeypatch):
    """One long transfer does not keep a thread from its registers."""
    images = np.concatenate([small.images] * (30 if shared.unit == "cycles" else 5))
    shared.batch = len(images)
    shared.reset()
    plain, waiting, done, seen = shared.transport.collect, threading.Event(), [], []

    def collect(*arguments):
        waiting.set()
        try:
            return plain(*arguments)
        finally:
            waiting.clear()

    monkeypatch.setattr(shared.transport, "collect", collect)

    def poll() -> None:
        while not done:
            before = waiting.is_set()
            count = shared.counters["frames_out"]
            if before and waiting.is_set():
                seen.append(count)

    poller = busy(poll)
    shared.classify(images)
    done.append(True)
    poller.join(HANG_SECONDS)
    assert len(seen) > 1
    assert seen == sorted(seen)
    if not isinstance(shared.transport, Modelled):  # which counts in few steps
        assert any(0 < count < len(images) for count in seen)
    assert shared.counters["frames_out"] == len(images)


def test_closed_in_another_thread(small, shared, busy):
    images = np.concatenate([small.images] * 60)
    errors = []

    def classify() -> None:
        try:
            while True:
                shared.classify(images)
        except InputError as error:
            errors.append(str(error))

    threads = [busy(classify), busy(classify)]
    time.sleep(0.2)
    shared.close()
    shared.close()
    for thread in threads:
        thread.join(HANG_SECONDS)
    text = "The accelerator sample must be open to be used and was closed; make a new Accelerator."
    assert errors == [text] * 2
    with pytest.raises(InputError, match="must be open to be used and was closed"):
        shared.reset()


def test_devices_opened_in_several_threads(small, busy_any):
    """Each finds its memory files, and the working folder stays what it was."""
    here, answers = Path.cwd(), []

    def work() -> None:
        for _ in range(4):
            transport = Simulated(small.folder, cache=small.cache)
            with Accelerator(small.folder, transport) as device:
                answers.append(device.classify(small.images[:10]))

    for thread in [busy_any(work) for _ in range(6)]:
        thread.join(HANG_SECONDS)
    assert len(answers) == 24
    for got in answers:
        small.agree(got, images=slice(10))
    assert Path.cwd() == here


# ---------------------------------------------------------------------- failures, on the RTL


def test_a_timeout_tells_the_counters_from_before_the_reset(small, simulated, device):
    device.classify(small.images[:30])
    simulated.hold(output=1 << 40)
    with pytest.raises(DeviceTimeout) as caught:
        device.classify(small.images[:50], timeout=20_000)
    seen = caught.value.counters
    assert seen["frames_out"] == 30 < seen["frames_in"] <= 80
    assert seen["in_flight"] == seen["frames_in"] - 30
    assert seen["cycles"] > 20_000
    assert f"({seen['in_flight']} frames in flight; bad 0, cycles {seen['cycles']}, frames_in " in (
        str(caught.value)
    )
    assert device.counters["frames_in"] == 0
    simulated.hold()
    small.agree(device.classify(small.images))


def test_a_failure_is_told_to_its_own_call(small, simulated, device, busy_rtl):
    """A thread that brings in another one's transfers goes on; the answers before are kept."""
    # all images come at once, so the second transfer is under way when the first answer is told
    stream = device.stream(iter([small.images]), batch=8, timeout=20_000)
    with busy_rtl.turn:  # a poll would let cycles pass, and the transfer might end
        got = [next(stream)]
        simulated.hold(output=100_000)  # far more than the polls take before the stream waits
    small.agree(device.classify(small.images[:20]), images=slice(20))
    with pytest.raises(DeviceTimeout) as caught:
        got.extend(stream)
    assert [a.image for a in got] == list(range(len(got)))
    error = caught.value
    assert error.counters["frames_in"] > 0
    assert set(error.indices.tolist()).isdisjoint(range(len(got)))
    small.agree(error.answered, images=error.indices)
    small.agree(device.classify(small.images))


@pytest.fixture
def busy_rtl(small, device):
    """Another thread that polls all the while, and must not be told of anything."""
    threads = Threads()

    def poll(random) -> None:
        with threads.turn:
            assert set(device.counters) >= {"frames_in"}
            assert len(device.thresholds) == 3

    threads.add(poll)
    runner = threading.Thread(target=lambda: threads.run(1000.0), daemon=True)
    runner.start()
    yield threads
    threads.stop.set()
    runner.join(HANG_SECONDS)
    assert not threads.errors


def test_failures_in_one_thread_and_answers_in_another(small, simulated, device, busy_rtl):
    """Each call is answered right or told why not; none is told of another one's failure twice."""
    known, threads, failed = Known(small), Threads(), Counter()
    device.batch = 10

    def classify(random) -> None:
        which = random.integers(0, len(small.images), 40)
        try:
            got, at = device.classify(small.images[which], timeout=100_000), np.arange(40)
        except DeviceError as error:
            got, at = error.answered, error.indices
            failed[type(error).__name__] += len(error.counters) > 5
        known.right(which[at], got.classes, got.exits, got.scores)

    def set_(random) -> None:
        device.thresholds = known.sets[int(random.integers(len(known.sets)))]

    def disturb(random) -> None:
        time.sleep(0.05)
        with device._device.access:  # the disturbances are the model's, which is one thread's
            if random.random() < 0.5:
                simulated.reset_after(int(random.integers(3000)))
            else:
                simulated.cut(int(random.integers(1, 600)))

    device.thresholds = known.sets[0]
    for work in (classify, classify, classify, set_, disturb):
        threads.add(work)
    with contextlib.suppress(DeviceError):  # a reset may meet a commit, which is said
        threads.run(3.0)
    assert not [e for e in threads.errors if not isinstance(e, DeviceError)]
    assert failed
    simulated.device.disturb(0, 0, after=-1)
    simulated.cut(None)
    device.reset()
    device.thresholds = known.sets[0]
    small.agree(device.classify(small.images), known.sets[0])


def test_ctrl_c_in_the_main_thread(small, simulated, device, busy_rtl, monkeypatch):
    """The device comes back, and the other threads do not notice."""
    plain = simulated.collect
    monkeypatch.setattr(simulated, "collect", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        device.classify(small.images)
    monkeypatch.setattr(simulated, "collect", plain)
    small.agree(device.classify(small.images))
