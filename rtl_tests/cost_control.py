"""Counts controllers alone: `python rtl_tests/cost_control.py`, a few minutes of Yosys.

`cost_control.jsonl` has one accelerator a line: lanes of its heads, bits and classes of the logits,
lanes of its segments, frames in flight; and the LUT that Yosys counts on xc7 of everything but
segments and heads, by block. Lines without a count are counted, with `--all` every one.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from lib.bench import BUILD

from exeunt import samples
from exeunt.graph import Accelerator, Dataflow, Integer
from exeunt.hls.back import stitch
from exeunt.synth import yosys
from exeunt.synth.counts import TOP, XC7, count

TABLE = Path(__file__).with_suffix(".jsonl")


def accelerator(row: Mapping[str, Any]) -> Accelerator:
    """An accelerator whose exits have such logits; what computes them is not counted."""
    stages = tuple(
        samples.Stage(channels, pe=channels, pool=False, head_pe=pe)
        for channels, pe in zip(row["channels"], row["lanes"], strict=True)
    )
    made = samples.accelerator(stages, classes=row["classes"], sized=False)
    heads = tuple(_logits(head, row["bits"]) for head in made.heads)
    return dataclasses.replace(made, heads=heads)


def _logits(head: Dataflow, bits: int) -> Dataflow:
    """The same head with logits of so many bits."""
    dtype = Integer(bits, signed=True)
    *others, last = head.nodes
    changed = dataclasses.replace(
        last, output=dataclasses.replace(last.output, dtype=dtype), accumulator=dtype
    )  # type: ignore[call-arg]
    return dataclasses.replace(head, nodes=(*others, changed))


def counted(row: Mapping[str, Any]) -> dict[str, int]:
    """LUT of each block of the controller, and of all of it."""
    folder = BUILD / "cost_control"
    shutil.rmtree(folder, ignore_errors=True)
    design = stitch.write(accelerator(row), folder, in_flight=row["in_flight"])
    rtl = folder / "rtl"
    names = [path.name for path in design.sources]
    script = yosys.script(XC7, names, TOP)
    for name in names:
        if name.startswith(("seg", "head")):
            script = script.replace(f"-defer -sv {name}", f"-lib -sv {name}")
    (rtl / yosys.SCRIPT).write_text(script, encoding="ascii")
    ran = yosys.run(yosys.find(), rtl)
    assert ran.code == 0, ran.why
    total, blocks = count(json.loads((rtl / yosys.NETLIST).read_text("utf-8")), XC7, TOP)
    return {"all": total["lut"], **{b["name"]: b["lut"] for b in blocks if b["lut"]}}


def main(*, again: bool) -> None:
    """Count line by line and keep the table up to date."""
    rows = [json.loads(line) for line in TABLE.read_text(encoding="ascii").splitlines()]
    for i, row in enumerate(rows):
        if again or "lut" not in row:
            rows[i] = {**row, "lut": counted(row)}
            text = "".join(json.dumps(r) + "\n" for r in rows)
            TABLE.write_text(text, encoding="ascii")
            print(f"{i + 1} of {len(rows)}: {rows[i]}", flush=True)


if __name__ == "__main__":
    main(again="--all" in sys.argv[1:])
