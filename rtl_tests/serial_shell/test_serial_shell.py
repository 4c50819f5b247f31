"""The serial shell from its pins, at all supported corners through the linter and Yosys."""

from __future__ import annotations

import pytest
from lib.bench import build_and_test
from serial_shell.design import sources


@pytest.mark.sim
def test_serial_shell() -> None:
    build_and_test(
        "bench", sources(), block="serial_shell", test_module="serial_shell.serial_shell_cocotb"
    )
