"""Constant matrices in logic against their reference."""

from pathlib import Path

import pytest
from lib.bench import check_stream_block
from lib.yosys import measure
from logic.corners import CORNERS, corner, full_grid

from exeunt.graph import Integer
from exeunt.synth.counts import XC7_LUTS


@pytest.mark.sim
def test_logic() -> None:
    check_stream_block("logic", CORNERS)


@pytest.mark.sim
@pytest.mark.slow
def test_logic_full_grid() -> None:
    check_stream_block("logic_full", full_grid(), frames=2)


def _luts(
    folder: Path, bits: int, zeros: float, shape: tuple[int, int] = (16, 72), inputs: int = 4
) -> tuple[int, int]:
    """LUT of a matrix, counted and predicted."""
    found = corner(shape, bits, Integer(inputs), zeros)
    (counted,) = measure(folder, [found], XC7_LUTS)
    assert counted["dsp"] == 0
    return counted["lut"], found.node.luts


@pytest.mark.synth
def test_a_small_matrix(tmp_path: Path) -> None:
    counted, predicted = _luts(tmp_path, 4, 0.0, (8, 9), 8)
    assert counted <= 700
    assert abs(predicted - counted) < 0.15 * counted


@pytest.mark.synth
@pytest.mark.slow
def test_zeros_are_free(tmp_path: Path) -> None:
    (dense, predicted), (half, fewer) = (_luts(tmp_path, 2, zeros) for zeros in (0.0, 0.5))
    assert dense <= 2300
    assert half <= 0.65 * dense
    assert abs(predicted - dense) < 0.1 * dense
    assert abs(fewer - half) < 0.1 * half


@pytest.mark.synth
@pytest.mark.slow
def test_four_bits(tmp_path: Path) -> None:
    (dense, predicted), (half, _) = (_luts(tmp_path, 4, zeros) for zeros in (0.0, 0.5))
    assert dense <= 5700
    assert half <= 0.65 * dense
    assert abs(predicted - dense) < 0.1 * dense
