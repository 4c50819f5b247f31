"""Segments and heads folded and lowered to kernels, their FIFOs sized, their values checked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exeunt.errors import CheckFailed, InputError
from exeunt.graph import Accelerator, Dataflow, IntArray
from exeunt.hls.back import folding, lower
from exeunt.hls.back.folding import Folding, Overrides
from exeunt.hls.compressed import Kernels
from exeunt.kernels.layer import Fold, Layer, Matrix
from exeunt.kernels.registry import foldings as foldings_of
from exeunt.reference.frames import Room

if TYPE_CHECKING:
    from exeunt.hls.front.network import Network


@dataclass(frozen=True)
class Compiled:
    """An accelerator and how it was folded, chain by chain.

    `optimised` is what report.json says of an optimised folding, `kernels` what it says of layers
    that could skip zeros or share weights, by chain; `sized`: the FIFOs are; `room`: what frames
    wait in, None: as usual; `bursts`: what report.json says of that.
    """

    accelerator: Accelerator
    foldings: Mapping[str, Folding]
    optimised: dict[str, Any] | None = None
    kernels: Mapping[str, list[dict[str, Any]]] | None = None
    sized: bool = False
    room: Room | None = None
    bursts: dict[str, Any] | None = None

    @property
    def multipliers(self) -> int:
        """Sum of PE * SIMD over the whole accelerator."""
        return sum(f.multipliers for f in self.foldings.values())


def assemble(
    name: str,
    segments: Sequence[Sequence[Layer]],
    heads: Sequence[Sequence[Layer]],
    *,
    scales: Sequence[float],
    cycles: Sequence[int],
    overrides: Overrides | None = None,
    kernels: str = "exeunt",
    choices: Mapping[str, folding.Choices] | None = None,
    image: tuple[int, int, int] | None = None,
    constants: int = 0,
    compressed: bool | Mapping[str, Kernels] = False,
) -> Compiled:
    """Fold segments and heads, one target each pair, and lower them to kernels.

    `choices` are those of `folding.fold` by the name of the segment or head; `image` is (H, W, C)
    of the images, None where the first layer has it. Matrices of up to `constants` weights that are
    unfolded whole become constant logic. With `compressed` layers skip zeros or share weights where
    that is cheaper; a mapping has their ways to be built, by name, with `choices`.
    """
    source = None
    chains: list[Dataflow] = []
    arrays: dict[str, IntArray] = {}
    foldings: dict[str, Folding] = {}
    kernels_of: dict[str, list[dict[str, Any]]] = {}
    for i, (segment, head) in enumerate(zip(segments, heads, strict=True)):
        for label, layers in ((f"seg{i}", segment), (f"head{i}", head)):
            lanes = None if source is None else source.lanes
            given = None if choices is None else choices[label]
            ways: Kernels | None = None
            if compressed:
                given = folding.choices(layers, overrides) if given is None else given
                made = compressed if isinstance(compressed, Mapping) else {}
                ways = made.get(label) or Kernels(layers, given, overrides)
                given = ways.choices(cycles[i])
            found = folding.fold(
                layers, target=cycles[i], lanes=lanes, overrides=overrides, choices=given
            )
            if ways is not None:
                kernels_of[label] = ways.why(found.folds, max(cycles[i], found.period))
            if constants:
                folds = tuple(map(partial(_constant, constants), layers, found.folds))
                found = dataclasses.replace(found, folds=folds)
            chain, values = lower.chain(label, layers, found.folds, source=source, kernels=kernels)
            chains.append(chain)
            arrays |= values
            foldings[label] = found
            if label == f"seg{i}":
                source = chain.output
    accelerator = Accelerator(
        name=name,
        segments=tuple(chains[0::2]),
        heads=tuple(chains[1::2]),
        logit_scales=tuple(float(s) for s in scales),
        arrays=arrays,
        image=None if image == chains[0].input.shape else image,
    )
    return Compiled(accelerator, foldings, kernels=kernels_of if compressed else None)


def _constant(most: int, layer: Layer, fold: Fold) -> Fold:
    """The fold as constant logic, where the layer can be that and has no more weights than that."""
    if not isinstance(layer, Matrix) or layer.weights > most:
        return fold
    same = (
        other
        for other in foldings_of(layer, "constant")
        if dataclasses.replace(other, multiplier=fold.multiplier) == fold
    )
    return next(same, fold)


def check_values(accelerator: Accelerator, network: Network) -> None:
    """Compare every chain with FINN's hardware layers before folding, on the check frames.

    A single pair of chains stands for the whole backbone and the last head.

    Raises:
        CheckFailed: naming the chain and the first element that differs.
    """
    from exeunt.reference import network as reference

    parts = network.parts
    frames = [(part.inputs, part.outputs) for part in parts]
    if len(accelerator.chains) == 2:
        frames = [(parts[0].inputs, parts[-2].outputs), frames[-1]]
    for chain, (inputs, outputs) in zip(accelerator.chains, frames, strict=True):
        got = reference.run_chain(accelerator, chain, inputs).reshape(outputs.shape)
        wrong = np.argwhere(got != outputs)
        if wrong.size:
            where = tuple(int(i) for i in wrong[0])
            raise CheckFailed(
                f"pass lower changed the values of {chain.name}: frame {where[0]} at {where[1:]} "
                f"is {int(got[where])} but FINN's hardware layers have {int(outputs[where])}; "
                "please report the network"
            )


def read_folding(path: str | Path | None) -> dict[str, dict[str, Any]]:
    """A FINN folding file: attributes by FINN node name; empty when there is none.

    Raises:
        InputError: no such file, or not a JSON table of tables.
    """
    if path is None:
        return {}
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"the folding file {path} cannot be read ({error.strerror}); give another path"
        ) from error
    except ValueError as error:
        raise InputError(
            f"the folding file {path} must be JSON but is not ({error}); "
            "start from report/auto_folding_config.json"
        ) from error
    if not isinstance(data, dict) or not all(isinstance(v, dict) for v in data.values()):
        raise InputError(
            f"the folding file {path} must map FINN node names to tables of attributes; "
            "start from report/auto_folding_config.json"
        )
    return data


def with_fifos(accelerator: Accelerator) -> Accelerator:
    """The accelerator with the FIFO depths that keep every chain at its slowest kernel's rate."""
    from exeunt.reference import pipeline

    pairs = [
        pipeline.with_depths(segment, head)
        for segment, head in zip(accelerator.segments, accelerator.heads, strict=True)
    ]
    return dataclasses.replace(
        accelerator,
        segments=tuple(p[0] for p in pairs),
        heads=tuple(p[1] for p in pairs),
    )


def sized(compiled: Compiled) -> Compiled:
    """The design with its FIFOs sized, if they are not."""
    if compiled.sized:
        return compiled
    return dataclasses.replace(compiled, accelerator=with_fifos(compiled.accelerator), sized=True)


def summary(compiled: Compiled) -> dict[str, dict[str, int]]:
    """Target, period and multipliers of every chain, as plain data."""
    return {
        name: {
            "target_cycles": found.target,
            "cycles": found.period,
            "multipliers": found.multipliers,
        }
        for name, found in compiled.foldings.items()
    }
