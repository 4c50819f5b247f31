"""The throughput that an optimised folding is said to have is that of its RTL."""

from __future__ import annotations

from pathlib import Path

import optimised
import pytest


@pytest.mark.sim
@pytest.mark.parametrize("seed", [3000, 3020])
def test_predicted_cycles_are_simulated(seed: int, tmp_path: Path) -> None:
    found = optimised.attempt(seed, tmp_path, frames=96)
    assert found.simulated > 0, found.said
    assert found.wrong == 0
    assert found.exact
    assert found.error <= 0.02
    assert found.early <= 0.02
