"""The picture of the network: stages, exits, and where the cycles go."""

from __future__ import annotations

import json

from exeunt import graph, samples
from exeunt.report import explanation, network


def test_load_counts_the_images_that_get_there():
    made = samples.accelerator(seed=1)
    manifest = {"graph": graph.to_json(made)}
    reach = (1.0, 0.5, 0.1)
    report = {"exits": [{"reach": r, "rate": r / 2} for r in reach]}
    (part,) = network.network(report, manifest)["parts"]
    assert [stage["exit"] for stage in part["stages"]] == ["exit 0", "exit 1", "exit 2"]
    assert part["stages"][1]["reach"] == "reached by 50.0% of the images"
    assert part["stages"][1]["leaves"] == "25.0% leave here"
    loads, spent = [], []
    for stage, share in zip(part["stages"], reach, strict=True):
        for chain in stage["chains"]:
            for kernel in chain["kernels"]:
                loads.append(kernel["load"])
                spent.append(int(kernel["cycles"].replace(",", "")) * share)
    assert max(loads) == 100.0
    assert loads == [round(100 * s / max(spent), 1) for s in spent]
    names = [n.name for c in made.chains for n in c.nodes]
    shown = [k["name"] for s in part["stages"] for c in s["chains"] for k in c["kernels"]]
    assert shown == names


def test_without_figures_every_stage_counts_in_full():
    manifest = {"graph": json.loads(json.dumps(graph.to_json(samples.accelerator())))}
    (part,) = network.network({}, manifest)["parts"]
    assert part["stages"][2]["reach"] == "reached by 100.0% of the images"
    assert part["stages"][2]["leaves"] == ""
    assert network.network({}, {}) is None


def test_layers_have_readable_names():
    rows = [
        {"exit": 0, "layer": name, "for": 1.0, "against": -1.0}
        for name in ("segments.0.0", "segments.0.4", "heads.0.1", "body.conv")
    ]
    assert explanation._layers([r["layer"] for r in rows]) == [
        "segment 0, layer 1",
        "segment 0, layer 2",
        "head 0, layer 1",
        "body.conv",
    ]
    assert "<svg" in explanation.relevance(rows)


def test_where_streams_part_and_meet_a_kernel_says_what_feeds_it():
    manifest = {"graph": graph.to_json(samples.residual())}
    section = network.network({}, manifest)
    kernels = section["parts"][0]["stages"][0]["chains"][0]["kernels"]
    added = next(k for k in kernels if k["kind"] == "add")
    feeding = added["from"].removeprefix("from ").split(" and ")
    assert len(feeding) == 2
    assert set(feeding) <= {k["label"] for k in kernels}
    assert [k["from"] for k in kernels[:2]] == ["", ""]
    rows = network.blocks({}, manifest)["parts"][0]["rows"]
    fifos = [row[-1] for row in rows]
    assert [f.count(",") for f in fifos if "," in f] == [1, 1]  # behind the two that copy
