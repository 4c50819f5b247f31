"""The driver without a device: order, splitting, streams, sentences."""

from __future__ import annotations

import json

import numpy as np
import pytest

from exeunt import criteria, registers
from exeunt.errors import InputError
from exeunt.reference import controller
from exeunt.registers import ALWAYS, NEVER
from exeunt.runtime import (
    RESULT,
    Accelerator,
    DeviceFault,
    DeviceTimeout,
    golden,
    results,
)

RESET = "the device was reset and is ready"


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)


def check(got, images) -> None:
    flat = images.reshape(len(images), 16)
    assert np.array_equal(got.classes, flat[:, 0] % 10)
    assert np.array_equal(got.exits, flat[:, 1] % 3)
    assert np.array_equal(got.scores, flat[:, 2])


@pytest.fixture
def data(null):
    return null.manifest()


@pytest.fixture
def transport(null, data):
    return null.Null(data)


@pytest.fixture
def device(data, transport):
    with Accelerator(data, transport) as found:
        yield found


def test_records_are_the_controllers():
    assert RESULT == controller.RESULT
    assert (results.FLAG_BAD, results.FLAG_BANK) == (controller.FLAG_BAD, controller.FLAG_BANK)


def test_order_and_splitting(null, data):
    images = pictures(1000)
    for capacity, most in ((16 * 1000, 1000), (16 * 64 + 15, 64), (16, 1)):
        transport = null.Null(data, capacity=capacity)
        with Accelerator(data, transport) as device:
            assert device.batch == most
            got = device.classify(images)
        check(got, images)
        assert got.ids.tolist() == list(range(1000))
        assert sum(transport.submits) == 1000
        assert max(transport.submits) == most
        assert transport.closed == 1
    assert (got.maps, got.missed) == ({}, 0)
    arrays = {*got.__dataclass_fields__} - {"maps", "missed"}
    kinds = {n: getattr(got, n).dtype.name for n in arrays}
    assert kinds == {
        "classes": "uint16", "exits": "uint8", "ids": "uint32", "scores": "int32",
        "latency": "uint32", "flags": "uint8",
    }  # fmt: skip
    assert got[2].class_ == got[2].label == got.classes[2]
    assert got[2].image == 2
    assert not got.bad.any()
    assert not got.bank.any()


def test_ids_wrap_around(device, transport):
    transport.id = device._device._id = (1 << 32) - 7
    device.batch = 5
    images = pictures(20)
    check(device.classify(images), images)
    assert device.classify(images).ids[0] == 13


def test_manifest_as_file_and_folder(null, data, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    for where in (tmp_path, str(tmp_path), tmp_path / "manifest.json"):
        with Accelerator(where, null.Null(data)) as device:
            assert device.info.name == "null"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "must be a manifest and cannot be read; give the folder that `exeunt compile` or"),
        ("{", "must be a JSON file and cannot be read as one; run `exeunt compile` again."),
        ("[]", "must be a manifest of schema 1 and has no name; run `exeunt compile` again."),
        ('{"schema": 1}', "must be a manifest of schema 1 and has no name; run `exeunt compile`"),
    ],
)
def test_bad_manifests(transport, tmp_path, text, sentence):
    path = tmp_path / "manifest.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        Accelerator(path, transport)
    assert str(caught.value).startswith(f"{path} {sentence}")
    assert transport.closed == 1


def test_other_schema_and_older_map(data, transport):
    with pytest.raises(InputError, match="The manifest must be a manifest of schema 1 and has "):
        Accelerator({**data, "schema": 2}, transport)
    del data["registers"]["status"]["fields"]["epoch"]
    with pytest.raises(InputError, match=r"must have the register field status\.epoch"):
        Accelerator(data, transport)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (
            np.zeros((3, 5, 4, 1), np.uint8),
            "images must have the shape (N, 4, 4, 1), got (3, 5, 4, 1); reshape them, or use "
            "classify_one for a single image.",
        ),
        (
            np.zeros((4, 4, 1), np.uint8),
            "images must have the shape (N, 4, 4, 1), got (4, 4, 1); reshape them, or use "
            "classify_one for a single image.",
        ),
        (
            np.zeros((3, 4, 4, 1)),
            "images must be uint8 as the network was trained on, got float64; give the integers of "
            "its training data, not divided by 255.",
        ),
        (
            np.zeros((3, 4, 4, 1), np.int64),
            "images must be uint8 as the network was trained on, got int64; convert them as its "
            "training data was.",
        ),
        (
            [np.zeros((4, 4, 1), np.uint8), np.zeros((5, 4, 1), np.uint8)],
            "images must be an array or a list of equal images and cannot be made one (ValueError: "
            "setting an array element with a sequence. The requested array has an inhomogeneous "
            "shape after 1 dimensions. The detected shape was (2,) + inhomogeneous part); give "
            "them as a NumPy array.",
        ),
    ],
)
def test_images_that_do_not_fit(device, images, sentence):
    with pytest.raises(InputError) as caught:
        device.classify(images)
    assert str(caught.value) == sentence
    check(device.classify(pictures(5)), pictures(5))


