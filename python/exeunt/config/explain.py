"""The tables of explanations: what is drawn, and what an accelerator gives itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from exeunt.config.layers import Natural, Positive
from exeunt.config.methods import InHardware, Method
from exeunt.config.section import Fraction, Section


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError(f"must be a power of two from 1 to 256, got {value}")
    return value


class Hardware(Section):
    """Heat maps from the accelerator itself, beside its answers.

    Attributes:
        methods: that it has; the first one is used unless the host chooses another one
        bits: of a gradient
        prune: gradients below this share of the largest one of their layer become 0
        lanes: weights that are multiplied at once, a power of two
        slots: images that can wait for their map, those in the accelerator included
        when: "all" images, "none" but those asked for by id, or one in so many, unless the host
            says otherwise
    """

    methods: Annotated[tuple[InHardware, ...], Field(min_length=1)] = ("gradient-x-input",)
    bits: Annotated[int, Field(ge=4, le=14)] = 8
    prune: Fraction = 0.0
    lanes: Annotated[int, Field(ge=1, le=256), AfterValidator(_power_of_two)] = 8
    slots: Annotated[int, Field(ge=1, le=64)] = 2
    when: Literal["all", "none"] | Annotated[int, Field(ge=1, le=65535)] = 10

    @property
    def every(self) -> int:
        """One image in so many is explained; 0: none."""
        return {"all": 1, "none": 0}[self.when] if isinstance(self.when, str) else self.when


class Explain(Section):
    """What `exeunt explain` draws and measures.

    Attributes:
        method: what is drawn, and measured first
        reference: image that others are compared with: black, mean of the validation images,
            blurred
        shown: test images with heat maps
        measured: test images for the faithfulness; 0: none
        quantus: figures of the package quantus too, which must be there then
        hardware: the accelerator gives heat maps too; true: as all defaults say; unset: it does not
    """

    method: Method = "deeplift"
    reference: Literal["zeros", "mean", "blurred"] = "mean"
    shown: Positive = 12
    measured: Natural = 64
    quantus: bool = False
    hardware: Hardware | None = None

    @field_validator("hardware", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        """The words true and false."""
        return {True: {}, False: None}[value] if isinstance(value, bool) else value
