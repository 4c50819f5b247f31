"""Deliberate faults, each of which a named test must catch: `make mutants`.

The tree is copied to build/mutants, so nothing here is ever changed. The tests must pass in the
copy before any fault is put in, and a fault that keeps the sources from building counts as missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "build" / "mutants"
FOLDERS = ("python", "quant", "hls", "boards", "rtl_tests", "examples")
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "Makefile")
LIMIT = 900  # seconds for one test: a fault may hang it
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Mutant:
    """The fault `new` in place of the only `old` in `file`; `test` must fail with it."""

    file: str
    old: str
    new: str
    test: str


MUTANTS = (
    Mutant(
        "hls/rtl/ex_fifo.sv",
        "assign s_ready = count != COUNT_BITS'(DEPTH);",
        "assign s_ready = 1'b1;",
        "rtl_tests/fifo/test_fifo.py::test_fifo",
    ),
    Mutant(
        "hls/rtl/ex_fork.sv",
        "done0_q <= has0;",
        "done0_q <= 1'b0;",
        "rtl_tests/fork/test_fork.py::test_fork",
    ),
    Mutant(
        "hls/rtl/ex_frame_buffer.sv",
        "else if (verdict && !decide_keep && (alone ? begun : !undecided))",
        "else if (verdict && !decide_keep && alone && begun)",
        "rtl_tests/frame_buffer/test_frame_buffer.py::test_frame_buffer",
    ),
    Mutant(
        "hls/rtl/ex_decide.sv",
        "32'($signed(score_in)) >= $signed(threshold)",
        "32'($signed(score_in)) > $signed(threshold)",
        "rtl_tests/decide/test_decide.py::test_decide",
    ),
    Mutant(
        "hls/rtl/ex_axil.sv",
        "assign reg_write = write && &wstrb_q;",
        "assign reg_write = write && wstrb_q[3];",
        "rtl_tests/axil/test_axil.py::test_axil",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "address & ~12'(28);",
        "{address[11:5], 5'd0};",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "32'(index) == i && commit_q) refused_q",
        "commit_q) refused_q",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/templates/top.sv.j2",
        "assign m_axis_tkeep = 16'hffff;",
        "assign m_axis_tkeep = 16'h00ff;",
        "rtl_tests/system/test_system.py::test_system",
    ),
    Mutant(
        "hls/rtl/ex_margin.sv",
        "wins[k] = $signed(tree_max[2*k+2]) > $signed(tree_max[2*k+1]);",
        "wins[k] = $signed(tree_max[2*k+2]) >= $signed(tree_max[2*k+1]);",
        "rtl_tests/margin/test_margin.py::test_margin",
    ),
    Mutant(
        "hls/rtl/ex_threshold.sv",
        "wire                reached = {1'b0, x_q} >= threshold_q;",
        "wire                reached = {1'b0, x_q} > threshold_q;",
        "rtl_tests/threshold",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "last_sf && !last_pass ? base_q",
        "last_sf && !last_pass ? '0",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
    ),
    Mutant(
        "hls/rtl/ex_pool.sv",
        "ky_q <= (ky_end || y_end) ? '0",
        "ky_q <= ky_end ? '0",
        "rtl_tests/pool/test_pool.py",
    ),
    Mutant(
        "hls/rtl/ex_width.sv",
        "assign s_ready = !last || !valid_q || m_ready;",
        "assign s_ready = 1'b1;",
        "rtl_tests/width/test_width.py",
    ),
    Mutant(
        "hls/rtl/ex_merge.sv",
        "if (load && order) full_q[turn_q] <= 1'b0;",
        "",
        "rtl_tests/merge/test_merge.py::test_merge",
    ),
    Mutant(
        "boards/common/rtl/ex_packet_rx.sv",
        "reason_q <= crc_good ? GOOD : BAD_CRC;",
        "reason_q <= GOOD;",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
    ),
    Mutant(
        "boards/common/rtl/ex_frame_store.sv",
        "open_q  <= count_q != COUNT_BITS'(STORE);",
        "open_q  <= 1'b1;",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
    ),
    Mutant(
        "boards/common/rtl/ex_result_ring.sv",
        "wire full = &unsent;",
        "wire full = 1'b0;",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
    ),
    Mutant(
        "boards/common/rtl/ex_link.sv",
        "end else if (ahead[7]) begin",
        "end else if (ahead != '0) begin",
        "rtl_tests/serial_shell/test_serial_shell.py::test_serial_shell",
    ),
    Mutant(
        "boards/common/rtl/ex_serial_shell.sv",
        ".clk(clk), .rst(rst), .flush(flush),\n      .start(body_start)",
        ".clk(clk), .rst(rst), .flush(1'b0 && flush),\n      .start(body_start)",
        "rtl_tests/serial_shell/test_serial_shell.py::test_serial_shell",
    ),
    Mutant(
        "boards/common/rtl/ex_packet_tx.sv",
        "r_valid && !(a_valid && result_q)",
        "r_valid",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
    ),
    Mutant(
        "boards/common/rtl/ex_uart_rx.sv",
        "localparam logic [BITS-1:0] HALF = BITS'(DIVISOR / 2 - 1);",
        "localparam logic [BITS-1:0] HALF = BITS'(DIVISOR - 2);",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
    ),
    Mutant(
        "python/exeunt/runtime/serial.py",
        "        if ahead == 0:\n            self._result",
        "        if ahead < 2:\n            self._result",
        "python/tests/runtime/test_serial.py",
    ),
    Mutant(
        "python/exeunt/kernels/pool.py",
        "np.maximum(y, part, out=y)",
        "np.minimum(y, part, out=y)",
        "python/tests/kernels/test_pool.py",
    ),
    Mutant(
        "python/exeunt/kernels/parts/levels.py",
        "first = np.clip(thresholds.astype(np.int64) - low, 0, span)",
        "first = np.clip(thresholds.astype(np.int64) - low + 1, 0, span)",
        "rtl_tests/mvu/test_mvu.py::test_values_against_the_definition",
    ),
    Mutant(
        "quant/exits/calibration.py",
        "take[k] = (score[k] >= thresholds[k])",
        "take[k] = (score[k] > thresholds[k])",
        "python/tests/quant/test_calibration.py",
    ),
    Mutant(
        "python/exeunt/manifest.py",
        "if seen != recorded:",
        "if not seen:",
        "python/tests/test_manifest.py::test_refuses_rtl_changed_by_hand",
    ),
    Mutant(
        "python/exeunt/command/run.py",
        'if entry is None or entry["inputs"] != inputs:',
        "if entry is None:",
        "python/tests/command/test_run.py::test_only_what_depends_on_a_change_runs_again",
    ),
    Mutant(
        "python/exeunt/synth/counts.py",
        "known[name][unit] += value",
        "known[name][unit] = value",
        "python/tests/synth/test_counts.py::test_counts_go_down_the_hierarchy",
    ),
    Mutant(
        "quant/exits/losses.py",
        "loss = loss + weight * distill * _TEMPERATURE**2 * gap",
        "loss = loss + weight * distill * _TEMPERATURE * gap",
        "python/tests/quant/test_losses.py::test_joint_loss_by_hand",
    ),
    Mutant(
        "python/exeunt/kernels/layer.py",
        "if value % d == 0",
        "if value % d < 2",
        "python/tests/hls/test_folding.py",
    ),
)


def copy_tree() -> None:
    """A fresh copy of the sources; what was built before stays, so that little is built again."""
    for name in FOLDERS:
        shutil.rmtree(COPY / name, ignore_errors=True)
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, COPY / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, COPY / name)
    package = COPY / "path" / "exeunt"  # the import name's four folders, as the install has them
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    for path in (COPY / "python" / "exeunt").iterdir():
        (package / path.name).symlink_to(path)
    for name in ("quant", "hls", "boards"):
        (package / name).symlink_to(COPY / name)


def run(tests: list[str]) -> tuple[int, str]:
    """Exit code of pytest on `tests` in the copy (-1: too slow), and what it printed."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = str(COPY / "path")
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [*command, "-m", "not slow", *tests],
            cwd=COPY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return -1, f"no end after {LIMIT} s"
    return done.returncode, done.stdout


