"""What `test_room` runs in a copy of the tree that has the criterion peak: `trial.py FOLDER`.

Calibrates, compiles and simulates with it, and prints what came of it as JSON.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from pathlib import Path

import numpy as np

from exeunt import criteria, registers, samples
from exeunt.bench import processor
from exeunt.config import tree
from exeunt.hls.back import stitch
from exeunt.quant.exits.calibration import calibrate_exits
from exeunt.reference import controller, network
from exeunt.reference.modelled import Modelled
from exeunt.report import overview
from exeunt.simulate import answers, verilator
from exeunt.simulate.simulated import Simulated

CONFIG = """
name = "tried"
[data]
dataset = "digits"
[model]
source = "qonnx:none.onnx"
input = [8, 8, 1]
classes = 10
[calibrate]
criterion = "peak"
"""


SCALES = (8.0, 3.0, 1.0)  # a score grows with it: see peak.py


def main(folder: Path) -> None:
    name = tree.parse(CONFIG).calibrate.criterion
    whole = dataclasses.replace(samples.accelerator(), criterion=name, logit_scales=SCALES)
    images = samples.images(200, seed=3)
    logits = network.run(whole, images).logits
    labels = logits[-1].argmax(axis=1)
    chosen = calibrate_exits(
        logits, labels, macs=[10, 30, 100], drop=0.5, criterion=name, scales=SCALES
    ).chosen
    pairs = zip(logits, SCALES, strict=True)
    scores = [criteria.get(name).values(x, scale=s).scores for x, s in pairs]
    limits = [int(np.quantile(scores[0], 0.6)), int(np.median(scores[1]))]
    manifest = stitch.write(whole, folder, thresholds=[*limits, None])
    library = verilator.build(manifest, cache=folder / "cache")
    found = answers.answer(manifest, library, images, logits)
    cycles, _ = answers.check_cycles(manifest, whole, found)
    (folder / "exits.json").write_text(
        json.dumps({"criterion": name, "thresholds": [*limits, None], "curve": [
            {"thresholds": limits, "accuracy": 0.5, "macs": 50.0}]})
    )  # fmt: skip
    address = registers.address("criterion")
    device = Simulated(folder, cache=folder / "cache")
    read = [device.read(address), Modelled(folder).read(address)]
    device.close()
    classes, exits = processor.Reference(whole).classify(images, limits)
    part = overview.cost(folder)
    plain = controller.decide(logits, [*limits, None])
    told = {
        "names": criteria.names(),
        "calibrated": [
            chosen.thresholds[0] in scores[0],
            chosen.thresholds[0] not in criteria.get(criteria.DEFAULT).values(logits[0]).scores,
            chosen.accuracy >= 0.75,
            chosen.rates[0] > 0.2,
        ],
        "wrong": len(found.wrong),
        "error": cycles["max_relative_error"],
        "left": np.bincount(found.got["exit"], minlength=3).tolist(),
        "as_the_default": bool((plain.exits == found.got["exit"]).all()),
        "processor": [
            bool((exits == found.got["exit"]).all()),
            bool((classes == found.got["class"]).all()),
        ],
        "manifest": [e["criterion"] for e in manifest.data["exits"]],
        "registers": read,
        "register": manifest.data["registers"]["criterion"]["text"],
        "report": "leaves when the largest logit is at least" in repr(part),
        "sources": [s for s in manifest.data["sources"] if "peak" in s or "margin" in s],
        "memories": {n: (folder / n).read_text() for n in manifest.data["files"] if "bonus" in n},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    quick = verilator.Options(quick=True)
    verilator.build = functools.partial(verilator.build, options=quick)
    main(Path(sys.argv[1]))
