"""The [search] table: the networks among which `exeunt search` looks for the best."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from exeunt.config.layers import Bits, Natural, Positive
from exeunt.config.section import Fraction, Section

Factor = Annotated[float, Field(gt=0.0, le=16.0)]
Budget = Annotated[float, Field(gt=0.0, lt=1.0)]


def _distinct(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"must have no value twice, got {list(values)}")
    return values


class Search(Section):
    """Networks around the one of [model], each of which is trained and calibrated.

    A list has what may be chosen; an empty one leaves the network as the config has it.

    Attributes:
        trials: networks that are tried, this one and its twin without early exits among them
        sampler: how they are drawn: by what was good before ("tpe", "nsga2"), or "random"
        seed: of the drawing
        batch: networks that are drawn at once, each by those of batches before alone, so that they
            can be trained side by side with --scheduler; other batches are other networks
        epochs: passes over the training images for each; unset: train.epochs
        accuracy: least accuracy with early exit, on validation images, that counts
        stages: fewest stages that are left
        exits: whether exits behind stages but the last may go
        widths: factors for the channels of a stage
        strides: steps of the window of the first convolution
        pools: sides of the window of the pool with which a head begins; 1: none
        weight_bits: of layers that say nothing themselves
        activation_bits: of layers that say nothing themselves
        criteria: exit criteria
        budgets: of the passes of [compress], beside their own; where there are some, each pass may
            also be left out
        finalists: of the best, how many go through the RTL, and besides these the two by which the
            gain of early exit is told; 0: none
        count: whether Yosys counts these too, which takes minutes
    """

    trials: Annotated[int, Field(ge=1, le=100_000)] = 60
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    seed: Annotated[int, Field(ge=0, lt=1 << 31)] = 0
    batch: Annotated[int, Field(ge=1, le=1000)] = 1
    epochs: Positive | None = None
    accuracy: Fraction = 0.0
    stages: Positive = 1
    exits: bool = True
    widths: Annotated[tuple[Factor, ...], AfterValidator(_distinct)] = (0.5, 0.75, 1.0, 1.5)
    strides: Annotated[tuple[Positive, ...], AfterValidator(_distinct)] = ()
    pools: Annotated[tuple[Positive, ...], AfterValidator(_distinct)] = (1, 2, 4)
    weight_bits: Annotated[tuple[Bits, ...], AfterValidator(_distinct)] = (2, 3, 4)
    activation_bits: Annotated[tuple[Bits, ...], AfterValidator(_distinct)] = (2, 3, 4)
    criteria: tuple[str, ...] = ()
    budgets: Annotated[tuple[Budget, ...], AfterValidator(_distinct)] = ()
    finalists: Natural = 6
    count: bool = False
