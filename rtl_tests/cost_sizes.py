"""Counts what `exeunt.cost` is fitted to: `python rtl_tests/cost_sizes.py`, half an hour of Yosys.

`cost_sizes.jsonl` has one corner a line: a matrix-vector unit without thresholds, dense ("mvu") or
by a schedule ("sparse"), or a lone threshold, its parameters, and its size on xc7 as Yosys maps it
("dsp"), with `-nodsp` ("luts"), with products written as their rows ("adders") and with several in
a DSP ("packed"). Lines without sizes are counted; with `--all` every line is counted again.
`python -m exeunt.cost rtl_tests/cost_sizes.jsonl rtl_tests/cost_control.jsonl` fits the model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import threshold.corners
from lib.bench import BUILD, Corner, kernel_corner
from lib.yosys import measure

from exeunt.graph import Integer, Stream
from exeunt.kernels import sparse
from exeunt.kernels.layer import Fold, Matrix, Style
from exeunt.kernels.mvu import Mvu
from exeunt.synth.counts import XC7, XC7_LUTS, Target

TABLE = Path(__file__).with_suffix(".jsonl")
BATCH = 8
SIZES = ("dsp", "luts", "adders", "packed")


def corner(row: Mapping[str, Any], multiplier: Style = "") -> Corner:
    """The block that a line of the table describes, with random weights or thresholds."""
    if row["kind"] == "threshold":
        return threshold.corners.corner(
            name(row), bits=row["in_bits"], signed=True, levels=row["levels"],
            channels=row["channels"], lanes=row["pe"], pixels=(1, 1),
        )  # fmt: skip
    if row["kind"] == "sparse":
        return scheduled(row)
    accumulator = Integer(row["acc_bits"], signed=True)
    node = Mvu(
        name(row),
        Stream((1, 1, row["columns"]), Integer(row["in_bits"]), row["simd"]),
        Stream((1, 1, row["rows"]), accumulator, row["pe"]),
        weight_bits=row["weight_bits"],
        signs=row.get("signs", False),
        accumulator=accumulator,
        multiplier=multiplier,
    )
    top = 1 << (row["weight_bits"] - 1)
    weights = np.random.default_rng(0).integers(-top, top, (row["rows"], row["columns"]))
    if node.signs:
        weights = np.where(weights < 0, -1, 1) if node.weight_bits == 1 else np.maximum(weights, -1)
    return kernel_corner(node, {"weights": weights})


def scheduled(row: Mapping[str, Any]) -> Corner:
    """A scheduled unit with as many steps and as long a queue as the line says.

    Every row has as many blocks, but where there is a queue: odd lanes are done with the first half
    of their rows after a block each.
    """
    rng = np.random.default_rng(0)
    rows, columns, block, pe = (row[key] for key in ("rows", "columns", "block", "pe"))
    blocks, words = columns // block, rows // pe
    top = 1 << (row["weight_bits"] - 1)
    count = row.get("centroids", 0)
    if count:
        others = np.delete(np.arange(1 - top, top), top - 1)  # 0 is there where zeros are
        numbers = rng.choice(others, count - bool(row["banks"]), replace=False)
        numbers[0] = -top
        weights = numbers[rng.integers(0, len(numbers), (rows, columns))]
        weights[0, : len(numbers)] = numbers[:columns]
    else:
        weights = rng.integers(-top, top, (rows, columns)) | 1
    keep = np.full(rows, row["steps"] // words)
    if row["queue"] > 1:
        early = np.arange(rows) % pe % 2 == 1
        first = np.arange(rows) // pe < words // 2
        keep = np.where(early, np.where(first, 1, 2 * keep - 1), keep)
    if row["banks"] == 1:  # the same blocks for all lanes
        order = np.repeat(rng.random((words, blocks)).argsort(axis=1), pe, axis=0)
    else:
        order = rng.random((rows, blocks)).argsort(axis=1)
    if row["banks"]:
        weights = weights * np.repeat(order < keep[:, None], block, axis=1)
    if row.get("negates", False):
        weights = weights * rng.choice([-1, 1], (rows, 1))
    accumulator = Integer(row["acc_bits"], signed=True)
    layer = Matrix(
        (1, 1, columns), Integer(row["in_bits"]), (1, 1, rows), accumulator, columns=columns,
        weight_bits=row["weight_bits"], accumulator=accumulator, arrays={"weights": weights},
    )  # fmt: skip
    fold = Fold(
        row["lanes"], pe, multiplier=sparse.STYLES[bool(count)], block=block, banks=row["banks"]
    )
    node = sparse.built(name(row), layer, fold)
    found = node.steps, node.queue, len(node.centroids), node.negates
    assert found == (row["steps"], row["queue"], count, row.get("negates", False)), found
    return kernel_corner(node, {"weights": weights})


def name(row: Mapping[str, Any]) -> str:
    """Kind and parameters."""
    values = [str(v) for k, v in row.items() if k not in ("kind", *SIZES)]
    return "_".join((row["kind"], *values))


def may_multiply(row: Mapping[str, Any]) -> bool:
    """Whether DSPs could be used in a line's unit."""
    return row["kind"] == "mvu" or (row["kind"] == "sparse" and not row.get("centroids"))


def multiplies(row: Mapping[str, Any]) -> bool:
    """Whether a line is of a unit with products."""
    return row["kind"] == "mvu" and not row.get("signs", False)


def lacks(row: Mapping[str, Any]) -> bool:
    """Whether a line has no count yet of one of the ways to make its unit."""
    wanted = {"luts"} | ({"adders"} if multiplies(row) else set())
    return not (wanted | ({"packed"} if shares(row) else set())) <= row.keys()


def shares(row: Mapping[str, Any]) -> bool:
    """Whether lanes of a line's unit may share a DSP."""
    return multiplies(row) and row["pe"] > 1


def counted(rows: list[dict[str, Any]], folder: str = "cost") -> list[dict[str, Any]]:
    """The rows with the counts that they lack; a threshold has no multiplier to move."""
    found = [dict(row) for row in rows]

    def fill(size: str, wanted: list[dict[str, Any]], target: Target, style: Style = "") -> None:
        left = [row for row in wanted if size not in row]
        if left:
            made = measure(BUILD / f"{folder}_{size}", [corner(row, style) for row in left], target)
            for row, count in zip(left, made, strict=True):
                row[size] = count

    fill("luts", found, XC7_LUTS)
    fill("dsp", [row for row in found if may_multiply(row)], XC7)
    fill("adders", [row for row in found if multiplies(row)], XC7, "lut")
    fill("packed", [row for row in found if shares(row)], XC7, "packed")
    return [{"dsp": row["luts"], **row} for row in found]


def main(*, again: bool) -> None:
    """Count batch by batch and keep the table up to date."""
    rows = [json.loads(line) for line in TABLE.read_text(encoding="ascii").splitlines()]
    if again:
        rows = [{k: v for k, v in row.items() if k not in SIZES} for row in rows]
    left = [i for i, row in enumerate(rows) if lacks(row)]
    for start in range(0, len(left), BATCH):
        batch = left[start : start + BATCH]
        for i, row in zip(batch, counted([rows[i] for i in batch]), strict=True):
            rows[i] = row
        TABLE.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="ascii")
        print(f"{start + len(batch)} of {len(left)}", flush=True)


if __name__ == "__main__":
    main(again="--all" in sys.argv[1:])
