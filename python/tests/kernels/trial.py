"""What `test_room` runs in a copy of the tree that has the kind negate: `trial.py FOLDER`.

Puts it in front of the logits of a small network, compiles and simulates that, and prints what
came of it as JSON.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from pathlib import Path

import numpy as np

from exeunt import cost, manifest, samples
from exeunt.graph import Accelerator, Dataflow, Integer, Stream, from_json, to_json
from exeunt.hls.back import stitch
from exeunt.hls.back.kernels.__main__ import table
from exeunt.kernels import registry
from exeunt.reference import network, pipeline
from exeunt.report import network as page
from exeunt.simulate import answers, run, verilator


def negated(head: Dataflow) -> Dataflow:
    """The head with the new kind behind its last kernel, found by its name alone."""
    before = head.output
    dtype = Integer.covering(-before.dtype.max, -before.dtype.min)
    after = Stream(before.shape, dtype, before.lanes)
    node = registry.nodes()["negate"](f"{head.name}_negate0", before, after)
    return dataclasses.replace(head, nodes=(*head.nodes, node), fifos=(*head.fifos, 2), reads=())


def sized(plain: Accelerator) -> Accelerator:
    """The network with a turned sign in front of every exit, its FIFOs sized."""
    pairs = [
        pipeline.with_depths(segment, negated(head))
        for segment, head in zip(plain.segments, plain.heads, strict=True)
    ]
    return dataclasses.replace(
        plain, segments=tuple(p[0] for p in pairs), heads=tuple(p[1] for p in pairs)
    )


def main(folder: Path) -> None:
    plain = samples.accelerator(sized=False)
    whole = sized(plain)
    images = samples.images(60, seed=3)
    logits = network.run(whole, images).logits
    before = network.run(plain, images).logits
    again = from_json(json.loads(json.dumps(to_json(whole))), dict(whole.arrays), registry.nodes())
    made = stitch.write(whole, folder, thresholds=[0, 5, None])
    found = answers.answer(made, verilator.build(made, cache=folder / "cache"), images, logits)
    cycles, _ = answers.check_cycles(made, whole, found)
    data = manifest.read(folder).data
    drawn = page.blocks({}, data)
    sizes = cost.network(whole).lut - cost.network(plain).lut
    told = {
        "kinds": list(registry.kinds()),
        "round_trip": again.chains == whole.chains,
        "negated": all(np.array_equal(a, -b) for a, b in zip(logits, before, strict=True)),
        "wrong": len(found.wrong),
        "error": cycles["max_relative_error"],
        "costs_more": sizes > 0,
        "multipliers": run.lanes(made) == cost.network(plain).multipliers,
        "sources": [s for s in data["sources"] if "negate" in s],
        "report": "head2_negate0" in json.dumps(drawn),
        "docs": [line for line in table().splitlines() if line.startswith("| negate |")],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    quick = verilator.Options(quick=True)
    verilator.build = functools.partial(verilator.build, options=quick)
    main(Path(sys.argv[1]))