def test_range_of_narrow_images(null):
    data = null.manifest((2, 2, 2), bits=3, lanes=2)
    with Accelerator(data, null.Null(data)) as device:
        device.classify(np.full((1, 2, 2, 2), 7, np.uint8))
        with pytest.raises(InputError) as caught:
            device.classify(np.full((1, 2, 2, 2), 9, np.uint8))
    assert str(caught.value) == (
        "images must be within 0 .. 7, the accelerator's 3-bit input, got 9 .. 9; scale them as "
        "the training data was."
    )


@pytest.mark.parametrize("name", ["entropy", None])
def test_a_criterion_that_the_driver_does_not_know(null, data, name):
    exits = [{**one, "criterion": name} for one in data["exits"]]
    with pytest.raises(InputError) as caught:
        Accelerator({**data, "exits": exits}, null.Null(data))
    known = " or ".join(f'"{one}"' for one in criteria.names())
    assert str(caught.value) == (
        f"The manifest must have an exit criterion that this driver knows, {known}, and has "
        f"{name!r}; use the driver of the release that compiled it."
    )


def test_another_bitstream_or_none(null, data):
    transport = null.Null(data)
    transport.words[null.HASH] = 1
    with pytest.raises(InputError) as caught:
        Accelerator(data, transport)
    assert str(caught.value) == (
        "The bitstream must be the one of this manifest, hash 0xfeedf00d, and its hash register "
        "reads 0x00000001; load the bitstream that was made from the same run folder."
    )
    assert transport.closed == 1
    transport.words[registers.address("id")] = 0
    with pytest.raises(InputError) as caught:
        Accelerator(data, transport)
    assert str(caught.value) == (
        "The device must be an accelerator whose register id is 0x45584e54 and it reads "
        "0x00000000; check that the bitstream is loaded and made by this version of exeunt."
    )
    transport.dead = True
    with pytest.raises(DeviceFault, match="a register was not read within 1 s"):
        Accelerator(data, transport)


def test_use_after_close(device):
    device.close()
    device.close()
    for use in (
        lambda: device.classify(pictures(1)),
        lambda: device.thresholds,
        lambda: device.counters,
        lambda: list(device.stream([])),
    ):
        with pytest.raises(InputError) as caught:
            use()
        assert str(caught.value) == (
            "The accelerator null must be open to be used and was closed; make a new Accelerator."
        )


# ---------------------------------------------------------------------- settings


def test_thresholds(device, transport):
    assert device.thresholds == (5, 5, None)
    transport.commit_takes = 3
    for given in ((None, NEVER, None), (-2, 7, None), [np.int32(3), 0, None], (None, None, None)):
        device.thresholds = given
        assert device.thresholds == tuple(given)
        device.thresholds = device.thresholds
        assert device.thresholds == tuple(given)
    device.thresholds = [4, NEVER]  # the last one's may be left out of numbers
    assert device.thresholds == (4, NEVER, None)
    device.thresholds = np.array([8, ALWAYS, ALWAYS])  # as a manifest has them
    assert device.thresholds == (8, None, None)


ONE_EACH = (
    "thresholds must have one entry for each of 3 exits, a number or None for always, got {}; end "
    "with None, which is the last exit's."
)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([12, None], ONE_EACH.format("[12, None]")),
        ([12, ALWAYS], ONE_EACH.format("[12, -2147483648]")),
        ([1], ONE_EACH.format("[1]")),
        ([], ONE_EACH.format("[]")),
        ([1, 2, 3, None], ONE_EACH.format("[1, 2, 3, None]")),
        (5, ONE_EACH.format("5")),
        (
            [1, 2, 3],
            "the last exit's threshold must be None, since every image that gets there leaves "
            "there, got 3; end with None.",
        ),
        (
            [1.5, 2, None],
            "a threshold must be a whole number of score steps or None for always, got 1.5; round "
            "it.",
        ),
        (
            [True, 2, None],
            "a threshold must be a whole number of score steps or None for always, got True; round "
            "it.",
        ),
        (
            [1 << 31, 0, None],
            "threshold must fit in 32 signed bits, got 2147483648; calibrate again or use "
            "2147483647 for never and -2147483648 for always",
        ),
    ],
)
def test_thresholds_that_are_refused(device, values, sentence):
    with pytest.raises(InputError) as caught:
        device.thresholds = values
    assert str(caught.value) == sentence
    assert device.thresholds == (5, 5, None)


