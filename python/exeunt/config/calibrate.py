"""The table [calibrate] of a config."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from exeunt import criteria
from exeunt.config.section import Fraction
from exeunt.config.section import Section as _Section
from exeunt.config.sentences import did_you_mean


class Calibrate(_Section):
    """Exit thresholds, chosen on validation images.

    Attributes:
        criterion: what must be large for an image to leave, a name in `exeunt.criteria`
        drop: accuracy (fraction) that leaving early may cost
        shift: pixels by which copies of the validation images are moved, each in all ways, where
            there are few of them; 0: no copies
        guarantee: what is promised of the loss: "probability": at most `drop`, with probability
            1 - `delta`; "average": at most `drop` on average; "none": nothing, half of `drop` is
            spent
        delta: probability with which guarantee = "probability" may fail
        horizon: images that guarantee = "probability" is about; 0: all that ever come
        per_class: each class may have a threshold of its own at each exit, an offset above the
            exit's, where that saves multiplications on the validation images
    """

    criterion: str = criteria.DEFAULT
    drop: Fraction = 0.002
    shift: Annotated[int, Field(ge=0, le=4)] = 0
    guarantee: Literal["none", "probability", "average"] = "none"
    delta: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    horizon: Annotated[int, Field(ge=0, le=10_000_000)] = 10_000
    per_class: bool = False

    @model_validator(mode="after")
    def _check(self) -> Calibrate:
        if self.criterion not in criteria.names():
            known = " or ".join(f'"{name}"' for name in criteria.names())
            near = did_you_mean(self.criterion, criteria.names())
            raise ValueError(f"criterion must be {known}, got {self.criterion!r}{near}")
        if self.per_class and not criteria.get(self.criterion).by_class:
            known = " or ".join(f'"{n}"' for n in criteria.names() if criteria.get(n).by_class)
            raise ValueError(
                "per_class must go with a criterion that judges each image by its logits at the "
                f"exit alone, {known}, got {self.criterion!r}"
            )
        if self.guarantee != "none" and self.shift:
            raise ValueError(
                f'shift must be 0 with guarantee = "{self.guarantee}", since moved copies are no '
                f"further images, got {self.shift}"
            )
        if self.guarantee != "none" and not self.drop:
            raise ValueError(
                f'drop must be above 0 with guarantee = "{self.guarantee}", since no number of '
                "images shows that none is ever lost, got 0"
            )
        return self
