"""Every deliberate fault of mutants.py can still be put in: its place and its test are there."""

from __future__ import annotations

from pathlib import Path

import mutants
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda m: f"{Path(m.file).name}:{m.new}")
def test_place_and_test_are_there(mutant: mutants.Mutant):
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1, f"{mutant.file}: {mutant.old}"
    file, _, name = mutant.test.partition("::")
    assert (ROOT / file).exists(), file  # a folder: all its tests
    if name:
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), mutant.test
