"""A whole accelerator in cocotb, through its AXI ports."""

import pytest
from lib.bench import build_and_test
from system.design import memories, prepare


@pytest.mark.sim
def test_system() -> None:
    _, case, sources = prepare()
    build_and_test(
        "bench",
        sources,
        block="system",
        test_module="system.system_cocotb",
        memories=memories(case),
        data=case,
    )
