"""A small accelerator that explains its images, and the maps that the reference gives."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from exeunt import manifest as manifests
from exeunt.criteria import margin
from exeunt.explain import hardware
from exeunt.explain.choice import Request
from exeunt.explain.program import METHODS
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest
from exeunt.reference import controller, network
from exeunt.runtime import Results, maps
from exeunt.simulate.maps import Reference

COUNT = 48
BUILT = ("saliency", "gradient-x-input", "grad-cam")
SLOTS = 3


def graphs() -> ModuleType:
    """The graphs of the tests of explanations."""
    folder = str(Path(__file__).parents[1] / "explain")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("explained_graphs")
    finally:
        sys.path.remove(folder)


@dataclass(frozen=True)
class Design:
    """A stitched accelerator with its images and the reference's answers."""

    manifest: Manifest
    images: npt.NDArray[np.uint8]
    logits: tuple[npt.NDArray[np.int64], ...]
    cache: Path

    @property
    def folder(self) -> Path:
        return self.manifest.folder

    def agree(self, got: Results, images: slice = slice(None)) -> None:
        """Every answer is the reference's, and every map that of its image, by its method."""
        thresholds = self.manifest.thresholds
        want = controller.decide([x[images] for x in self.logits], thresholds)
        np.testing.assert_array_equal(got.classes, want.classes)
        np.testing.assert_array_equal(got.exits, want.exits)
        np.testing.assert_array_equal(got.scores, want.scores)
        accelerator = self.manifest.accelerator()
        explained = hardware.from_json(accelerator, self.manifest.data["explain"])
        reference = Reference(accelerator, explained, self.images[images], want.classes)
        shapes = explained.engine.shapes
        for image, found in got.maps.items():
            answer = got[image]
            method = METHODS.index(found.method)
            packet = reference.packet(Request(image, answer.class_, answer.exit, method, 0))
            right = maps.decode(packet, shapes)
            np.testing.assert_array_equal(found.values, right.values)
            assert (found.id, found.exit, found.class_) == (answer.id, answer.exit, answer.class_)
            assert (found.exponent, found.clipped) == (right.exponent, right.clipped)


def design(folder: Path, cache: Path) -> Design:
    """Three exits at which images leave, and three methods."""
    module = graphs()
    whole = module.straight(module.GRAPHS["three exits"]())
    images = module.frames(whole, COUNT)
    logits = network.run(whole, images).logits
    scores = [margin.values(x).scores for x in logits]
    limits = [int(np.quantile(s, 0.6)) for s in scores[:-1]]
    explained = hardware.calibrated(whole, images[:20], methods=BUILT, slots=SLOTS, every=0)
    stitch.write(whole, folder, thresholds=[*limits, None], explained=explained)
    return Design(manifests.read(folder), images, logits, cache)
