"""Mixed precision: bits of every layer's weights and activations, by explanation and cost.

What a width costs in accuracy is its *damage*. By DeepLIFT it is what the width by itself
contributes to the answers, with the network as it is for the reference: the net effect of all
rounding errors of a layer, see `exeunt.quant.compress.effect`. It is measured on networks that
have repaired what is repaired at once: narrow weights clip where their squared error is least, and
batch norms are measured anew. Damages do not add up exactly, so those around the chosen widths are
measured again, and the search is done again, while the answers of the whole get nearer. By the
other criteria damage is the sum, over weights or channels of activations, of the relevance times
the quantisation error as a fraction of the value; errors that cancel count in full there. What a
width costs in hardware comes from `exeunt.cost`: bits of weights, and LUT after folding. The search
takes the widths of least damage within both budgets. "uniform" keeps all widths and fine-tunes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from exeunt import cost
from exeunt.config.compress import Precision
from exeunt.config.layers import Conv, Pool
from exeunt.config.tree import Model
from exeunt.cost.totals import Cost
from exeunt.errors import InputError
from exeunt.quant.compress.clips import activation_clips, clipped, scaled_axes
from exeunt.quant.compress.effect import Effect, effect, remeasured
from exeunt.quant.compress.subject import Subject
from exeunt.quant.compress.work import Work
from exeunt.quant.network.brevitas import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
from exeunt.quant.network.model import CLIP

_BATCH = 64
_ROUNDS = 12  # of exchanges
_TRIES = 600  # exchanges that are priced in a round
_TURNS = 3  # of measuring the damages again around what was chosen
_LAST = 0.9  # what the last exit counts; the thresholds of the others are calibrated to follow it
UNIFORM = "uniform"
Bits = dict["Item", int]


@dataclass(frozen=True, order=True)
class Item:
    """One width to choose: of the weights or of the activations of a layer of the config."""

    stage: int
    part: str  # "blocks" or "head"
    number: int
    what: str  # "weight_bits" or "activation_bits"

    @property
    def where(self) -> str:
        """The key in the [model] section."""
        return f"stages[{self.stage}].{self.part}[{self.number}].{self.what}"


class Priced(Protocol):
    """What an assignment costs, such as an `exeunt.cost.Cost`."""

    @property
    def weight_bits(self) -> int:
        """Bits of all weights."""

    @property
    def lut(self) -> int:
        """LUT of all kernels."""


@dataclass(frozen=True)
class Limits:
    """What an assignment may cost: bits of all weights, LUT of all kernels."""

    weight_bits: float
    lut: float

    def excess(self, found: Priced) -> float:
        """By how much it costs more, as a fraction of the limits; 0 within them."""
        return max(0.0, found.weight_bits / self.weight_bits - 1) + max(
            0.0, found.lut / self.lut - 1
        )


def apply(spec: Precision, subject: Subject, work: Work) -> tuple[Subject, dict[str, Any]]:
    """Choose widths within the budgets, requantize, fine-tune.

    Raises:
        InputError: a network that is not described by stages, weights that are shared already, or
            budgets that no assignment meets.
    """
    model = subject.model
    if model.kind != "config":
        raise InputError(
            f'a precision pass must have a model of source "config", got "{model.source}": '
            "describe the network by stages"
        )
    if subject.extras:
        raise InputError(
            f'passes of kind "precision" must come before {", ".join(sorted(subject.extras))}, '
            "got one behind: move it forward in compress.passes"
        )
    reach = reached(work.accuracy(subject, "validation")["rates"])

    def price(bits: Mapping[Item, int]) -> Cost:
        return cost.network(
            with_bits(model, bits), target_cycles=work.config.compile.cycles,
            headroom=work.config.compile.spare, reach=reach, dsp=False,
        )  # fmt: skip

    now = present(model)
    before = price(now)
    limits = Limits(spec.weight_budget * before.weight_bits, spec.lut_budget * before.lut)
    reference = effect(subject.network, work.scored.images, exit_weights(len(model.stages)))
    chosen, damages, found = now, {i: {b: 0.0} for i, b in now.items()}, subject
    if spec.criterion != UNIFORM:
        damages = damage(spec, subject, work, reference)
        chosen = search(damages, price, limits)
        found = settled(subject, chosen, reference.images)
    divergence = reference.of(found.network)
    for _ in range(_TURNS if spec.criterion == "deeplift" else 0):
        around = damage(spec, subject, work, reference, chosen)
        other = search(around, price, limits)
        changed = settled(subject, other, reference.images)
        if reference.of(changed.network) >= divergence:
            break
        chosen, found, divergence = other, changed, reference.of(changed.network)
    after = price(chosen)
    data: dict[str, Any] = {"before": work.accuracy(found)}
    for turn in range(1, spec.rounds + 1):
        found = work.finetune(found, spec.epochs, f"round {turn}")
    data["macs"] = after.macs
    data["bits"] = {item.where: bits for item, bits in sorted(chosen.items())}
    data["damage"] = sum(damages[item][bits] for item, bits in chosen.items())
    data["divergence"] = divergence
    data["limits"] = {"weight_bits": limits.weight_bits, "lut": limits.lut}
    data["uniform"], data["chosen"] = _figures(before), _figures(after)
    return found, data


def exit_weights(exits: int) -> list[float]:
    """How much every exit counts: nearly all of it the last, the others the rest alike."""
    if exits == 1:
        return [1.0]
    return [(1.0 - _LAST) / (exits - 1)] * (exits - 1) + [_LAST]


def _figures(found: Cost) -> dict[str, Any]:
    return {
        "weight_bits": found.weight_bits,
        "lut": found.lut,
        "bram18": found.bram18,
        "cycles": found.cycles,
        "control_lut": found.control,
    }


def reached(rates: Sequence[float]) -> list[float]:
    """Fraction of the images that reaches each exit, of the fractions that leave there."""
    left = np.concatenate([[0.0], np.cumsum(rates)[:-1]])
    return [float(x) for x in np.clip(1.0 - left, 0.0, 1.0)]


def items(model: Model) -> Iterator[tuple[Item, str]]:
    """Every width of the network with the name of the module that has it, in pipeline order."""
    for index in range(len(model.stages)):
        layers = (("blocks", "segments", model.stages[index].blocks),
                  ("head", "heads", model.head(index)))  # fmt: skip
        for part, chain, found in layers:
            place = 0  # in the nn.Sequential
            flat = False
            for number, layer in enumerate(found):
                name = f"{chain}.{index}."
                if isinstance(layer, Conv):
                    place += layer.window.pad[:2] != layer.window.pad[2:]  # a layer that pads
                    yield Item(index, part, number, "weight_bits"), f"{name}{place}"
                    yield Item(index, part, number, "activation_bits"), f"{name}{place + 2}"
                    place += 3
                elif isinstance(layer, Pool):
                    place += 1
                    if layer.pool == "average":
                        yield Item(index, part, number, "activation_bits"), f"{name}{place}"
                        place += 1
                else:
                    place += not flat
                    flat = True
                    yield Item(index, part, number, "weight_bits"), f"{name}{place}"
                    if number < len(found) - 1:
                        yield Item(index, part, number, "activation_bits"), f"{name}{place + 2}"
                        place += 3


def present(model: Model) -> Bits:
    """The widths as they are."""
    found = {}
    for item, _ in items(model):
        layers = model.head(item.stage) if item.part == "head" else model.stages[item.stage].blocks
        own = getattr(layers[item.number], item.what)
        found[item] = own or getattr(model, item.what)
    return found


def with_bits(model: Model, bits: Mapping[Item, int]) -> Model:
    """The [model] section with these widths written out."""
    data = model.model_dump(mode="python")
    for index, stage in enumerate(data["stages"]):
        stage["head"] = tuple(layer.model_dump() for layer in model.head(index))
    for item, width in bits.items():
        data["stages"][item.stage][item.part][item.number][item.what] = width
    return Model.model_validate(data)


Clips = Mapping[tuple[str, int], float]


def requantized(subject: Subject, bits: Mapping[Item, int], clips: Clips | None = None) -> Subject:
    """The network with these widths; fewer bits clip earlier, activations where `clips` says."""
    state = {k: v.clone() for k, v in subject.network.state_dict().items()}
    before = present(subject.model)
    modules = dict(subject.network.named_modules())
    for item, name in items(subject.model):
        if item.what == "weight_bits":
            state[f"{name}.weight"] = clipped(modules[name], bits[item])
        else:
            factor = (clips or {}).get((name, bits[item]), CLIP[bits[item]] / CLIP[before[item]])
            for key in state:
                if key.startswith(f"{name}.act_quant") and key.endswith("scaling_impl.value"):
                    state[key] = state[key] * factor
    found = subject.rebuilt(with_bits(subject.model, bits), state)
    found.project()
    return found


def clips_of(subject: Subject, images: Tensor) -> Clips:
    """Where the activations clip at fewer bits, see `activation_clips`."""
    widths = present(subject.model)
    names = {n: widths[i] for i, n in items(subject.model) if i.what == "activation_bits"}
    return activation_clips(subject.network, names, images)


def settled(
    subject: Subject, bits: Mapping[Item, int], images: Tensor, clips: Clips | None = None
) -> Subject:
    """The network with these widths, clips and batch norms measured on `images` (N, C, H, W)."""
    found = requantized(subject, bits, clips_of(subject, images) if clips is None else clips)
    remeasured(found.network, images)
    return found


def damage(
    spec: Precision,
    subject: Subject,
    work: Work,
    reference: Effect | None = None,
    around: Mapping[Item, int] | None = None,
) -> dict[Item, dict[int, float]]:
    """What every width of every item costs, in nats by DeepLIFT, see the module.

    `reference` holds the present answers (None: on the images that criteria look at), `around` are
    the widths of the other items (None: the present ones). By DeepLIFT the width that `around` has
    costs nothing, what is nearer to the present answers less, and widths beyond the present one are
    left out unless there are no others: they are no nearer.
    """
    model, network = subject.model, subject.network
    if spec.criterion == "deeplift":
        if reference is None:
            reference = effect(network, work.scored.images, exit_weights(len(model.stages)))
        now = present(model)
        base = dict(around or now)
        clips = clips_of(subject, reference.images)

        def of(bits: Mapping[Item, int]) -> float:
            return reference.of(settled(subject, bits, reference.images, clips).network)

        whole = of(base)
        damages: dict[Item, dict[int, float]] = {}
        for item, old in now.items():
            widths = choices(spec, item)
            damages[item] = {
                b: of({**base, item: b}) - whole if b != base[item] else 0.0
                for b in [w for w in widths if w <= old] or [min(widths)]
            }
        return damages
    if spec.criterion == "random":
        random = np.random.default_rng([work.seed, 17])
        return {
            item: {b: float(weight) * 4.0**-b for b in choices(spec, item)}
            for (item, _), weight in zip(
                items(model), random.uniform(0.05, 1.0, len(list(items(model)))), strict=True
            )
        }
    scores = work.scores(subject, spec)
    modules = dict(network.named_modules())
    errors = activation_errors(network, model, work, spec)
    found: dict[Item, dict[int, float]] = {}
    owner = ""
    for item, name in items(model):
        if item.what == "weight_bits":
            owner = name
            score = scores.weights[name].double()
            if spec.criterion == "l1":  # sizes of layers do not compare: relative to the layer
                score = score / score.sum().clamp_min(1e-300)
            module = modules[name]
            assert isinstance(module, QuantConv2d | QuantLinear)
            found[item] = {
                b: float((score * relative_error(module, b)).sum()) for b in choices(spec, item)
            }
        else:
            score = scores.filters[owner].double()
            if spec.criterion == "l1":
                score = score / score.sum().clamp_min(1e-300)
            found[item] = {b: float((score * errors[name, b]).sum()) for b in choices(spec, item)}
    return found


def choices(spec: Precision, item: Item) -> tuple[int, ...]:
    """The widths that an item may have."""
    return spec.weight_widths if item.what == "weight_bits" else spec.activation_widths


@torch.no_grad()
def relative_error(module: QuantConv2d | QuantLinear, bits: int) -> Tensor:
    """|w - Q(w)| / |w| of every float weight at `bits`, narrow range, clipped as in `clipped`."""
    weight = module.weight.detach().double()
    largest = clipped(module, bits).double().abs().amax(scaled_axes(module), keepdim=True)
    step = (largest / ((1 << (bits - 1)) - 1)).clamp_min(1e-30)
    rounded = torch.round(weight / step).clamp(-((1 << (bits - 1)) - 1), (1 << (bits - 1)) - 1)
    error = (weight - rounded * step).abs()
    return torch.where(weight != 0, error / weight.abs().clamp_min(1e-30), 0.0)


@torch.no_grad()
def activation_errors(
    network: nn.Module, model: Model, work: Work, spec: Precision
) -> dict[tuple[str, int], Tensor]:
    """Sum |a - Q(a)| / sum |a| of every channel behind each quantizer, by its name and bits.

    a is what enters the quantizer, rectified, in floating point.
    """
    modules = dict(network.named_modules())
    before = present(model)
    wanted = {name: before[i] for i, name in items(model) if i.what == "activation_bits"}
    sums: dict[tuple[str, int], Tensor] = {}

    def watch(name: str) -> Any:
        module = modules[name]
        assert isinstance(module, QuantReLU | QuantIdentity)
        bits = wanted[name]
        clip = float(module.act_quant.scale()) * ((1 << bits) - 1)

        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            value = torch.relu(inputs[0].detach().double())
            axes = [i for i in range(value.dim()) if i != 1]
            sums[name, 0] = sums.get((name, 0), 0.0) + value.sum(axes)
            for b in spec.activation_widths:
                step = clip * CLIP[b] / CLIP[bits] / ((1 << b) - 1)
                rounded = torch.round(value / step).clamp(0, (1 << b) - 1) * step
                sums[name, b] = sums.get((name, b), 0.0) + (value - rounded).abs().sum(axes)

        return module.register_forward_pre_hook(hook)

    handles = [watch(name) for name in wanted]
    try:
        images = work.scored.images
        network.eval()
        for start in range(0, len(images), _BATCH):
            batch = np.ascontiguousarray(images[start : start + _BATCH].transpose(0, 3, 1, 2))
            network(torch.from_numpy(batch).float())
    finally:
        for handle in handles:
            handle.remove()
    return {
        (name, b): value / sums[name, 0].clamp_min(1e-30) for (name, b), value in sums.items() if b
    }


def search(
    damages: Mapping[Item, Mapping[int, float]], price: Callable[[Bits], Priced], limits: Limits
) -> Bits:
    """The widths of little damage within the limits: greedy, then exchanges until none helps.

    From the widths of least damage on (the widest of equals), that change of one width is made
    whose damage grows least for what it saves; then, as long as the limits hold and the damage
    falls, one width changes, alone or together with another. A narrower width may cost more (a
    memory that is too small for a block becomes LUTs), so a change may go to any width.
    Deterministic.

    Raises:
        InputError: no change brings the cost within the limits.
    """
    bits = {
        item: min(values, key=lambda b, values=values: (values[b], -b))  # type: ignore[misc]
        for item, values in damages.items()
    }
    over = limits.excess(price(bits))
    while over > 0:
        steps = []
        for item, width in _changes(bits, damages):
            left = limits.excess(price({**bits, item: width}))
            if left < over - 1e-12:
                grown = damages[item][width] - damages[item][bits[item]]
                steps.append((max(grown, 0.0) / (over - left), item, width, left))
        if not steps:
            found = price(bits)
            raise InputError(
                f"budgets of a precision pass must be reachable, got {limits.weight_bits:,.0f} "
                f"weight bits and {limits.lut:,.0f} LUT where the least found is "
                f"{found.weight_bits:,} and {found.lut:,}: raise weight_budget or lut_budget, or "
                "allow narrower widths"
            )
        _, item, width, over = min(steps)
        bits[item] = width
    for _ in range(_ROUNDS):
        better = next(_exchanges(bits, damages, price, limits, below=-1e-12), None)
        if better is None:
            break
        bits = better
    return bits


def _changes(bits: Bits, damages: Mapping[Item, Mapping[int, float]]) -> Iterator[tuple[Item, int]]:
    """Every item with every other width of it."""
    for item, found in damages.items():
        for width in found:
            if width != bits[item]:
                yield item, width


def _exchanges(
    bits: Bits,
    damages: Mapping[Item, Mapping[int, float]],
    price: Callable[[Bits], Priced],
    limits: Limits,
    *,
    below: float,
) -> Iterator[Bits]:
    """Assignments within the limits with one or two other widths, least damage first.

    The damage changes by less than `below`.
    """
    singles = [
        (damages[item][width] - damages[item][bits[item]], item, width)
        for item, width in _changes(bits, damages)
    ]
    moves: list[tuple[float, tuple[tuple[Item, int], ...]]] = [
        (change, ((item, width),)) for change, item, width in singles if change < below
    ]
    moves += [
        (one + two, ((first, wide), (second, narrow)))
        for (one, first, wide), (two, second, narrow) in itertools.combinations(singles, 2)
        if first != second and one + two < below
    ]
    for _, changes in sorted(moves)[:_TRIES]:
        candidate = {**bits, **dict(changes)}
        if limits.excess(price(candidate)) == 0:
            yield candidate
