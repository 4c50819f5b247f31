"""The [attach] table: early exits for a network that has none."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exeunt.config.section import Section


class Attach(Section):
    """What `exeunt attach` puts on a trained network with one exit.

    Attributes:
        exits: early exits at most
        bits: of the weights of a head; those of its convolution have 4 at most
        share: of the network's multiplications that all heads together may have
        images: pictures of an epoch; where there are fewer, they come again, moved and mirrored as
            `train.shift` and `train.flip` say
        epochs: how often so many are shown
        batch: images of a step
        weight_decay: of AdamW
        distill: weight of what a head learns from the network, beside the labels
        seed: of images and batches
    """

    exits: Annotated[int, Field(ge=1, le=7)] = 3
    bits: Annotated[int, Field(ge=2, le=8)] = 8
    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.03
    images: Annotated[int, Field(ge=2, le=10_000_000)] = 60_000
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 5
    batch: Annotated[int, Field(ge=2)] = 256
    weight_decay: Annotated[float, Field(ge=0.0, le=1000.0)] = 0.01
    distill: Annotated[float, Field(ge=0.0, le=1e6)] = 0.5
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
