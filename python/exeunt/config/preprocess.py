"""The table `model.preprocess`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exeunt.config.section import Section

Mean = Annotated[float, Field(ge=-1e6, le=1e6)]
Above = Annotated[float, Field(ge=1e-9, le=1e6)]


class Preprocess(Section):
    """What is done to an image before the network: (pixel * scale - mean) / std.

    Attributes:
        scale: factor of the pixels 0 to 255; 0.00392156862745098 (1 / 255) makes them 0 to 1
        mean: what is taken away: one number, or one for each channel
        std: divisor behind it: one number, or one for each channel
    """

    scale: Above = 1.0
    mean: tuple[Mean, ...] = ()
    std: tuple[Above, ...] = ()
