"""Verilator has nothing to say about any block at any corner, and illegal corners are refused."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from lib.bench import RTL, SHELL, Corner, corner_sources, flat_wrapper, literal, rtl_sources, tools
from lib.blocks import corners, untested

from exeunt.hls.back.kernels import registry

BLOCKS = corners()


def lint(folder: Path, top: str, sources: list[Path], *options: str) -> tuple[int, str]:
    """Exit code and messages of `verilator --lint-only -Wall`."""
    tools()
    command = [
        "verilator",
        "--lint-only",
        "-Wall",
        "--quiet",
        "--no-timing",
        "--top-module",
        top,
        *options,
    ]
    done = subprocess.run(
        [*command, *map(str, sources)], cwd=folder, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.sim
@pytest.mark.parametrize("block", BLOCKS)
def test_lint_is_silent(block: str, tmp_path: Path) -> None:
    wrapper = tmp_path / "bench.sv"
    wrapper.write_text(flat_wrapper(BLOCKS[block]))
    sources = corner_sources(BLOCKS[block], tmp_path)
    code, text = lint(tmp_path, "bench", [*sources, wrapper])
    assert (code, text) == (0, "")


BULK = [block for block, found in BLOCKS.items() if any(c.sleeps for c in found)]


@pytest.mark.sim
@pytest.mark.parametrize("block", BULK)
def test_lint_is_silent_in_the_bulk_simulation(block: str, tmp_path: Path) -> None:
    """Where a kernel says whether it is busy: one corner in four, since ports are the same."""
    some = BLOCKS[block][::4]
    wrapper = tmp_path / "bench.sv"
    wrapper.write_text(flat_wrapper(some))
    sources = corner_sources(some, tmp_path)
    assert lint(tmp_path, "bench", [*sources, wrapper], "-DEX_BULK") == (0, "")


@pytest.mark.sim
@pytest.mark.parametrize("module", untested())
def test_lint_is_silent_at_the_defaults(module: str, tmp_path: Path) -> None:
    """Blocks that are tested inside the controller only."""
    for options in ([], ["-DEX_BULK"]):
        assert lint(tmp_path, module, rtl_sources(module), *options) == (0, "")


# Yosys 0.70 reads ~8'(x) as (~8)'(x), a cast to another size, without a word; -int'(x) well
SIGNED_SIZE = re.compile(r"(?:^|[^\w)\]}\s])\s*[~!+-]\s*(?:(?!int\b)\w+|\([^()]*\))'\(")


def misread(text: str) -> list[str]:
    """Lines of SystemVerilog with an operator of one operand right before a cast to a size."""
    return [line for line in text.splitlines() if SIGNED_SIZE.search(line.split("//")[0])]


def test_no_operator_stands_before_a_cast() -> None:
    assert misread("a & ~12'(28)")
    assert misread("x = -N'(y);")
    assert misread("f(!(W + 1)'(y))")
    assert not misread("a - N'(y)")
    assert not misread("b[0] - 3'(y) + (N + 1)'(z)")
    assert not misread("a & ~(12'(28))")
    for folder in (RTL, RTL.parent / "templates", SHELL):
        for path in sorted(folder.glob("*.sv*")):
            assert misread(path.read_text()) == [], path.name


ILLEGAL: list[tuple[str, Mapping[str, int | str], str]] = [
    ("ex_fifo", {"DEPTH": -1}, "ex_fifo: DEPTH must be at least 1, is -1"),
    ("ex_fifo", {"WIDTH": 0}, "ex_fifo: WIDTH must be at least 1, is 0"),
    ("ex_fork", {"WIDTH": 0}, "ex_fork: WIDTH must be at least 1, is 0"),
    ("ex_explain_encode", {"BITS": 3}, "ex_explain_encode: BITS must be 4 to 14, is 3"),
    ("ex_explain_encode", {"BITS": 15}, "ex_explain_encode: BITS must be 4 to 14, is 15"),
    ("ex_explain_encode", {"MOST": 0}, "ex_explain_encode: MOST must be at least 1, is 0"),
    ("ex_explain_encode", {"CODE": 3}, "ex_explain_encode: CODE must be 0, 1 or 2, is 3"),
    ("ex_explain_levels", {"CHANNELS": 17}, "CHANNELS must be 1 to 16, with BITS 8 not 17"),
    ("ex_explain_gather", {"LANES": 3}, "ex_explain_gather: LANES must divide C 8, not be 3"),
    (
        "ex_explain_gather",
        {"LANES": 24, "C": 48},
        "LANES above 16 must be a multiple of 16 or C 48, not 24",
    ),
    ("ex_explain_gather", {"BITS": 0}, "BITS and POSITIONS must be at least 1, not 0 and 4"),
    ("ex_explain_pool", {"C": 4, "LANES": 3}, "ex_explain_pool: LANES must divide C 4, not be 3"),
    ("ex_explain_pool", {"KW": 5}, "KH x KW must lie inside H x W 4x4, not be 2x5"),
    (
        "ex_explain_store",
        {"SLOTS": 0},
        "ex_explain_store: WIDTH, WORDS and SLOTS must be at least 1, are 8, 4 and 0",
    ),
    ("ex_explain_store", {"WIDE": 3}, "ex_explain_store: WIDE must divide WORDS 4, not be 3"),
    ("ex_explain_choose", {"ASKED": 0}, "SLOTS and ASKED must be at least 1, are 2 and 0"),
    ("ex_explain_choose", {"EXITS": 257}, "ex_explain_choose: EXITS must be 1 to 256, is 257"),
    ("ex_explain_choose", {"CLASS_BITS": 17}, "CLASS_BITS must be 1 to 16, is 17"),
    ("ex_explain_slots", {"SLOTS": 0}, "SLOTS and EXITS must be at least 1, are 0 and 2"),
    ("ex_explain_slots", {"IN_FLIGHT": 12}, "IN_FLIGHT must be a power of two from 2 on, is 12"),
    ("ex_explain_tap", {"IN_FLIGHT": 12}, "IN_FLIGHT must be a power of two, is 12"),
    ("ex_explain_tap", {"LANES": 3}, "ex_explain_gather: LANES must divide C 8, not be 3"),
    ("ex_map_ring", {"PIECES": 100}, "PIECES must be a power of two from 2 to 128, is 100"),
    ("ex_map_ring", {"PIECES": 256}, "PIECES must be a power of two from 2 to 128, is 256"),
    ("ex_threshold", {"PE": 0}, "ex_threshold: PE must be 1 to 999, is 0"),
    ("ex_threshold", {"LEVELS": 256}, "ex_threshold: LEVELS must be 1 to 255, is 256"),
    ("ex_threshold", {"OUT_BITS": 2}, "ex_threshold: OUT_BITS must be >= 4, is 2"),
    ("ex_threshold", {"FOLDS": 0}, "ex_threshold: FOLDS must be at least 1, is 0"),
    ("ex_mvu", {"SIMD": 3}, "ex_mvu: SIMD must divide MW 8, not be 3"),
    ("ex_mvu", {"PE": 3}, "ex_mvu: PE must divide the 4 rows of a part"),
    ("ex_mvu", {"PARTS": 3}, "ex_mvu: ARMS must divide PARTS and PARTS MH 4, not be 1 and 3"),
    ("ex_mvu", {"PARTS": 4, "ARMS": 3}, "ex_mvu: ARMS must divide PARTS and PARTS MH 4"),
    ("ex_mvu", {"PARTS": 2, "ARMS": 2}, "or be those of all 2 arms, not be 2"),
    (
        "ex_mvu",
        {"W_BITS": 1},
        "ex_mvu: W_BITS must be 1 or 2 with SIGNS and at least 2 without, is 1",
    ),
    (
        "ex_mvu",
        {"SIGNS": 1},
        "ex_mvu: W_BITS must be 1 or 2 with SIGNS and at least 2 without, is 4",
    ),
    ("ex_mvu", {"SIGNS": 1, "W_BITS": 1}, "ex_mvu: SIGNS need thresholds or constants of rows"),
    ("ex_mvu", {"ACC_BITS": 33, "OUT_BITS": 33}, "ex_mvu: ACC_BITS must be 2 to 32, is 33"),
    ("ex_mvu", {"OUT_BITS": 8}, "ex_mvu: OUT_BITS must be ACC_BITS 16 without thresholds, is 8"),
    ("ex_mvu", {"EDGES": 1}, "ex_mvu: EDGES need thresholds, not LEVELS 0"),
    ("ex_mvu", {"MULTIPLIERS": 4}, "ex_mvu: MULTIPLIERS must be 0 to 3, 0 with SIGNS, not 3 with"),
    ("ex_mvu", {"MULTIPLIERS": 3, "IN_SIGNED": 1}, "not 3 with IN_SIGNED, is 3"),
    ("ex_packed", {"N": 5}, "N weights of 4 bits must take 1 to 25 bits 7 apart, N is 5"),
    ("ex_sparse", {"LANES": 3}, "ex_sparse: LANES must divide MW 8, not be 3"),
    ("ex_sparse", {"SIMD": 4}, "ex_sparse: SIMD must divide LANES 2, not be 4"),
    ("ex_sparse", {"PE": 3}, "ex_sparse: PE must divide MH 4, not be 3"),
    ("ex_sparse", {"SCHEDULED": 1, "BANKS": 3}, "ex_sparse: BANKS must divide PE 2, not be 3"),
    ("ex_sparse", {"SCHEDULED": 1, "QUEUE": 3}, "ex_sparse: QUEUE must be a power of two"),
    ("ex_sparse", {"SCHEDULED": 1, "STEPS": 1}, "STEPS one a row at least, not 1 and 1"),
    ("ex_sparse", {"STEPS": 7}, "must be SIMD, 1, 1, 8 without SCHEDULED, not 7"),
    ("ex_sparse", {"W_BITS": 1}, "ex_sparse: W_BITS must be at least 2, or 1 and below KEY_BITS 0"),
    ("ex_sparse", {"W_BITS": 3, "KEY_BITS": 3}, "or 1 and below KEY_BITS 3, is 3"),
    ("ex_sparse", {"OUT_BITS": 8}, "and OUT_BITS without thresholds, not 16 and 8"),
    ("ex_sparse", {"SEARCH": 3}, "ex_sparse: SEARCH must divide PE 2, not be 3"),
    (
        "ex_search",
        {"SEARCH": 4},
        "ex_search: SEARCH must divide PE and PE CHANNELS 4, not be 4 and",
    ),
    ("ex_sparse", {"EDGES": 1}, "ex_sparse: EDGES need thresholds, not LEVELS 0"),
    (
        "ex_width",
        {"OUT_WIDTH": 12},
        "one width must divide the other, not IN_WIDTH 8 and OUT_WIDTH 12",
    ),
    ("ex_swg", {"C": 4, "SIMD": 3}, "ex_swg: BLOCKS * SIMD must divide C 4, not be 1 * 3"),
    ("ex_swg", {"C": 4, "SIMD": 2, "BLOCKS": 4}, "ex_swg: BLOCKS * SIMD must divide C 4, not be"),
    ("ex_swg", {"DW": 0}, "ex_swg: DH and DW must be at least 1, not 1 and 0"),
    ("ex_swg_parallel", {"DH": 0}, "ex_swg_parallel: DH and DW must be at least 1, not 0 and 1"),
    ("ex_swg_parallel", {"C": 4, "BLOCKS": 3}, "ex_swg_parallel: BLOCKS must divide C 4, not be 3"),
    ("ex_swg", {"KH": 9}, "ex_swg: a window must lie inside the padded frame 4x4, not be 9x3"),
    (
        "ex_swg",
        {"PL": 3},
        "ex_swg: PT, PB must be below 3 rows and PL, PR below 3 columns, not 0 0 3 0",
    ),
    ("ex_swg", {"SW": 0}, "ex_swg: SH and SW must be at least 1, not 1 and 0"),
    ("ex_swg_parallel", {"KW": 5}, "ex_swg_parallel: a window must lie in the padded frame 4x4"),
    ("ex_swg_parallel", {"PB": 3}, "ex_swg_parallel: PT, PB must be below EH 3"),
    ("ex_swg_parallel", {"SH": 0}, "ex_swg_parallel: SH and SW must be at least 1, not 0 and 1"),
    ("ex_swg_parallel", {"SW": 0}, "ex_swg_parallel: SH and SW must be at least 1, not 1 and 0"),
    (
        "ex_swg_parallel",
        {"W": 2, "KW": 7, "PL": 3, "PR": 3},
        "ex_swg_parallel: the padding on the right must not reach over a whole row, W 2",
    ),
    ("ex_pool", {"C": 4, "LANES": 3}, "ex_pool: LANES must divide C 4, not be 3"),
    ("ex_pool", {"KW": 5}, "ex_pool: KH x KW must lie inside H x W 4x4, not be 2x5"),
    ("ex_pool", {"OUT_BITS": 3}, "ex_accumulate: OUT_BITS must be at least IN_BITS 4, not 3"),
    ("ex_pool", {"FUNCTION": 2}, "ex_accumulate: FUNCTION must be 0 or 1, not 2"),
    ("ex_reduce", {"C": 4, "LANES": 3}, "ex_reduce: LANES must divide C 4, not be 3"),
    ("ex_add", {"LANES": 0}, "ex_add: LANES must be at least 1, is 0"),
    ("ex_add", {"A_BITS": 0}, "ex_add: elements must have 1 to 32 bits, are 0, 4 and 5"),
    ("ex_add", {"B_BITS": 33}, "ex_add: elements must have 1 to 32 bits, are 4, 33 and 5"),
    ("ex_add", {"OUT_BITS": 33}, "ex_add: elements must have 1 to 32 bits, are 4, 4 and 33"),
    (
        "ex_concat",
        {"B_WORDS": 0},
        "ex_concat: LANES, A_WORDS and B_WORDS must be at least 1, are 1, 1 and 0",
    ),
    (
        "ex_concat",
        {"LANES": 0},
        "ex_concat: LANES, A_WORDS and B_WORDS must be at least 1, are 0, 1 and 1",
    ),
    ("ex_concat", {"B_BITS": 0}, "ex_concat: elements must have 1 to 32 bits, are 4, 0 and 4"),
    ("ex_concat", {"OUT_BITS": 40}, "ex_concat: elements must have 1 to 32 bits, are 4, 4 and 40"),
    ("ex_rules", {"SLOTS": 0}, "ex_rules: SLOTS must be at least 1, is 0"),
    ("ex_rules", {"RULES": 256}, "ex_rules: RULES must be 1 to 255, is 256"),
    ("ex_rules", {"WIDTH": 256}, "ex_rules: HEIGHT and WIDTH must be at most 255, are 8 and 256"),
    ("ex_rules", {"TABLES": 256}, "ex_rules: TABLES must be 0 to 255, is 256"),
    ("ex_rules", {"FOLD": 0}, "LANES, FOLD, HEIGHT and WIDTH must be at least 1, are 1, 0, 8, 8"),
    ("ex_rules", {"LOOKS": 3}, "ex_rules: LOOKS must be 0 to 2, is 3"),
    ("ex_rules", {"PLACES": 0}, "ex_rules: PLACES must be at least 1, is 0"),
    ("ex_look_buffer", {"WIDTH": 0}, "ex_look_buffer: WIDTH must be at least 1, is 0"),
    ("ex_look_buffer", {"FRAME": 0}, "ex_look_buffer: FRAME must be at least 1, is 0"),
    (
        "ex_look_buffer",
        {"DEPTH": 24},
        "ex_look_buffer: DEPTH 24 must be a multiple of FRAME 16",
    ),
    ("ex_rules", {"HEIGHT": 1, "WIDTH": 1}, "ex_rules: a frame must have at least 2 beats, has 1"),
    ("ex_looks", {"LOOKS": 0}, "ex_looks: LOOKS must be 1 or 2, is 0"),
    ("ex_looks", {"PE": 3}, "ex_looks: PE 3 must divide CLASSES 10"),
    ("ex_looks", {"SLOTS": 0}, "ex_looks: SLOTS must be at least 1, is 0"),
    ("ex_measure", {"INK": 0}, "ex_measure: INK and EDGE must be 1 to 255, are 0 and 32"),
    ("ex_measure", {"CONDITIONS": 0}, "CONDITIONS, RULES and LISTS must be at least 1, are 0, 1"),
    ("ex_measure", {"LIMIT_BITS": 26}, "ex_measure: LIMIT_BITS must be 1 to 25, is 26"),
    ("ex_duplicate", {"WIDTH": 0}, "ex_fork: WIDTH must be at least 1, is 0"),
    ("ex_uart_rx", {"DIVISOR": 7}, "ex_uart_rx: DIVISOR must be 8 to 65535, is 7"),
    ("ex_frame_store", {"FRAME": 0}, "ex_frame_store: FRAME must be at least 1, is 0"),
    ("ex_packet_tx", {"STORE": 256}, "ex_packet_tx: STORE must be 1 to 255, is 256"),
    ("ex_decide", {"HELD": 31, "LIMIT": 0}, "ex_decide: HELD must be 0 or 2 to 30, is 31"),
    ("ex_decide", {"HELD": 1, "LIMIT": 0}, "ex_decide: HELD must be 0 or 2 to 30, is 1"),
    (
        "ex_decide",
        {"HELD": 9, "LIMIT": 1},
        "ex_decide: LIMIT must be 0 with HELD, score_limit would",
    ),
    ("ex_hold", {"EXITS": 8}, "ex_hold: EXITS must be 1 to 7, is 8"),
    ("ex_hold", {"HELD": 1}, "ex_band: HELD must be 2 to 30, is 1"),
    (
        "ex_hold",
        {"A_BAND": 4},
        "ex_hold: addresses of registers per exit must be multiples of 32",
    ),
    ("ex_accumulate", {"WORDS": 3}, "ex_accumulate: AW must address WORDS 3, not be 1"),
]


@pytest.mark.sim
@pytest.mark.parametrize(("module", "parameters", "message"), ILLEGAL)
def test_illegal_corner_ends_elaboration(
    module: str, parameters: Mapping[str, int | str], message: str, tmp_path: Path
) -> None:
    options = [f"-G{k}={literal(v)}" for k, v in parameters.items()]
    code, text = lint(tmp_path, module, rtl_sources(module), *options)
    assert code != 0
    assert message in text


@pytest.mark.sim
def test_lint_can_fail(tmp_path: Path) -> None:
    """A block with an unused signal is caught."""
    source = tmp_path / "ex_fork.sv"
    text = (RTL / "ex_fork.sv").read_text()
    source.write_text(text.replace("  logic done0_q", "  logic spare_q;\n  logic done0_q"))
    wrapper = tmp_path / "bench.sv"
    wrapper.write_text(flat_wrapper([Corner("fork", "ex_fork", {}, BLOCKS["fork"][1].ports)]))
    code, text = lint(tmp_path, "bench", [source, wrapper])
    assert code != 0
    assert "spare_q" in text


def test_every_module_has_a_row_in_the_table() -> None:
    table = (RTL / "README.md").read_text(encoding="utf-8")
    printed = {m for b in registry.backends().values() for m in b.modules}  # by the table of kinds
    names = [p.stem for p in sorted(RTL.glob("*.sv")) if p.stem not in printed]
    assert [name for name in names if f"| `{name}` |" not in table] == []