def test_thresholds_that_do_not_come_into_force(device, transport):
    """Those before are in force again."""
    transport.commit_takes = 1 << 60
    taken = transport.write

    def write(address, value):
        if address == registers.address("control") and value & 1:
            transport.commit_takes = 0
        taken(address, value)

    transport.write = write
    with pytest.raises(DeviceTimeout) as caught:
        device.thresholds = [1, 2, None]
    assert "commit_pending is set with 0 frames in flight" in str(caught.value)
    assert device.thresholds == (5, 5, None)


def test_order_batch_and_exit(device):
    with pytest.raises(InputError) as caught:
        device.order = "random"
    assert str(caught.value) == (
        "order must be 'arrival' or 'input', got 'random'; use one of them."
    )
    with pytest.raises(InputError) as caught:
        device.batch = 0
    assert str(caught.value) == (
        "batch must be from 1 to 4194304, what a transfer carries, got 0; larger sets of images "
        "are split by themselves."
    )
    with pytest.raises(InputError, match="exit must be from 0 to 2, got 3; this network has 3"):
        device.logits(pictures(1), exit=3)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("bach", "A register must be one of the manifest's, got 'bach'; did you mean 'batch'?"),
        ("control", "Register control must be readable to be read, its access is w; write it, or"),
        (("batch", 1), "Register batch must be used without an exit since there is only one, got"),
        (("taken", 3), "Register taken must be of an exit from 0 to 2, got 3; this network has 3."),
    ],
)
def test_registers_that_cannot_be_read(device, key, sentence):
    with pytest.raises(InputError) as caught:
        device.registers[key]
    assert str(caught.value).startswith(sentence)


def test_registers_that_cannot_be_written(device):
    for key, value, sentence in (
        ("id", 1, "Register id must be writable to be written, its access is r; read it only."),
        ("threshold", 1, "Register threshold must be written for one exit at a time, got no exit;"),
        ("raw.exit", 256, "Register 'raw.exit' must get a value of 8 bits, got 256; write a "),
    ):
        with pytest.raises(InputError) as caught:
            device.registers[key] = value
        assert str(caught.value).startswith(sentence)
    device.registers["raw.exit"] = 2
    device.registers["raw.enable"] = 1
    assert device.registers["raw"] == 1 << 31 | 2
    assert "status.epoch" in device.registers
    assert "status.nothing" not in device.registers
    assert set(device.registers) == {r.name for r in registers.MAP}


def test_a_later_block_adds_its_registers(null, data):
    new = {"access": "r", "reset": 0, "per_exit": True, "counter": True, "text": "", "fields": {}}
    data["registers"]["rules"] = {**new, "address": 0x100}
    transport = null.Null(data)
    transport.words |= {0x100: 3, 0x104: 4, 0x108: 5}
    with Accelerator(data, transport) as device:
        assert device.counters["rules"] == (3, 4, 5)
        assert device.registers["rules", 1] == 4


# ---------------------------------------------------------------------- faults


def test_results_that_stay_out(device, transport, null):
    device.batch = 10
    images = pictures(40)
    plain = transport.collect
    left = [2]

    def collect(timeout, between):
        found = plain(timeout, between)
        left[0] -= 1
        if left[0] < 0:
            raise null.late(found[:4])
        return found

    transport.collect = collect
    with pytest.raises(DeviceTimeout) as caught:
        device.classify(images)
    error = caught.value
    assert len(error.answered) == len(error.indices) == 24
    assert set(range(20)) < set(error.indices.tolist()) < set(range(30))
    check(error.answered, images[error.indices])
    text = str(error)
    assert text.startswith(
        "The accelerator null must answer and did not: results stay out after waiting 0.05 s, 16 "
        "of 20 results missing (images "
    )
    assert " and more, ids from 20) (0 frames in flight; frames_in 40, " in text
    assert text.endswith(f"; {RESET}, 24 answers are in the error's `answered`.")
    transport.collect = plain
    check(device.classify(images), images)


