"""The heatmaps step: what the accelerator itself says that its answers rest on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt import archive
from exeunt import manifest as manifests
from exeunt.errors import CheckFailed, InputError
from exeunt.explain import faithfulness, hardware, measured
from exeunt.explain.hardware import CALIBRATION, Explained
from exeunt.explain.joined import Asked
from exeunt.explain.program import METHODS
from exeunt.graph import Accelerator, IntArray
from exeunt.manifest import Manifest
from exeunt.progress import Progress, silent
from exeunt.reference import network
from exeunt.report import store
from exeunt.runtime.maps import decode
from exeunt.simulate import maps, verilator
from exeunt.simulate.answers import Answers, Images, answer
from exeunt.simulate.maps import Maps
from exeunt.splits import SPLITS, read_split

if TYPE_CHECKING:
    from exeunt.config.tree import Config

NAME = "heatmaps"
CACHE = ".sim"


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Images with their maps, as the RTL gave them.

    Attributes:
        answers: of the RTL.
        heat: of each method (N, H, W), how relevant each pixel is.
        cycles: of each method (N,), from the request of a map to its last word.
        bits: of each method (N,), of its packet.
    """

    answers: Answers
    heat: dict[str, npt.NDArray[np.float64]]
    cycles: dict[str, list[int]]
    bits: dict[str, list[int]]


def explained_by(manifest: Manifest, accelerator: Accelerator) -> Explained:
    """What explains frames in a design.

    Raises:
        InputError: nothing does.
    """
    if hardware.KEY not in manifest.data:
        raise InputError(
            f"{manifest.folder} must hold a design that explains its frames, got one that does "
            "not: set explain.hardware = true and do `exeunt compile`"
        )
    return hardware.from_json(accelerator, manifest.data[hardware.KEY])


def draw(
    manifest: Manifest, accelerator: Accelerator, explained: Explained, images: Images, cache: Path
) -> Drawn:
    """Every image through the RTL, explained by every method; every map is checked.

    Raises:
        CheckFailed: an answer or a map is not that of the reference.
    """
    library = verilator.build(manifest, cache=cache)
    outputs = network.run(accelerator, images)
    shapes = explained.engine.shapes
    heat: dict[str, npt.NDArray[np.float64]] = {}
    cycles: dict[str, list[int]] = {}
    bits: dict[str, list[int]] = {}
    for method in explained.methods:
        asked = Maps(accelerator, explained, Asked(1, METHODS.index(method), wait=True))
        found = answer(manifest, library, images, outputs.logits, looks=outputs.looks, maps=asked)
        (part,) = found.slices
        if len(found.wrong):
            raise CheckFailed(
                f"the RTL must answer image {int(found.wrong[0])} as the reference and does not: "
                "do `exeunt simulate`, which says where it differs"
            )
        checked = maps.check(asked, images, part.trace, found.got)
        if checked.wrong:
            raise CheckFailed(maps.sentence(checked.wrong, 0))
        if len(checked.given.requests) != len(images):
            raise CheckFailed(
                f"every one of {len(images)} images must get a map by {method}, got "
                f"{len(checked.given.requests)}: do `exeunt compile` again"
            )
        size = images.shape[1:3]
        whole = np.zeros((len(images), *size))
        lasting, sizes = [0] * len(images), [0] * len(images)
        rows = zip(checked.given.takes, checked.given.gives, part.trace.maps.packets, strict=True)
        for take, gives, packet in rows:
            one = decode(packet.tobytes(), shapes)
            relevant = faithfulness.relevance(one.values[None], method)
            whole[one.id] = faithfulness.enlarged(relevant, size)[0]
            lasting[one.id], sizes[one.id] = gives[-1] - take + 1, 32 * len(packet)
        heat[method], cycles[method], bits[method] = whole, lasting, sizes
    return Drawn(found, heat, cycles, bits)


def figures(
    manifest: Manifest,
    accelerator: Accelerator,
    explained: Explained,
    images: Images,
    calibration: Images,
    progress: Progress = silent,
) -> tuple[list[dict[str, Any]], list[dict[str, float]]]:
    """Faithfulness and cost by method and exit, and the first method at other widths.

    Args:
        manifest: of the design.
        accelerator: its graph.
        explained: what explains.
        images: uint8 (N, H, W, C), test images; each is explained where it leaves.
        calibration: of the validation split.
        progress: told of methods and exits.
    """
    exits, classes = _leaving(manifest, accelerator, images)
    base = calibration.mean(axis=0)
    rows: list[dict[str, Any]] = []
    trade: list[dict[str, float]] = []
    for k, key in enumerate(explained.programs):
        progress(k, len(explained.programs), f"{key[0]} at exit {key[1]}")
        here = exits == key[1]
        if not here.any():
            continue
        one = measured.Exit(accelerator, explained, key, images[here], classes[here], base)
        rows.append(
            {
                "method": key[0],
                "exit": key[1],
                "images": int(here.sum()),
                **dataclasses.asdict(one.kept()),
                **one.cost(),
                "randomised_spearman": one.randomised(calibration),
            }
        )
        if key[0] == explained.methods[0]:
            trade = one.trade(calibration, measured.pairs(explained.bits))
    return rows, trade


