"""Deliberate faults on the way of heat maps to a host, and the tests that notice."""

from __future__ import annotations

from mutant import Mutant

BLOCKS = "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks"
SHELL = "rtl_tests/serial_shell/test_serial_shell.py::test_heat_maps"
LINE = "python/tests/runtime/test_serial_maps.py"
DRIVER = "python/tests/runtime/test_explanations.py"

_RING = (
    ("wire       full = count == 8'(PIECES);", "wire       full = count == 8'(PIECES + 1);"),
    ("fill_q <= last && !(&word_q);", "fill_q <= 1'b0;"),
    ("if (put) memory[{write_q[PW-1:0], word_q}] <= fill_q ? '0 : s_data;",
     "if (put) memory[{write_q[PW-1:0], word_q}] <= s_data;"),
    ("if (store) ends[write_q[PW-1:0]] <= last;", "if (store) ends[write_q[PW-1:0]] <= s_last;"),
    ("assign known = ahead <= count;", "assign known = ahead < count;"),
    ("if (pass) kept_q <= seq;", "if (pass && again) kept_q <= seq;"),
    ("(again || ahead > 8'(send_q - kept_q))", "again"),
    ("assign s_ready = flush || (!full && !fill_q);", "assign s_ready = !full && !fill_q;"),
    ("if (rst || hello || flush) begin", "if (rst || flush) begin"),
)  # fmt: skip

_DRIVER = (
    ("explanations.py", 'or (found.exit, found.class_) != (row["exit"], row["class"])', ""),
    ("explanations.py", "or found.method != METHODS[choice.method]", ""),
    ("explanations.py", "if not slots and begun == came:", "if not slots:"),
    ("explanations.py", "if not call.unchanged():", "if False:"),
    ("explanations.py", "if image in call.maps:", "if False:"),
    ("explanations.py", 'device.registers["explain_every"] = 0\n', "pass\n"),
    ("explanations.py", "lost, late = lost - missed, late - unmet", "lost, late = lost, late"),
    ("packets.py", "self._fresh and len(found) < maps.LEAST, False", "False, False"),
    (
        "packets.py",
        "self._fresh and len(found) < maps.LEAST, False",
        "len(found) < maps.LEAST, False",
    ),
    (
        "streams.py",
        "yield from answers(rows, part.first, maps)",
        "yield from answers(rows, part.first)",
    ),
)

MUTANTS = (
    *(Mutant(f"python/exeunt/runtime/{file}", old, new, DRIVER) for file, old, new in _DRIVER),
    Mutant(
        "python/exeunt/simulate/harness.cpp",
        "device->map_count < device->map_capacity &&",
        "",
        "python/tests/simulate/test_dma.py",
    ),
    Mutant(
        "hls/templates/top.sv.j2",
        "assign m_axis_map_tkeep = 4'hf;",
        "assign m_axis_map_tkeep = 4'h7;",
        "python/tests/boards/test_vivado_maps.py::test_every_byte_of_a_map_counts",
    ),
    *(
        Mutant("boards/common/rtl/ex_map_ring.sv", old, new, BLOCKS, corners="map_ring2")
        for old, new in _RING
    ),
    Mutant(
        "boards/common/rtl/ex_packet_tx.sv",
        "idle && p_valid && !begin_result && !(piece_q && a_valid)",
        "idle && p_valid && !begin_result",
        BLOCKS,
        corners="packet_tx784",
    ),
    Mutant(
        "boards/common/rtl/ex_packet_tx.sv",
        "wait_q  <= 2'd2;",
        "wait_q  <= 2'd1;",
        BLOCKS,
        corners="packet_tx784",
    ),
    Mutant(
        "boards/common/rtl/ex_packet_tx.sv",
        "p_end ? 8'h86 : 8'h85",
        "p_end ? 8'h85 : 8'h86",
        BLOCKS,
        corners="packet_tx784",
    ),
    Mutant(
        "boards/common/rtl/ex_packet_rx.sv",
        "LAST_KIND = MAPS ? 3'd7 : 3'd5;",
        "LAST_KIND = 3'd7;",
        BLOCKS,
        corners="packet_rx64",
    ),
    Mutant(
        "boards/common/rtl/ex_link.sv",
        "if ((again && known) || (map_taken && map_known)) held_q <= held_q;",
        "if (again && known) held_q <= held_q;",
        BLOCKS,
        corners="link12",
    ),
    Mutant(
        "boards/common/rtl/ex_link.sv",
        "end else if (p_kind != AGAIN && !map_known) begin",
        "end else if (1'b0) begin",
        BLOCKS,
        corners="link12",
    ),
    Mutant(
        "boards/common/rtl/ex_serial_shell.sv",
        "ex_map_ring u_maps (\n      .clk(clk), .rst(rst), .flush(flush),",
        "ex_map_ring u_maps (\n      .clk(clk), .rst(rst), .flush(1'b0),",
        SHELL,
    ),
    Mutant(
        "python/exeunt/runtime/pieces.py",
        "        if ahead:\n            return",
        "        if ahead > 1:\n            return",
        LINE,
    ),
    Mutant(
        "python/exeunt/runtime/pieces.py",
        "return ahead < 128 and not self._waiting",
        "return False",
        LINE,
    ),
    Mutant(
        "python/exeunt/runtime/serial.py",
        "the last ones may be lost\n                self._ask_pieces()",
        "the last ones may be lost\n                return None",
        LINE,
    ),
)