def attempt(mutant: Mutant) -> str:
    """Why `mutant` was missed; empty when its test caught it."""
    path = COPY / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return f"{mutant.old!r} must occur once in {mutant.file}, got {text.count(mutant.old)}"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        code, said = run([mutant.test])
    finally:
        path.write_text(text, encoding="utf-8")
    if code == -1:
        return ""  # a hang is noticed
    if "%Error" in said or "SyntaxError" in said:
        return "the fault does not build"
    return "" if code == FAILED else f"pytest ended with {code}"


def main() -> int:
    """Try all faults, or those in files whose name contains the argument."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="?", default="", help="part of a file name")
    parser.add_argument("--list", action="store_true", help="only list the faults")
    arguments = parser.parse_args()
    chosen = [m for m in MUTANTS if arguments.files in m.file]
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.file}: {mutant.old}  ->  {mutant.new}")
        return 0
    copy_tree()
    code, said = run(sorted({m.test for m in chosen}))
    if code != PASSED:
        print(f"{said}\nmutants: the tests must pass without a fault, got exit code {code}")
        return 1
    missed = 0
    for mutant in chosen:
        started = time.monotonic()
        why = attempt(mutant)
        missed += bool(why)
        seconds = time.monotonic() - started
        verdict = f"MISSED ({why})" if why else "caught"
        print(f"{verdict} {seconds:5.0f} s  {mutant.file}: {mutant.new or 'removed'}", flush=True)
    print(f"mutants: {len(chosen) - missed} of {len(chosen)} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