def _leaving(
    manifest: Manifest, accelerator: Accelerator, images: Images
) -> tuple[IntArray, IntArray]:
    """Where each image leaves and as what, by the reference."""
    from exeunt.reference import controller

    outputs = network.run(accelerator, images)
    found = controller.decide(
        outputs.logits, manifest.thresholds, criterion=manifest.criterion,
        scales=manifest.logit_scales, offsets=manifest.offsets, looks=outputs.looks,
    )  # fmt: skip
    return found.exits, found.classes


def heatmaps(
    config: Config,
    run_dir: Path,
    *,
    progress: Progress = silent,
    pictures: Sequence[tuple[str, Images]] | None = None,
) -> None:
    """Draw the maps of the accelerator, and measure what they are worth.

    Args:
        config: `explain.shown`, `explain.measured`, `compile.clock_mhz`.
        run_dir: the run folder, with manifest.json, rtl/ and splits.npz.
        progress: told of what is done.
        pictures: names and images uint8 (H, W, C) that are drawn instead of test images, into the
            folder heatmaps/.

    Raises:
        InputError: the design explains nothing.
        CheckFailed: a map is not that of the reference.
        ToolError: a tool is missing or failed.
    """
    manifest = manifests.read(run_dir)
    accelerator = manifest.accelerator()
    explained = explained_by(manifest, accelerator)
    if pictures:
        images = np.stack([image for _, image in pictures])
        drawn = draw(manifest, accelerator, explained, images, run_dir / CACHE)
        _save(run_dir / NAME, [name for name, _ in pictures], images, drawn)
        return
    test = read_split(run_dir / SPLITS, "test")
    calibration = read_split(run_dir / SPLITS, "validation").some(CALIBRATION).images
    shown = test.some(config.explain.shown)
    progress(0, 1, "RTL")
    drawn = draw(manifest, accelerator, explained, shown.images, run_dir / CACHE)
    rows: list[dict[str, Any]] = []
    trade: list[dict[str, float]] = []
    if config.explain.measured:
        some = test.some(config.explain.measured).images
        rows, trade = figures(manifest, accelerator, explained, some, calibration, progress)
    clock = config.compile.clock_mhz
    for row in rows:
        row["maps_per_second"] = clock * 1e6 / row["busy"]
    found = {
        "methods": list(explained.methods),
        "bits": explained.bits,
        "clock_mhz": clock,
        "images": _told(drawn, shown.labels),
        "figures": rows,
        "trade": trade,
    }
    (run_dir / f"{NAME}.npz").write_bytes(
        archive.npz({"images": shown.images, **{f"heat {m}": h for m, h in drawn.heat.items()}})
    )
    store.write_text(run_dir / f"{NAME}.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    store.update(run_dir, {NAME: {"methods": list(explained.methods), "figures": rows}})
    count = len(shown.images) * len(explained.methods)
    progress(1, 1, f"{count} maps of the RTL, 0 mismatches")


def _told(drawn: Drawn, labels: IntArray) -> list[dict[str, Any]]:
    """Label, answer and exit of each image, and cycles and bits of its maps."""
    got = drawn.answers.got
    return [
        {
            "label": int(labels[k]),
            "answer": int(got["class"][k]),
            "exit": int(got["exit"][k]),
            "cycles": {method: int(row[k]) for method, row in drawn.cycles.items()},
            "bits": {method: int(row[k]) for method, row in drawn.bits.items()},
        }
        for k in range(len(labels))
    ]


def _save(folder: Path, names: Sequence[str], images: Images, drawn: Drawn) -> None:
    """A picture for each image and method, and a table of all."""
    from PIL import Image

    from exeunt.report import heatmaps as colours

    folder.mkdir(parents=True, exist_ok=True)
    table = _told(drawn, np.zeros(len(names), np.int64))
    for k, name in enumerate(names):
        for method, heat in drawn.heat.items():
            picture = colours.enlarged(colours.overlay(images[k], heat[k]))
            Image.fromarray(picture).save(folder / f"{Path(name).stem}-{method}.png")
    rows = [
        {"image": name, **{k: v for k, v in row.items() if k != "label"}}
        for name, row in zip(names, table, strict=True)
    ]
    store.write_text(folder / "answers.json", json.dumps(rows, indent=1) + "\n")
