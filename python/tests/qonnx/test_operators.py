"""One list of operators: what it says is what the reader does and what the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.qonnx import layers, operators, qcdq, quantizer

README = Path(__file__).parents[3] / "hls" / "README.md"


def test_the_table_of_the_readme_is_the_list() -> None:
    found = re.search(
        r"<!-- operators: begin -->\n(.*)\n<!-- operators: end -->", README.read_text(), re.DOTALL
    )
    assert found is not None
    assert found.group(1) == operators.table()


def test_the_reader_has_every_operator_of_the_list_and_no_other() -> None:
    assert set(layers.LAYERS) | {"IntQuant", "Sum", *qcdq.OPERATORS} == operators.NAMES


def test_constants_are_divided_in_float32_as_qonnx_does() -> None:
    """0.25 / 0.1 is 2.5 there, and 2.49999996 with the same numbers in float64."""
    scale, zero = np.float32(0.1), np.float32(0.0)
    found = quantizer.Quantizer(np.asarray(scale), np.asarray(zero), -8, 7, "HALF_UP")
    assert found.constants(np.array([0.25, -0.25, 0.24])).tolist() == [3.0, -3.0, 2.0]


HALVES = np.array([-2.5, -1.75, -1.5, -0.5, -0.25, 0.0, 0.25, 0.5, 1.5, 1.75, 2.5])
ROUNDED = {
    "ROUND": [-2, -2, -2, 0, 0, 0, 0, 0, 2, 2, 2],
    "HALF_EVEN": [-2, -2, -2, 0, 0, 0, 0, 0, 2, 2, 2],
    "CEIL": [-2, -1, -1, 0, 0, 0, 1, 1, 2, 2, 3],
    "FLOOR": [-3, -2, -2, -1, -1, 0, 0, 0, 1, 1, 2],
    "UP": [-3, -2, -2, -1, -1, 0, 1, 1, 2, 2, 3],
    "DOWN": [-2, -1, -1, 0, 0, 0, 0, 0, 1, 1, 2],
    "ROUND_TO_ZERO": [-2, -1, -1, 0, 0, 0, 0, 0, 1, 1, 2],
    "HALF_UP": [-3, -2, -2, -1, 0, 0, 0, 1, 2, 2, 3],
    "HALF_DOWN": [-2, -2, -1, 0, 0, 0, 0, 0, 1, 2, 2],
}


@pytest.mark.parametrize("mode", quantizer.ROUNDING)
def test_rounding_modes_by_hand_and_in_qonnx(mode: str) -> None:
    from qonnx.custom_op.general.intquant import resolve_rounding_mode

    assert quantizer.ROUNDING[mode](HALVES).tolist() == ROUNDED[mode]
    if mode != "ROUND_TO_ZERO":  # Brevitas's name, which QONNX does not know
        assert resolve_rounding_mode(mode)(HALVES).tolist() == ROUNDED[mode]
    found = quantizer.Quantizer(np.ones(()), np.zeros(()), -8, 7, mode)
    one, none = np.ones(()), np.zeros(())
    # what float32 may have done to a tie does not matter
    for noise in (0.0, 1.7e-7, -1.7e-7):
        levels = found.levels(HALVES * (1 + noise), scale=one, zero=none)
        assert levels.tolist() == ROUNDED[mode]


def test_a_tie_is_as_wide_as_its_scales_are_wrong_in_float32() -> None:
    """3 * 2^-24 of the value, and of 1 where it is below; that is 1.79e-7."""
    found = quantizer.Quantizer(np.ones(()), np.zeros(()), 0, 255)
    one, none = np.ones(()), np.zeros(())
    near = np.array([70.5 * (1 + 1.7e-7), 70.5 * (1 - 1.7e-7), 0.5 + 1.7e-7, 2.5 + 4.4e-7])
    assert found.levels(near, scale=one, zero=none).tolist() == [70, 70, 0, 2]
    off = np.array([70.5 * (1 + 1.9e-7), 71.5 * (1 - 1.9e-7), 0.5 + 1.9e-7, 2.5 + 4.6e-7])
    assert found.levels(off, scale=one, zero=none).tolist() == [71, 71, 1, 3]


SCALE, ZERO, FOUR = np.float32(0.5), np.float32(0), np.float32(4)


@pytest.mark.parametrize(
    ("attributes", "parameters", "sentence"),
    [
        (
            {"rounding_mode": b"STOCHASTIC"},
            [SCALE, ZERO, FOUR],
            "X must round by one of ROUND, HALF_EVEN, CEIL, FLOOR, UP, DOWN, ROUND_TO_ZERO, "
            "HALF_UP, HALF_DOWN but has the rounding mode STOCHASTIC; use another one",
        ),
        (
            {},
            [np.zeros((2, 1), np.float32), ZERO, FOUR],
            "X must have a finite scale other than zero but has 2 from 0 to 0; "
            "train the network again",
        ),
        (
            {},
            [np.float32(np.nan), ZERO, FOUR],
            "X must have a finite scale other than zero but has nan; train the network again",
        ),
        (
            {},
            [SCALE, np.float32(0.5), FOUR],
            "X must have a whole zero point but has 0.5; quantize with an integer zero point or "
            "none",
        ),
        (
            {},
            [SCALE, ZERO, np.array([4, 5], np.float32)],
            "X must have one whole bit width of 1 to 64 but has 2 from 4 to 5; use the same "
            "width for all of it",
        ),
        (
            {},
            [SCALE, ZERO, np.float32(2.5)],
            "X must have one whole bit width of 1 to 64 but has 2.5; use the same width for all "
            "of it",
        ),
        (
            {},
            [SCALE, None, FOUR],
            "X must have a constant scale, zero point and bit width but computes one of them; "
            "export the network in evaluation mode",
        ),
        (
            {"signed": 0, "narrow": 1},
            [SCALE, ZERO, np.float32(1)],
            "X must have two levels or more but has one; use more bits",
        ),
    ],
)
def test_quantizers_that_none_can_be(attributes: dict, parameters: list, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        quantizer.parse("Quant", attributes, parameters, "X")
    assert str(error.value) == sentence
