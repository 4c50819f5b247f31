"""What the maps of a design keep of those without rounding, and what they cost, image by image."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.explain import backward, context, encode, engine, faithfulness, scales, walk
from exeunt.explain.backward import Maps, Scales
from exeunt.explain.context import Context
from exeunt.explain.hardware import Explained, Keys
from exeunt.explain.program import Program
from exeunt.graph import Accelerator, IntArray
from exeunt.runtime.maps import LEVELS, LOG

BITS = (4, 5, 6, 8, 10, 12)
PRUNES = (0.0, 0.03, 0.1, 0.2)
BATCH = 64

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Kept:
    """How far maps of integers say what those without rounding say; means over images.

    Attributes:
        spearman: rank correlation of all values; of saliency of their sizes.
        top10: how much of the most relevant tenth of the pixels both have.
        flip_auc: area under the answer's probability while relevant pixels are taken away first.
        flip_auc_float: the same by the map without rounding.
        flip_auc_random: in random order.
    """

    spearman: float
    top10: float
    flip_auc: float
    flip_auc_float: float
    flip_auc_random: float


def compared(method: str, values: npt.NDArray[Any], real: npt.NDArray[Any]) -> tuple[float, float]:
    """Spearman and shared top tenth of maps of integers and without rounding.

    Args:
        method: of both.
        values: (N, H, W, C), or (N, H, W, 1) where a map is one number a pixel.
        real: (N, H, W, C).
    """
    sizes = (np.abs(values), np.abs(real)) if method == "saliency" else (values, real)
    if values.shape != real.shape:
        sizes = (values[..., 0], faithfulness.relevance(real, method))
    ours, theirs = (faithfulness.relevance(maps, method) for maps in (values, real))
    return faithfulness.spearman(*sizes), faithfulness.top_overlap(ours, theirs)


class Exit:
    """The images that left at one exit, explained by one method.

    Args:
        accelerator: the compiled graph.
        explained: what is beside it.
        key: method and exit.
        images: uint8 (N, H, W, C).
        classes: int64 (N,), what each map explains.
        base: (H, W, C), what pixels become that are taken away.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        explained: Explained,
        key: Keys,
        images: Images,
        classes: IntArray,
        base: npt.NDArray[Any],
    ) -> None:
        self._accelerator, self._explained, self._key = accelerator, explained, key
        self._classes = np.asarray(classes, np.int64)
        self._program = explained.programs[key]
        self._frames = context.forward(accelerator, self._program, images)
        self._base = base
        self._real = backward.real(self._program, self._frames, self._classes)
        self._maps = self.maps(explained.scales[key])

    def maps(self, chosen: Scales) -> Maps:
        """With these scales."""
        return backward.maps(self._program, chosen, self._frames, self._classes, streams=True)

    @property
    def values(self) -> npt.NDArray[np.int32]:
        """The maps as the decoder gives them, (N, H, W, C)."""
        return self._decoded(self._maps.values)

    def _decoded(self, values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        code = self._explained.engine.code
        if code == LEVELS:
            return encode.leveled(values, self._key[0])
        return encode.middles(values) if code == LOG else values

    def kept(self) -> Kept:
        """Of the map as it is decoded."""
        method, exit = self._key
        rho, top = compared(method, self.values, self._real)
        flips = faithfulness.Flips(
            self._accelerator, exit, self._frames.images, self._classes, self._base
        )
        return Kept(rho, top, self._auc(flips, self.values), self._auc(flips, self._real),
                    flips.random())  # fmt: skip

    def _auc(self, flips: faithfulness.Flips, values: npt.NDArray[Any]) -> float:
        relevant = faithfulness.relevance(values, self._key[0])
        return flips.auc(faithfulness.enlarged(relevant, self._frames.images.shape[1:3]))

    def cost(self) -> dict[str, float]:
        """Means of a map.

        `cycles` from its request to its last word, `busy` until the next request is taken, `bits`
        of its packet, `dense_bits` at 8 bits a value, `dense_cycles` if nothing were 0, `clipped`.
        """
        made, (method, exit) = self._explained.engine, self._key
        last, busy, bits = [], [], []
        for k in range(len(self._classes)):
            one = engine.timed(made, method, exit, self._frames, self._maps, k)
            clock = engine.Clock()
            _, _, words = clock.map(one, 0)
            last.append(words[-1] + 1)
            busy.append(clock.free)
            bits.append(32 * one.words)
        return {
            "cycles": float(np.mean(last)),
            "busy": float(np.mean(busy)),
            "bits": float(np.mean(bits)),
            "dense_bits": 8.0 * math.prod(self._program.shape),
            "dense_cycles": float(engine.dense(made, method, exit)),
            "clipped": float(self._maps.saturated.mean()),
        }

    def randomised(self, images: Images, *, seed: int = 0) -> float:
        """Rank correlation with the maps of the same network with the weights of each row shuffled.

        Sums stay within the ranges for which thresholds were made.

        Args:
            images: by which its scales are chosen.
            seed: of the order.
        """
        source = np.random.default_rng(seed)
        arrays = dict(self._accelerator.arrays)
        for name in sorted(arrays):
            if name.endswith(".weights"):
                arrays[name] = source.permuted(arrays[name], axis=-1)
        other = dataclasses.replace(self._accelerator, arrays=arrays)
        method, exit = self._key
        program = walk.program(other, exit, method)
        chosen = scaled(other, program, images, self._explained.bits, 0.0)
        frames = context.forward(other, program, self._frames.images)
        found = backward.maps(program, chosen, frames, self._classes)
        return compared(method, self.values, found.values)[0]

    def trade(self, images: Images, pairs: Sequence[tuple[int, float]]) -> list[dict[str, float]]:
        """Faithfulness and size with other widths and shares pruned.

        Args:
            images: of the validation split, by which scales are chosen.
            pairs: bits of a gradient and the share below which it becomes 0.
        """
        rows = []
        for bits, prune in pairs:
            chosen = scaled(self._accelerator, self._program, images, bits, prune)
            found = self.maps(chosen).values
            code = self._explained.engine.code
            rho, top = compared(self._key[0], self._decoded(found), self._real)
            size = float(encode.payload_bits(found, bits, code, self._key[0]).mean())
            rows.append({"bits": bits, "prune": prune, "spearman": rho, "top10": top, "size": size})
        return rows


def scaled(
    accelerator: Accelerator, program: Program, images: Images, bits: int, prune: float
) -> Scales:
    """Scales of a program that suit these images."""
    known: Context = context.forward(accelerator, program, images)
    return scales.calibrated(program, known, known.logits.argmax(1), bits=bits, prune=prune)


def pairs(bits: int) -> list[tuple[int, float]]:
    """What `Exit.trade` is asked for: every width without pruning, every share at `bits`."""
    widths = [(width, 0.0) for width in sorted({*BITS, bits})]
    return widths + [(bits, share) for share in PRUNES if share]
