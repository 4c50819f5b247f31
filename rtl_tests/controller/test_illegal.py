"""Every parameter set that a block of the controller cannot do ends elaboration with a reason."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from lib.bench import literal, rtl_sources, tools

ILLEGAL = [
    ("ex_tag", {"WIDTH": 0}, "ex_tag: WIDTH must be at least 1, is 0"),
    ("ex_tag", {"FRAME": 0}, "ex_tag: FRAME must be at least 1, is 0"),
    ("ex_tag", {"IN_FLIGHT": 0}, "ex_tag: IN_FLIGHT must be at least 1, is 0"),
    ("ex_leaders", {"CLASSES": 1}, "ex_best: CLASSES must be 2 to 65536, is 1"),
    ("ex_leaders", {"PE": 3}, "ex_best: PE 3 must divide CLASSES 10"),
    ("ex_margin", {"BITS": 32}, "ex_margin: BITS must be 2 to 31, is 32"),
    ("ex_leaders", {"BITS": 33}, "ex_best: BITS must be 2 to 32, is 33"),
    ("ex_best", {"LEVELS_A_STAGE": 0}, "ex_best: LEVELS_A_STAGE must be at least 1, is 0"),
    ("ex_softmax", {"SIZE": 3}, "ex_softmax: SIZE must be a power of two from 2 on, is 3"),
    ("ex_softmax", {"SHIFT": 31}, "ex_softmax: SHIFT must be 0 to 30, is 31"),
    ("ex_softmax", {"TABLE_BITS": 0}, "ex_softmax: TABLE_BITS must be at least 1 and the score"),
    ("ex_decide", {"CLASSES": 1}, "ex_decide: CLASSES must be 2 to 65536, is 1"),
    ("ex_decide", {"PE": 3}, "ex_decide: PE 3 must divide CLASSES 10"),
    ("ex_decide", {"BITS": 32}, "ex_decide: BITS must be 2 to 31, is 32"),
    ("ex_decide", {"SCORE_BITS": 33}, "ex_decide: SCORE_BITS must be 1 to 32, is 33"),
    ("ex_decide", {"SCORE_BITS": 0}, "ex_decide: SCORE_BITS must be 1 to 32, is 0"),
    ("ex_route", {"META": 0}, "ex_route: META must be at least 1, is 0"),
    ("ex_decide", {"META": 0}, "ex_decide: META must be at least 1, is 0"),
    (
        "ex_threshold",
        {"LEVELS": 4, "BIAS": 5, "OUT_BITS": 3},
        "ex_threshold: 5 to 9 must fit into 3 bits",
    ),
    ("ex_frame_buffer", {"WIDTH": 0}, "ex_frame_buffer: WIDTH must be at least 1, is 0"),
    ("ex_frame_buffer", {"FRAME": 0}, "ex_frame_buffer: FRAME must be at least 1, is 0"),
    ("ex_frame_buffer", {"DEPTH": 24}, "ex_frame_buffer: DEPTH 24 must be a multiple of FRAME 16"),
    ("ex_merge", {"N": 0}, "ex_merge: N must be 1 to 256, is 0"),
    ("ex_merge", {"CLASS_BITS": 17}, "ex_merge: CLASS_BITS must be 1 to 16, is 17"),
    ("ex_merge", {"SCORE_BITS": 33}, "ex_merge: SCORE_BITS must be 1 to 32, is 33"),
    ("ex_records", {"IN_FLIGHT": 3}, "ex_records: IN_FLIGHT must be a power of two from 2, is 3"),
    ("ex_merge", {"IN_FLIGHT": 12}, "ex_merge: IN_FLIGHT must be a power of two from 2, is 12"),
    ("ex_raw", {"N": 0}, "ex_raw: N must be at least 1, is 0"),
    ("ex_registers", {"EXITS": 9}, "ex_registers: EXITS must be 1 to 8, is 9"),
    (
        "ex_registers",
        {"A_TAKEN": 4},
        "ex_registers: addresses of registers per exit must be multiples of 32",
    ),
    ("ex_axil", {"ADDRESS_BITS": 2}, "ex_axil: ADDRESS_BITS must be at least 3, is 2"),
]


@pytest.mark.sim
@pytest.mark.parametrize(("module", "parameters", "message"), ILLEGAL)
def test_illegal_corner_ends_elaboration(
    module: str, parameters: Mapping[str, int], message: str, tmp_path: Path
) -> None:
    tools()
    options = [f"-G{k}={literal(v)}" for k, v in parameters.items()]
    command = ["verilator", "--lint-only", "--no-timing", "--top-module", module, *options]
    done = subprocess.run(
        [*command, *map(str, rtl_sources(module))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
