"""The [compress] section: which passes make a trained network smaller, and by how much."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from exeunt._section import Section

Criterion = Literal["deeplift", "lrp", "taylor", "gradient", "l1", "random"]
CRITERIA: tuple[str, ...] = get_args(Criterion)
Reference = Literal["zeros", "mean", "blurred"]
Normalize = Literal["none", "mean", "l2", "max", "rank"]
Aggregate = Literal["absolute", "net", "signed", "positive", "rms", "class-max", "class-net"]
Objective = Literal["logit", "margin", "centred", "log-probability"]
Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Open = Annotated[float, Field(gt=0.0, lt=1.0)]


class Pass(Section):
    """What every pass has: its `criterion`, `rounds` of compressing and fine-tuning.

    Each round is followed by `epochs` of fine-tuning with the loss of the training. Of DeepLIFT
    and LRP: `objective` is what they explain, `reference` the image that DeepLIFT compares with,
    `aggregate` how contributions become one score, see `exeunt.quant.attribution.scores`.
    """

    criterion: Criterion = "deeplift"
    rounds: Positive = 1
    epochs: Natural = 1
    objective: Objective = "logit"
    reference: Reference = "zeros"
    aggregate: Aggregate = "absolute"


class Filters(Pass):
    """Whole filters go, the network becomes narrower.

    `budget`: multiplies of the full path that may stay, as a fraction. `multiple`: layers lose
    filters in such lots. `floor`: fraction of every layer's filters that stays.
    `normalize`: by what the scores of a layer are divided before layers are compared; `per_mac`
    also divides them by the multiplies that a filter costs.
    """

    kind: Literal["filters"]
    budget: Open = 0.5
    multiple: Positive = 4
    floor: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.25
    normalize: Normalize = "l2"
    per_mac: bool = False


class Weights(Pass):
    """Single weights go, equally many for every group of outputs that a PE works through.

    `sparsity`: fraction of the weights that goes. `group`: so many outputs (rows) that follow each
    other keep equally many weights each; 0: all of a layer, which suits any number of PEs.
    `classifiers`: whether the last layers of the heads lose weights too.
    """

    kind: Literal["weights"]
    sparsity: Open = 0.8
    group: Natural = 0
    classifiers: bool = True

    @property
    def budget(self) -> float:
        """Fraction of the weights that stays."""
        return 1.0 - self.sparsity


class Blocks(Pass):
    """Like `Weights`, with `block` neighbours of a row, in the order of the kernel, at once."""

    kind: Literal["blocks"]
    sparsity: Open = 0.8
    group: Natural = 0
    block: Positive = 4
    classifiers: bool = True

    @property
    def budget(self) -> float:
        """Fraction of the weights that stays."""
        return 1.0 - self.sparsity


AnyPass = Annotated[Filters | Weights | Blocks, Field(discriminator="kind")]
TABLES: dict[str, type[Section]] = {"filters": Filters, "weights": Weights, "blocks": Blocks}
KINDS = tuple(TABLES)


class Compress(Section):
    """Passes in order; `images` of the training set are scored, class by class equally many.

    `learning_rate` is the peak of the fine-tuning; its other settings are those of [train].
    """

    passes: Annotated[tuple[AnyPass, ...], Field(min_length=1)]
    images: Positive = 512
    learning_rate: Annotated[float, Field(gt=0.0)] = 0.003
    seed: Natural = 0
