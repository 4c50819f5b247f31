"""The line is idle from power-up on, where registers are 0, before the first clock edge."""

from __future__ import annotations

import pytest
from lib.bench import BUILD, build_and_test, rtl_sources
from serial_shell.design import stub_core


@pytest.mark.sim
def test_power_up() -> None:
    folder = BUILD / "power_up"
    folder.mkdir(parents=True, exist_ok=True)
    wrapper = folder / "bench.sv"
    public = "/* verilator public_flat_rw */"
    wrapper.write_text(
        stub_core(8, 3) + f"module bench (input wire clk {public}, input wire rst {public},\n"
        f"  input wire rx {public}, output wire tx {public}, output wire [7:0] led {public});\n"
        "  ex_serial_shell u (.clk(clk), .rst(rst), .rx(rx), .tx(tx), .led(led));\nendmodule\n"
    )
    build_and_test(
        "bench",
        [*rtl_sources("ex_serial_shell"), wrapper],
        block="power_up",
        test_module="serial_shell.power_up_cocotb",
        build_args=["--x-initial", "0"],
    )
