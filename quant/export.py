"""Export to one QONNX file: images in as integers 0..255, one output per exit, exit0 upwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from exeunt.config.tree import Config
from exeunt.errors import CheckFailed
from exeunt.progress import Progress, silent
from exeunt.quant.compress.subject import load_subject, write_extras
from exeunt.quant.network.export import MODEL, to_qonnx
from exeunt.quant.network.logits import logits
from exeunt.quant.network.qonnx_graph import Graph, GraphNetwork, checked, logit_scales, tidied
from exeunt.report import store
from exeunt.splits import SPLITS, read_split

_IMAGES = 64


def export(config: Config, run_dir: Path, *, progress: Progress = silent) -> Graph:
    """Write `run_dir`/model.onnx and check it against the trained network on images.

    Raises:
        InputError: no checkpoint of this config, or logits off any grid of integers.
        CheckFailed: the file does not compute what the network computes.
    """
    subject = load_subject(config, run_dir)
    network = subject.network
    height, width, channels = config.model.input
    images = read_split(run_dir / SPLITS, "validation").some(_IMAGES).images
    progress(0, 2, "exporting")
    if isinstance(network, GraphNetwork):
        model = tidied(network.graph.model)
    else:
        model = to_qonnx(network, shape=(channels, height, width))
    graph = checked(Graph(model, str(run_dir / MODEL)))
    progress(1, 2, "checking against the network")
    difference = compare(graph, network, images)
    partial = run_dir / f".{MODEL}.part"
    partial.write_bytes(model.SerializeToString(deterministic=True))
    partial.replace(run_dir / MODEL)
    write_extras(subject, run_dir)
    figures = {"images": len(images), "max_difference_steps": difference, "nodes": len(graph.nodes)}
    store.update(run_dir, {"export": figures})
    progress(2, 2, f"{len(graph.outputs)} exits, {len(graph.nodes)} nodes")
    return graph


def compare(graph: Graph, network: nn.Module, images: np.ndarray) -> float:
    """Largest difference, in integer steps, between the graph's logits and the network's.

    Images uint8 (N, H, W, C). The two sum in another order, so an activation within float noise
    of a rounding tie may fall on either side: one image in fifty (at least one) may differ.

    Raises:
        CheckFailed: more images than that have an integer logit that differs.
    """
    scales = logit_scales(graph)
    worst = 0.0
    expected, found = logits(network, images), logits(GraphNetwork(graph), images)
    for index, (scale, a, b) in enumerate(zip(scales, expected, found, strict=True)):
        steps = np.abs(a - b) / scale
        wrong = np.flatnonzero(steps.max(axis=1) > 0.5)
        if len(wrong) > max(1, len(images) // 50):
            frame = int(wrong[0])
            raise CheckFailed(
                f"exported exit {index} must give the network's logits, got a difference of "
                f"{steps.max():.3g} steps, first at image {frame}: report this as a fault"
            )
        worst = max(worst, float(steps.max()))
    return worst
