"""Stands in for the program `vivado`: records how it was called and answers as FAKE_VIVADO says.

good, slow (misses its clock), broken (an error of synthesis), dead (killed half-way), silent (ends
as if well, with half of its files), hung (runs until it is killed), new and odd (other versions).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

UTILIZATION = """
+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs*                | 10321 |     0 |          0 |     53200 | 19.40 |
|   LUT as Logic             |  9821 |     0 |          0 |     53200 | 18.46 |
| Slice Registers            | 12044 |     0 |          0 |    106400 | 11.32 |
| Block RAM Tile    |  9.5 |     0 |          0 |       140 |  6.79 |
|   RAMB36/FIFO*    |    8 |     0 |          0 |       140 |  5.71 |
| DSPs           |   24 |     0 |          0 |       220 | 10.91 |
"""
POWER = """
| Total On-Chip Power (W)  | 1.643        |
| Dynamic (W)              | 1.501        |
| Device Static (W)        | 0.142        |
"""


def main() -> int:
    mode = os.environ["FAKE_VIVADO"]
    record = {"arguments": sys.argv[1:], "folder": os.getcwd(), "pid": os.getpid()}
    with Path(os.environ["FAKE_VIVADO_RECORD"]).open("a") as stream:
        stream.write(json.dumps(record) + "\n")
    if "-version" in sys.argv:
        release = {"new": "v2031.1", "odd": "1.0"}.get(mode, "v2023.2")
        print(f"vivado {release} (64-bit)\nTool Version Limit: 2023.10")
        return 0
    log = Path(sys.argv[sys.argv.index("-log") + 1])
    build = Path("build.tcl").read_text()
    log.write_text("****** Vivado v2023.2 (64-bit)\nsource build.tcl\nexeunt at: synthesis\n")
    time.sleep(0.5)
    results = Path("results")
    results.mkdir()
    if mode == "hung":
        Path("started").touch()
        time.sleep(60)
    if mode == "broken":
        said = "ERROR: [Synth 8-439] module 'ex_none' not found\nINFO: Exiting Vivado\n"
        log.write_text(log.read_text() + said)
        return 1
    (results / "utilization.rpt").write_text(UTILIZATION)
    (results / "timing.rpt").write_text("timing\n")
    if mode == "dead":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "silent":
        return 0
    (results / "power.rpt").write_text(POWER)
    (results / "exeunt.bit").write_bytes(b"bits")
    (results / "exeunt.hwh").write_text("<hwh/>")
    slack = -0.25 if mode == "slow" else 0.5
    word = build.partition("design_hash ")[2][:8]
    lines = ["vivado 2023.2", f"design_hash {word}", "period_ns 10.000", f"wns_ns {slack}"]
    lines += [f"tns_ns {4 * min(slack, 0)}", "whs_ns 0.031", "ths_ns 0.0", "tpws_ns 3.75"]
    (results / "result.txt").write_text("\n".join([*lines, "exeunt: end of build"]) + "\n")
    log.write_text(log.read_text() + "exeunt: end of build\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
