"""Fits the LUT model to counts: a factor for each part of a kernel, none below zero.

The counts are those in `rtl_tests/cost_sizes.jsonl`, of controllers those in `cost_control.jsonl`,
of what else stands beside kernels those in `cost_beside.jsonl`. The factors minimise the sum of
squared relative errors (a block of some LUT may be off by more).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.cost import beside, control
from exeunt.kernels import registry

Row = Mapping[str, Any]
FLOOR = 40.0  # LUT added to a count before an error is taken relative to it
SWEEPS, TOLERANCE = 20000, 1e-7
COMMAND = (
    "python rtl_tests/cost_sizes.py; python rtl_tests/cost_control.py; "
    "python rtl_tests/cost_beside.py; python -m exeunt.cost rtl_tests/cost_sizes.jsonl "
    "rtl_tests/cost_control.jsonl rtl_tests/cost_beside.jsonl"
)


def parts_of(row: Row) -> dict[str, float]:
    """The parts of a counted corner."""
    values = {k: v for k, v in row.items() if k not in ("kind", "dsp", "luts", "adders", "packed")}
    parts = registry.kinds()[row["kind"]].parts
    assert parts is not None, f"{row['kind']} is counted but has no parts"
    return parts(**values)


def groups(rows: Iterable[Row]) -> dict[str, list[tuple[dict[str, float], int]]]:
    """(parts, LUT) of the corners by model.

    "<kind>" in LUTs, "<kind>_dsp" where DSPs are used, "<kind>_packed" where lanes share them,
    "<kind>_adders" with products as their rows; "control" of controllers; "beside_<block>" of
    what else stands beside kernels.
    """
    found: dict[str, list[tuple[dict[str, float], int]]] = {}
    every = list(rows)
    for block, numbers, dsp, count in counted(every):
        sample = beside.parts(block, numbers, dsp=dsp), count["lut"]
        found.setdefault(beside.PREFIX + block, []).append(sample)
    for row in every:
        if "parameters" in row:
            continue
        if "in_flight" in row:
            values = {key: row[key] for key in ("lanes", "bits", "in_flight")}
            sample = control.parts(**values), row["lut"]["all"]
            found.setdefault(control.MODEL, []).append(sample)
            continue
        parts = parts_of(row)
        found.setdefault(row["kind"], []).append((parts, row["luts"]["lut"]))
        if row["dsp"]["dsp"]:
            found.setdefault(f"{row['kind']}_dsp", []).append((parts, row["dsp"]["lut"]))
        if row.get("packed", {}).get("dsp"):
            found.setdefault(f"{row['kind']}_packed", []).append((parts, row["packed"]["lut"]))
        if "adders" in row:
            found.setdefault(f"{row['kind']}_adders", []).append((parts, row["adders"]["lut"]))
    return found


def counted(rows: Iterable[Row]) -> Iterator[tuple[str, Row, bool, Mapping[str, int]]]:
    """Blocks beside the kernels: module, parameters, whether with DSPs, and its count.

    A quantizer counts twice, without edges and with them: the difference is theirs.
    """
    plain: Row | None = None
    for row in rows:
        if "parameters" not in row or "dsp" not in row:
            continue
        numbers = row["parameters"]
        if row["block"] not in beside.names():
            if plain is None:
                plain = row
                continue
            before, plain = plain, None
            assert "EDGES" not in before["parameters"], "they come in pairs"
            lanes = numbers["PE"]
            edges = {"lanes": lanes, "in_bits": numbers["IN_BITS"], "folds": numbers["FOLDS"]}
            more = {name: row["dsp"][name] - before["dsp"][name] for name in ("lut", "bram18")}
            yield beside.EDGES, edges, True, {**more, "dsp": 0}
            continue
        yield row["block"], numbers, True, row["dsp"]
        if row["dsp"]["dsp"] and "luts" in row:
            yield row["block"], numbers, False, row["luts"]


def fitted(samples: Sequence[tuple[Mapping[str, float], int]]) -> dict[str, float]:
    """LUT a part, at least zero, by coordinate descent on the relative squared error."""
    names = sorted({name for parts, _ in samples for name in parts})
    counts = np.array([count for _, count in samples], float)
    scale = 1.0 / (counts + FLOOR)
    matrix = np.array([[parts.get(n, 0.0) for n in names] for parts, _ in samples], float)
    matrix *= scale[:, None]
    wanted = counts * scale
    factors = np.zeros(len(names))
    gram, right = matrix.T @ matrix, matrix.T @ wanted
    for _ in range(SWEEPS):
        before = factors.copy()
        for i in range(len(names)):
            if gram[i, i]:
                rest = right[i] - gram[i] @ factors + gram[i, i] * factors[i]
                factors[i] = max(0.0, rest / gram[i, i])
        if np.abs(factors - before).max() < TOLERANCE:
            break
    return {name: float(f"{f:.4g}") for name, f in zip(names, factors, strict=True) if f > 1e-9}


def errors(
    samples: Sequence[tuple[Mapping[str, float], int]], factors: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """Relative errors |predicted - counted| / (counted + FLOOR)."""
    return np.array(
        [
            abs(sum(factors.get(k, 0.0) * v for k, v in parts.items()) - count) / (count + FLOOR)
            for parts, count in samples
        ]
    )


def fit(*paths: Path) -> dict[str, Any]:
    """The contents of coefficients.json for the counts in `paths` (JSON Lines)."""
    lines = [line for path in paths for line in path.read_text(encoding="ascii").splitlines()]
    rows = [row for row in map(json.loads, lines) if {"luts", "lut", "dsp"} & row.keys()]
    lut: dict[str, Any] = {}
    quality: dict[str, Any] = {}
    blind = groups(row for row in rows if row.get("held"))
    for name, samples in sorted(groups(row for row in rows if not row.get("held")).items()):
        lut[name] = fitted(samples)
        found = errors(samples, lut[name])
        quality[name] = {
            "corners": len(samples),
            "mean_error": round(float(found.mean()), 3),
            "worst_error": round(float(found.max()), 3),
        }
        if name in blind:
            missed = errors(blind[name], lut[name])
            quality[name] |= {
                "held": len(missed),
                "held_median_error": round(float(np.median(missed)), 3),
                "held_worst_error": round(float(missed.max()), 3),
            }
    return {
        "command": COMMAND,
        "lut": lut,
        "target": "xc7",
        "quality": quality,
    }
