"""Some random networks the whole way; `make fuzz SEEDS=N` tries as many as you like."""

from __future__ import annotations

import json
from pathlib import Path

import fuzz
import pytest

from exeunt.config import tree


def test_a_seed_is_a_legal_config_and_always_the_same():
    texts = [fuzz.text(seed) for seed in range(20)]
    assert texts == [fuzz.text(seed) for seed in range(20)]
    assert len(set(texts)) == 20
    assert {len(tree.parse(text).model.stages) for text in texts} == {1, 2, 3, 4}


@pytest.mark.sim
@pytest.mark.parametrize("seed", [8, 9])
def test_answers_and_cycles(seed: int, tmp_path: Path):
    outcome = fuzz.attempt(seed, tmp_path)
    assert outcome.verdict == "ok", outcome.said
    assert "0 mismatches" in outcome.said
    assert len(json.loads((tmp_path / "run" / "exits.json").read_text())["thresholds"]) > 1


@pytest.mark.parametrize("seed", range(10, 22))
def test_a_random_file_is_compiled(seed: int, tmp_path: Path):
    """Its integers are those of the file, or a sentence says why not."""
    outcome = fuzz.attempt_file(seed, tmp_path, simulated=False)
    assert outcome.verdict in ("ok", "refused"), outcome.said


@pytest.mark.sim
@pytest.mark.parametrize("seed", [1, 6, 14])
def test_a_random_file_through_the_rtl(seed: int, tmp_path: Path):
    outcome = fuzz.attempt_file(seed, tmp_path)
    assert outcome.verdict == "ok", outcome.said
    assert "24 frames exact" in outcome.said


def test_a_fault_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("as in a fault")

    monkeypatch.setattr(fuzz, "_spread", broken)
    outcome = fuzz.attempt(9, tmp_path, simulated=False)
    assert outcome.fault
    assert "ZeroDivisionError: as in a fault" in outcome.said
