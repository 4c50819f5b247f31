"""Export to one QONNX file: images in as integers 0..255, one output per exit, exit0 upwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from exeunt.config.derived import of_file
from exeunt.config.tree import Config, to_toml
from exeunt.errors import CheckFailed
from exeunt.progress import Progress, silent
from exeunt.qonnx import file, meaning
from exeunt.qonnx.file import Graph
from exeunt.qonnx.packed import packed
from exeunt.quant.compress.subject import load_subject, write_extras
from exeunt.quant.network.export import MODEL, to_qonnx
from exeunt.quant.network.logits import logits
from exeunt.quant.network.qonnx_graph import GraphNetwork
from exeunt.report import store
from exeunt.splits import SPLITS, read_split

_IMAGES = 64


def export(
    config: Config, run_dir: Path, *, progress: Progress = silent, pack: str | None = None
) -> Graph:
    """Write `run_dir`/model.onnx and check it against the trained network on images.

    With `pack`, a folder, also a small file <name>.onnx there and <name>.toml that runs it.

    Raises:
        InputError: no checkpoint of this config, or something that integers cannot compute.
        CheckFailed: the file does not compute what the network computes.
    """
    subject = load_subject(config, run_dir)
    network = subject.network
    height, width, channels = config.model.input
    images = read_split(run_dir / SPLITS, "validation").some(_IMAGES).images
    progress(0, 2, "exporting")
    where = "the network" if config.model.kind == "config" else config.model.source
    graph = to_qonnx(network, shape=(channels, height, width), where=where)
    progress(1, 2, "checking against the network")
    difference = compare(graph, network, images)
    partial = run_dir / f".{MODEL}.part"
    partial.write_bytes(file.to_model(graph).SerializeToString(deterministic=True))
    partial.replace(run_dir / MODEL)
    write_extras(subject, run_dir)
    if pack:
        _pack(graph, config, Path(pack))
    figures = {"images": len(images), "max_difference_steps": difference, "nodes": len(graph.nodes)}
    store.update(run_dir, {"export": figures})
    progress(2, 2, f"{MODEL}: {len(graph.outputs)} exits, {len(graph.nodes)} nodes")
    return graph


def _pack(graph: Graph, config: Config, folder: Path) -> None:
    """A network to give away: its file with integer weights, and the config that takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{config.name}.onnx"
    whole = to_toml(of_file(config, f"qonnx:{name}", name=config.name))
    content = packed(file.to_model(graph)).SerializeToString(deterministic=True)
    store.write_text(folder / f"{config.name}.toml", whole)
    partial = folder / f".{name}.part"
    partial.write_bytes(content)
    partial.replace(folder / name)


def compare(graph: Graph, network: nn.Module, images: np.ndarray) -> float:
    """Largest difference, in integer steps, between the graph's logits and the network's.

    Images uint8 (N, H, W, C). Both compute in float32, but may sum in another order, so an
    activation within its noise of a rounding tie may fall on either side: one image in fifty (at
    least one) may differ.

    Raises:
        CheckFailed: more images than that have an integer logit that differs.
    """
    worst = 0.0
    scales = meaning.integers(graph).scales
    expected, found = logits(network, images), logits(GraphNetwork(graph), images)
    for index, (scale, a, b) in enumerate(zip(scales, expected, found, strict=True)):
        steps = np.abs(a.astype(np.float64) - b) / scale
        noise = 0.5 + 1e-5 * float(np.abs(b).max(initial=0)) / scale
        wrong = np.flatnonzero(steps.max(axis=1) > noise)
        if len(wrong) > max(1, len(images) // 50):
            frame = int(wrong[0])
            raise CheckFailed(
                f"exported exit {index} must give the network's logits, got a difference of "
                f"{steps.max():.3g} steps, first at image {frame}: report this as a fault"
            )
        worst = max(worst, float(steps.max()))
    return worst
