"""The [compress] section: which passes make a trained network smaller, and by how much."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from exeunt.config.section import Section

Criterion = Literal["deeplift", "lrp", "taylor", "gradient", "l1", "random"]
Uniform = Literal["uniform"]
CRITERIA: tuple[str, ...] = get_args(Criterion)
Reference = Literal["zeros", "mean", "blurred"]
Normalize = Literal["none", "mean", "l2", "max", "rank"]
Aggregate = Literal["absolute", "net", "signed", "positive", "rms", "class-max", "class-net"]
Scale = Literal["none", "root", "rms"]
Objective = Literal["logit", "margin", "centred", "log-probability"]
Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
Open = Annotated[float, Field(gt=0.0, lt=1.0)]
Bits = Annotated[int, Field(ge=2, le=8)]
Widths = Annotated[tuple[Bits, ...], Field(min_length=1)]


class Pass(Section):
    """What every pass has: rounds of compressing and fine-tuning.

    Attributes:
        criterion: what says how important a filter or weight is
        rounds: steps in which it is done
        epochs: fine-tuning behind each step, with the loss of the training
        objective: what DeepLIFT and LRP explain
        reference: image that DeepLIFT compares with
        aggregate: how contributions become one score, see `exeunt.quant.attribution.scores`
    """

    criterion: Criterion = "deeplift"
    rounds: Positive = 1
    epochs: Natural = 1
    objective: Objective = "logit"
    reference: Reference = "zeros"
    aggregate: Aggregate = "net"


class Filters(Pass):
    """Whole filters go, the network becomes narrower.

    Attributes:
        kind: of the pass
        budget: multiplies of the full path that may stay, as a fraction
        multiple: layers lose filters in such lots
        floor: fraction of every layer's filters that stays
        normalize: by what scores of a layer are divided before layers are compared
        per_mac: whether they are also divided by the multiplies that a filter costs
    """

    kind: Literal["filters"]
    budget: Open = 0.5
    multiple: Positive = 4
    floor: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.25
    normalize: Normalize = "none"
    per_mac: bool = False

    def with_budget(self, value: float) -> Filters:
        """The same pass with another budget."""
        return self.model_copy(update={"budget": value})


class Weights(Pass):
    """Single weights go, equally many for every group of outputs that a PE works through.

    Contributions sum to the same output in every layer, so a weight of a small layer carries
    more of it.

    Attributes:
        kind: of the pass
        sparsity: fraction of the weights that goes
        group: outputs (rows) that follow each other and keep equally many weights each; 0: all of a
            layer, which suits any number of PEs
        scale: by what scores of a layer are divided before layers are compared: their root mean
            square ("rms"), its root ("root") or nothing ("none")
        classifiers: whether the last layers of the heads lose weights too
    """

    kind: Literal["weights"]
    sparsity: Open = 0.8
    group: Natural = 0
    scale: Scale = "root"
    classifiers: bool = True

    @property
    def budget(self) -> float:
        """Fraction of the weights that stays."""
        return round(1.0 - self.sparsity, 9)

    def with_budget(self, value: float) -> Weights:
        """The same pass that leaves this fraction of the weights."""
        return self.model_copy(update={"sparsity": round(1.0 - value, 9)})


class Blocks(Pass):
    """Like `Weights`, with neighbours of a row, in the order of the kernel, at once.

    Attributes:
        kind: of the pass
        sparsity: fraction of the weights that goes
        group: as of `weights`
        scale: as of `weights`
        block: neighbours that go together
        classifiers: whether the last layers of the heads lose weights too
    """

    kind: Literal["blocks"]
    sparsity: Open = 0.8
    group: Natural = 0
    scale: Scale = "root"
    block: Positive = 4
    classifiers: bool = True

    @property
    def budget(self) -> float:
        """Fraction of the weights that stays."""
        return round(1.0 - self.sparsity, 9)

    def with_budget(self, value: float) -> Blocks:
        """The same pass that leaves this fraction of the weights."""
        return self.model_copy(update={"sparsity": round(1.0 - value, 9)})


class Sharing(Pass):
    """The weights of every layer become a few integers: a codebook and indices into it.

    Attributes:
        kind: of the pass
        criterion: weighs the k-means with scores by the size of the weight; "uniform" is the plain
            one
        centroids: integers of a layer
        blend: added to the scores, relative to their mean
        centroid_bits: width of the integers; unset: that of the weights
    """

    kind: Literal["sharing"]
    criterion: Criterion | Uniform = "deeplift"  # type: ignore[assignment]  # one more
    centroids: Annotated[int, Field(ge=2, le=255)] = 8
    blend: Annotated[float, Field(ge=0.0)] = 0.0
    centroid_bits: Bits | None = None

    @property
    def budget(self) -> float:
        """Centroids of a layer."""
        return float(self.centroids)

    def with_budget(self, value: float) -> Sharing:
        """The same pass with so many centroids."""
        return self.model_copy(update={"centroids": int(value)})


class Precision(Pass):
    """Bits of weights and activations, layer by layer, of least damage within two budgets.

    DeepLIFT compares networks here, so that `objective`, `reference` and `aggregate` have no
    part in it, and widens nothing.

    Attributes:
        kind: of the pass
        criterion: what says how much damage fewer bits do; "uniform" keeps all widths and
            fine-tunes: what the others are compared with
        weight_budget: bits of all weights that may stay, as a fraction of what they are
        lut_budget: LUT of all kernels that may stay, as a fraction, as `exeunt.cost` predicts them
            with every multiplier in LUTs
        weight_widths: bits of weights to choose from
        activation_widths: bits of activations to choose from
    """

    kind: Literal["precision"]
    criterion: Criterion | Uniform = "deeplift"  # type: ignore[assignment]  # one more
    weight_budget: Open = 0.75
    lut_budget: Open = 0.75
    weight_widths: Widths = (2, 3, 4, 5, 6, 8)
    activation_widths: Widths = (2, 3, 4, 5, 6)

    @property
    def budget(self) -> float:
        """Fraction of the weight bits and of the LUT that stays."""
        return self.weight_budget

    def with_budget(self, value: float) -> Precision:
        """The same pass with another fraction of both."""
        return self.model_copy(update={"weight_budget": value, "lut_budget": value})


AnyPass = Annotated[Filters | Weights | Blocks | Sharing | Precision, Field(discriminator="kind")]
TABLES: dict[str, type[Section]] = {
    "filters": Filters,
    "weights": Weights,
    "blocks": Blocks,
    "sharing": Sharing,
    "precision": Precision,
}
KINDS = tuple(TABLES)


class Compare(Section):
    """What `exeunt compress --compare` tries: every pass by itself, with each of these.

    The criterion "uniform" is for passes of kind "sharing" and "precision", others leave it
    out.

    Attributes:
        criteria: put side by side
        budgets: in place of the pass's own; unset: its own
        seeds: of the networks
        epochs: fine-tuning of all
        draws: so many of the criterion "random" on every seed; what is paired is their mean
        settings: what single criteria are given beside, such as deeplift = { reference = "mean" }
    """

    criteria: Annotated[tuple[Criterion | Uniform, ...], Field(min_length=1)] = CRITERIA  # type: ignore[assignment]
    budgets: tuple[Annotated[float, Field(gt=0.0, lt=256.0)], ...] | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    epochs: Natural = 1
    draws: Positive = 1
    settings: dict[Criterion | Uniform, dict[str, str | bool | int | float]] = Field(
        default_factory=dict
    )


class Compress(Section):
    """Passes that make the trained network smaller, in order.

    Attributes:
        passes: what goes, and by how much
        images: training images that are scored, class by class equally many
        learning_rate: peak of the fine-tuning; its other settings are those of [train]
        seed: of what is drawn at random
        compare: what `exeunt compress --compare` tries
    """

    passes: Annotated[tuple[AnyPass, ...], Field(min_length=1)]
    images: Positive = 512
    learning_rate: Annotated[float, Field(gt=0.0, le=1000.0)] = 0.003
    seed: Seed = 0
    compare: Compare = Compare()
