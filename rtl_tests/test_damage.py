"""Damaged files end in a network or in a sentence; `python rtl_tests/damage.py N` tries more."""

from __future__ import annotations

from pathlib import Path

import damage
import onnx
import random_files


def test_a_damaged_file_is_taken_or_refused(tmp_path: Path) -> None:
    outcomes = [damage.attempt(seed, tmp_path) for seed in range(60)]
    faults = [f"seed {o.seed}: {o.said} {o.done}" for o in outcomes if o.fault]
    assert not faults, faults
    refused = [o for o in outcomes if o.verdict == "refused"]
    assert 30 < len(refused) < 60
    assert len({o.said.split(": ", 1)[1][:20] for o in refused}) > 10


def test_a_seed_always_does_the_same_damage(tmp_path: Path) -> None:
    models = [onnx.load(str(random_files.Random(7).save(tmp_path).path)) for _ in range(2)]
    assert damage.damaged(models[0], 3) == damage.damaged(models[1], 3)
    assert models[0].SerializeToString() == models[1].SerializeToString()
