"""Integer reference of a whole accelerator: images in, integer logits per exit out.

Every node is its kind's `values`; this module runs them one behind the other where every node's
output is wanted, and has `prepared` compute where only the logits are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt.graph import ENTRY, Accelerator, Dataflow, IntArray, Node
from exeunt.kernels import registry
from exeunt.reference import looks
from exeunt.reference.looks import Looks
from exeunt.reference.prepared import Prepared

BATCH = 256

Recorder = Callable[[Node, IntArray], None]


@dataclass(frozen=True)
class Outputs:
    """What the accelerator computes for N frames.

    `logits[i]`: int64 (N, classes), the integer logits of exit i, computed for every frame.
    `streams[node]`: (N, H, W, D), the node's output tensor; empty unless it was asked for.
    `looks`: with rules for further looks what these give; logits and streams are those of the first
    look, whose features go on to segment 1.
    """

    logits: tuple[npt.NDArray[np.int64], ...]
    streams: dict[str, IntArray]
    looks: Looks | None = None


def run_chain(
    accelerator: Accelerator, chain: Dataflow, x: IntArray, *, record: Recorder | None = None
) -> IntArray:
    """Output tensor of one segment or head.

    Args:
        accelerator: where the nodes' arrays live.
        chain: the segment or head.
        x: integers (N, *chain.input.shape).
        record: called with every node and the first tensor that it gives.

    Returns:
        integers (N, *chain.output.shape).
    """
    waiting = {ENTRY: x}
    number = ENTRY
    for node, sources in zip(chain.nodes, chain.reads, strict=True):
        taken = [waiting.pop(source) for source in sources]
        given = registry.computed(node, accelerator.of(node), taken)
        for y in given:
            number += 1
            waiting[number] = y
        if record is not None:
            record(node, given[0])
    return waiting[number]


def modified(accelerator: Accelerator, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The images as segment 0 sees them: (N, H, W, C) by the rules, or as they are without."""
    if accelerator.rules is None:
        return images
    return accelerator.rules.look(np.asarray(images).reshape(-1, *accelerator.image_shape), 0)[0]


def run(
    accelerator: Accelerator,
    images: npt.NDArray[np.uint8],
    *,
    batch: int = BATCH,
    streams: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Outputs:
    """Integer logits of every exit for every image, modified by the rules if there are some.

    Args:
        accelerator: the compiled graph.
        images: uint8 (N, H, W, C), any layout with the input stream's number of elements.
        batch: frames at a time.
        streams: also keep every node's output tensor.
        progress: called with the number of frames done so far.
    """
    rules, given = accelerator.rules, images
    images = modified(accelerator, images)
    if not streams:
        prepared = Prepared(accelerator)
        found = prepared.logits(images, batch=batch, progress=progress)
        if rules is None or not rules.looks:
            return Outputs(found, {})
        given = np.asarray(given).reshape(images.shape)

        def stage(part: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
            blocks = [part[k : k + batch] for k in range(0, len(part), batch)]
            return np.concatenate(
                [prepared.stage(0, x.astype(np.float32))[1].astype(np.int64) for x in blocks]
            )

        return Outputs(found, {}, looks.run(rules, given, stage, found[0]))
    heads = accelerator.heads
    logits = tuple(np.empty((len(images), h.output.elements), np.int64) for h in heads)
    kept: dict[str, list[IntArray]] = {}

    def keep(node: Node, y: IntArray) -> None:
        kept.setdefault(node.name, []).append(y.reshape(-1, *node.output.shape))

    for start in range(0, len(images), batch):
        part = slice(start, min(start + batch, len(images)))
        x: IntArray = images[part].reshape(-1, *accelerator.segments[0].input.shape)
        for segment, head, out in zip(accelerator.segments, heads, logits, strict=True):
            x = run_chain(accelerator, segment, x, record=keep)
            y = run_chain(accelerator, head, x, record=keep)
            out[part] = y.reshape(len(x), -1)
        if progress is not None:
            progress(part.stop)
    return Outputs(logits, {name: np.concatenate(parts) for name, parts in kept.items()})


def multiplies(chain: Dataflow | Sequence[Node]) -> int:
    """Multiplications that a frame costs in a chain."""
    nodes = chain.nodes if isinstance(chain, Dataflow) else chain
    return sum(registry.of(n).effort(n).multiplies for n in nodes)
