"""The serial shell from its pins, and at its corners through the linter and Yosys."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.bench import BUILD, SHELL, Corner, Port, build_and_test, flat_wrapper, rtl_sources
from lib.yosys import findings, run
from serial_shell import explained, mapping
from serial_shell.design import sources, stub_core
from test_lint import lint

CORNERS = [
    {"DIVISOR": 16, "WIDTH": 8, "FRAME": 784, "EXITS": 3},
    {"DIVISOR": 8, "WIDTH": 1, "FRAME": 1, "EXITS": 1, "STORE": 1},
    {"DIVISOR": 417, "WIDTH": 24, "FRAME": 1024, "EXITS": 8, "STORE": 4},
    {"DIVISOR": 20, "WIDTH": 13, "FRAME": 5, "EXITS": 2, "STORE": 3, "IDLE_BITS": 40},
]


def corner(parameters: dict[str, int]) -> Corner:
    ports = (Port("rx"), Port("tx", output=True), Port("led", 8, output=True))
    return Corner("shell", "ex_serial_shell", parameters, ports)


@pytest.mark.sim
def test_serial_shell() -> None:
    build_and_test(
        "bench", sources(), block="serial_shell", test_module="serial_shell.serial_shell_cocotb"
    )


@pytest.mark.sim
def test_heat_maps() -> None:
    build_and_test(
        "bench",
        mapping.sources(),
        block="serial_maps",
        test_module="serial_shell.maps_cocotb",
        build_args=["-DEX_MAPS"],
    )


@pytest.mark.sim
@pytest.mark.slow
def test_the_driver_gets_heat_maps_at_the_pins() -> None:
    made, images = explained.design()
    build_and_test(
        "bench",
        explained.sources(made),
        block="serial_explained",
        test_module="serial_shell.explained_cocotb",
        memories=explained.memories(made),
        data=((), (str(made.folder), images)),
        build_args=["-DEX_MAPS"],
    )


@pytest.mark.sim
def test_lint_is_silent_with_heat_maps(tmp_path: Path) -> None:
    core, wrapper = tmp_path / "exeunt_core.sv", tmp_path / "bench.sv"
    core.write_text(mapping.core())
    wrapper.write_text(mapping.bench().replace(mapping.PUBLIC, ""))
    files = [*rtl_sources("ex_serial_shell"), core, wrapper]
    assert lint(tmp_path, "bench", files, "-DEX_MAPS") == (0, "")


@pytest.mark.sim
@pytest.mark.parametrize("parameters", CORNERS)
def test_lint_is_silent(parameters: dict[str, int], tmp_path: Path) -> None:
    core, wrapper = tmp_path / "exeunt_core.sv", tmp_path / "bench.sv"
    core.write_text(stub_core(parameters["WIDTH"], parameters["EXITS"]))
    wrapper.write_text(flat_wrapper([corner(parameters)]))
    found = lint(tmp_path, "bench", [*rtl_sources("ex_serial_shell"), core, wrapper])
    assert found == (0, "")


@pytest.mark.sim
def test_a_frame_too_long_is_refused(tmp_path: Path) -> None:
    core = tmp_path / "exeunt_core.sv"
    core.write_text(stub_core(24, 1))
    files = [*rtl_sources("ex_serial_shell"), core]
    options = ["-GWIDTH=24", "-GFRAME=30000", "-GEXITS=1"]
    code, text = lint(tmp_path, "ex_serial_shell", files, *options)
    assert code != 0
    assert "ex_packet_rx: IMAGE_BYTES must be 1 to 65535, is 90000" in text


@pytest.mark.synth
@pytest.mark.parametrize("target", ["generic", pytest.param("ecp5", marks=pytest.mark.slow)])
def test_yosys_takes_the_shell(target: str) -> None:
    """The widest corner, and its memories in block memory."""
    parameters = CORNERS[2]
    text = stub_core(parameters["WIDTH"], parameters["EXITS"])
    wrapper = text + flat_wrapper([corner(parameters)])
    folder = BUILD / f"serial_shell_{target}"
    log, modules = run(folder, wrapper, rtl_sources("ex_serial_shell"), {}, target)
    assert findings(log) == []
    assert len(modules) > 8
    if target == "ecp5":
        cells = [m.get("num_cells_by_type", {}) for m in modules.values()]
        assert sum(c.get("DP16KD", 0) for c in cells) >= 2 + 6


@pytest.mark.synth
def test_yosys_takes_the_shell_with_heat_maps(tmp_path: Path) -> None:
    files = {path.name: path for path in rtl_sources("ex_serial_shell")}
    shell = tmp_path / "ex_serial_shell.sv"
    shell.write_text("`define EX_MAPS\n" + files[shell.name].read_text())
    files[shell.name] = shell
    wrapper = mapping.core() + mapping.bench().replace(mapping.PUBLIC, "")
    log, modules = run(BUILD / "serial_maps_yosys", wrapper, list(files.values()), {}, "generic")
    assert findings(log) == []
    assert [name for name in modules if "ex_map_ring" in name]


def test_every_module_has_a_row_in_the_table() -> None:
    table = (SHELL / "README.md").read_text(encoding="utf-8")
    assert [p.stem for p in sorted(SHELL.glob("*.sv")) if f"| `{p.stem}` |" not in table] == []
