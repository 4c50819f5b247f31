"""Thresholds of classes in the RTL of a whole accelerator, and in every other reference."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from exeunt import criteria, samples
from exeunt.bench import measure, processor
from exeunt.errors import InputError
from exeunt.hls.back import stitch
from exeunt.reference import network
from exeunt.reference.golden import make
from exeunt.reference.modelled import Modelled
from exeunt.runtime import Accelerator as Driver
from exeunt.simulate import answers, verilator
from exeunt.simulate.simulated import Simulated

FRAMES = 120
FEW = 30


@pytest.mark.sim
@pytest.mark.parametrize(
    "name", ["margin", *(pytest.param(n, marks=pytest.mark.slow) for n in ("maximum", "softmax"))]
)
def test_every_answer_of_classes_with_thresholds_of_their_own(name: str, tmp_path: Path) -> None:
    plain = samples.accelerator()
    images = samples.images(FRAMES, seed=3)
    logits = network.run(plain, images).logits
    scales = tuple(3.0 / float(x.std()) for x in logits)
    every = criteria.every(name, logits, scales=scales)
    spread = [max(1, int(s.scores.std())) for s in every[:-1]]
    rows = np.random.default_rng(2).integers(0, spread, (plain.classes, 2)).T
    offsets = (*map(tuple, rows.tolist()), (0,) * plain.classes)
    whole = dataclasses.replace(plain, criterion=name, offsets=offsets, logit_scales=scales)
    chosen = [int(np.quantile(s.scores, 0.4)) for s in every[:-1]]
    manifest = stitch.write(whole, tmp_path, thresholds=[*chosen, None])
    assert manifest.offsets == offsets == manifest.accelerator().offsets
    library = verilator.build(manifest)
    found = answers.answer(manifest, library, images, logits)
    assert not len(found.wrong), found.wrong
    cycles, _ = answers.check_cycles(manifest, whole, found)
    assert cycles["frames_exact"] == cycles["frames_total"] == FRAMES
    assert np.bincount(found.got["exit"], minlength=3).min() > 0
    without = criteria.run(name, logits, chosen, scales=scales).exits
    assert (without != found.got["exit"]).mean() > 0.1, "the offsets must matter"
    # by hand
    wants = np.full(FRAMES, 2)
    for e in (1, 0):
        score = every[e].scores - rows[e][every[e].classes]
        wants = np.where(score >= chosen[e], e, wants)
    assert found.got["exit"].tolist() == wants.tolist()
    assert processor.Reference(whole).classify(images, chosen)[1].tolist() == wants.tolist()
    # the driver, on the model and on the simulated device
    golden = make(tmp_path, images[:FEW])
    assert golden.exits.tolist() == wants[:FEW].tolist()
    for transport in (Modelled(tmp_path), Simulated(tmp_path)):
        with Driver(tmp_path, transport, batch=7) as device:
            assert device.offsets == offsets
            assert device.selftest(golden).images == FEW
            assert device.classify(images[:FEW]).exits.tolist() == wants[:FEW].tolist()
    labels = logits[-1].argmax(axis=1)
    subject = measure.Subject(
        images[:FEW], labels[:FEW], [x[:FEW] for x in logits], tuple(chosen), 100.0, name,
        scales=scales, offsets=offsets,
    )  # fmt: skip
    with Driver(tmp_path, Modelled(tmp_path)) as device:
        plan = measure.Plan(alone=5, curve=(), seconds=0.01)
        measure.check(measure.measure(device, subject, plan, now=time.perf_counter))


def test_without_offsets_there_is_no_table(tmp_path: Path) -> None:
    plain = samples.accelerator()
    first, second, third = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    stitch.write(plain, first)
    nothing = ((0,) * plain.classes,) * 3
    stitch.write(dataclasses.replace(plain, offsets=nothing), second)
    some = ((*range(plain.classes),), *nothing[1:])
    stitch.write(dataclasses.replace(plain, offsets=some), third)
    assert not list(first.glob("rtl/*offsets*")) + list(second.glob("rtl/decide*offsets*"))
    assert [p.name for p in third.glob("rtl/decide*offsets*")] == ["decide0_offsets.hex"]
    assert "OFFSET_" not in (first / "rtl" / "exeunt_core.sv").read_text()
    lines = (third / "rtl" / "decide0_offsets.hex").read_text().split()
    assert [int(line, 16) for line in lines] == list(range(plain.classes))


@pytest.mark.parametrize(
    ("offsets", "criterion", "said"),
    [
        (((0,) * 10,) * 2, "margin", "offsets must be 10 numbers from 0 to 1073741823 for each of "
         "3 exits, got [10, 10] from 0 to 0; calibrate again"),
        (((0,) * 9,) * 3, "margin", "got [9, 9, 9] from 0 to 0"),
        (((-1,) + (0,) * 9,) * 3, "margin", "from -1 to 0"),
        (((1 << 30,) + (0,) * 9,) * 3, "margin", "from 0 to 1073741824"),
        (((1,) * 10,) * 3, "exclusion", "offsets must go with a criterion that judges each image "
         'by itself, got "exclusion"; calibrate again'),
    ],
)  # fmt: skip
def test_offsets_that_no_hardware_has(tmp_path, offsets, criterion, said) -> None:
    whole = dataclasses.replace(samples.accelerator(), criterion=criterion, offsets=offsets)
    with pytest.raises(InputError) as caught:
        stitch.write(whole, tmp_path)
    assert said in str(caught.value)