def test_results_overtake_each_other(null, data):
    """In arrival order an easy image leaves before a hard one of the transfer before it."""
    transport = null.Null(data)
    transport.overtake = True
    images = pictures(200)
    with Accelerator(data, transport) as device:
        device.batch = 10
        got = device.classify(images)
        check(got, images)
        assert got.ids.tolist() == list(range(200))
        answers = list(device.stream(iter(images), batch=8))
        assert [a.image for a in answers] == list(range(200))
        assert [a.score for a in answers] == got.scores.tolist()
    assert transport.overtaken > 10


def damaged(name: str, value: int, row: int = 3):
    def damage(records):
        table = records.copy().reshape(-1).view(RESULT)
        table[name][row] = value
        return table.view(np.uint8).reshape(-1, 16)

    return damage


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (damaged("exit", 3), "a result cannot be one of images 0 to 9: id "),
        (damaged("class", 10), "a result cannot be one of images 0 to 9: id "),
        (damaged("flags", 4), "a result cannot be one of images 0 to 9: id "),
        (damaged("id", 10), "a result cannot be one of images 0 to 9: id 10, score "),
        (damaged("flags", 1), "1 of 10 frames was cut short on the way in"),
        (lambda r: r[:9], "10 results were asked for and 9 came"),
        (lambda r: np.concatenate([r[:9], r[:1]]), "the results of images "),
    ],
)
def test_results_that_cannot_be_right(device, transport, wrong, sentence):
    transport.wrong = wrong
    images = pictures(10)
    with pytest.raises(DeviceFault) as caught:
        device.classify(images)
    assert str(caught.value).startswith(f"The accelerator null must answer and did not: {sentence}")
    check(caught.value.answered, images[caught.value.indices])
    transport.wrong = None
    check(device.classify(images), images)


def test_somebody_else_resets(device, transport):
    def reset(records):
        transport.epoch += 1
        return records

    transport.wrong = reset
    with pytest.raises(DeviceFault, match="reset by somebody else while it answered") as caught:
        device.classify(pictures(10))
    assert len(caught.value.answered) == 0
    transport.wrong = None
    check(device.classify(pictures(10)), pictures(10))


def test_a_device_that_is_gone(device, transport):
    def gone(records):
        transport.dead = True
        raise null_fault

    from exeunt.runtime import TransferFault

    null_fault = TransferFault("the cable was pulled")
    transport.wrong = gone
    with pytest.raises(DeviceFault) as caught:
        device.classify(pictures(3))
    text = str(caught.value)
    assert "the cable was pulled, 3 of 3 results missing (images 0, 1, 2, ids from 0)" in text
    assert ", its registers do not answer; a reset did not help (" in text
    with pytest.raises(DeviceFault, match="must come back from a reset and does not"):
        device.classify(pictures(3))
    transport.dead, transport.wrong = False, None
    check(device.classify(pictures(3)), pictures(3))


def test_interrupted_by_the_user(device, transport):
    def press(records):
        raise KeyboardInterrupt

    transport.wrong = press
    epoch = transport.epoch
    with pytest.raises(KeyboardInterrupt):
        device.classify(pictures(3))
    assert transport.epoch == epoch + 1
    transport.wrong = None
    check(device.classify(pictures(3)), pictures(3))


# ---------------------------------------------------------------------- golden vectors


def test_golden_files(device, tmp_path):
    path = tmp_path / "golden.npz"
    with pytest.raises(InputError) as caught:
        golden.read(path)
    assert str(caught.value) == (
        f"{path} must hold the golden vectors and is missing; `exeunt deploy` makes it."
    )
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"must be an \.npz of golden vectors and is not"):
        golden.read(path)
    vectors = golden.Golden(
        images=pictures(2), classes=np.zeros(2, np.uint16), exits=np.zeros(2, np.uint8),
        scores=np.zeros(2, np.int32), thresholds=np.zeros(3, np.int32),
        logits=np.zeros((3, 1, 10), np.int32), design_hash=np.array(7, np.uint32),
    )  # fmt: skip
    golden.write(path, vectors)
    assert golden.read(path).design_hash == 7
    with pytest.raises(InputError) as caught:
        device.selftest(path)
    assert str(caught.value) == (
        "The golden vectors must be of the design 0xfeedf00d and are of 0x00000007; make them "
        "again with `exeunt deploy`."
    )
    with pytest.raises(InputError, match="The self-test needs golden vectors and the manifest was"):
        device.selftest()
    np.savez(path, **{**vars(vectors), "scores": np.zeros(2)})
    with pytest.raises(InputError, match="must hold scores as int32 and holds float64"):
        golden.read(path)
    np.savez(path, **{**vars(vectors), "scores": np.zeros(3, np.int32)})
    with pytest.raises(InputError, match="must hold one answer for each of 2 images"):
        golden.read(path)
