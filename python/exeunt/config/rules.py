"""The [rules] section: modifications of images by rules, and further looks at exit 0."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from exeunt.config.section import Section

Learner = Literal["tree", "covering", "single", "random"]
Family = Literal["move", "shear", "table", "border"]
FAMILIES: tuple[Family, ...] = ("move", "shear", "table", "border")


class Rules(Section):
    """Rules that modify images so that they leave earlier; learned by `exeunt rules`.

    Attributes:
        first: whether rules for every image are looked for, in front of the first look
        looks: further looks at most, at images that would stay at exit 0
        rules: rules of a list at most
        conditions: conditions of a rule at most
        learner: how rules are learned: "tree", the leaves of scikit-learn's; "covering", one rule
            after the other; "single", one modification for all; "random", a check on the others
        families: kinds of modifications that are tried, all of which the rule unit has
        images: training images that rules are learned and tried on
        tail: what an image that reaches stage 1 costs beside its multiplications, as a fraction of
            the whole network's: stages behind the first are smaller in hardware when few reach them
        seed: of the images
    """

    first: bool = True
    looks: Annotated[int, Field(ge=0, le=2)] = 2
    rules: Annotated[int, Field(ge=1, le=8)] = 8
    conditions: Annotated[int, Field(ge=1, le=4)] = 3
    learner: Learner = "tree"
    families: Annotated[tuple[Family, ...], Field(min_length=1)] = FAMILIES
    images: Annotated[int, Field(ge=100)] = 30_000
    tail: Annotated[float, Field(ge=0.0, le=100.0)] = 0.3
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
