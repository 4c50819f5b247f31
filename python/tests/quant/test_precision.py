"""Mixed precision: what a width damages, the search within budgets, the requantized network."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from exeunt import cost
from exeunt.config import compress as passes
from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant.compress import clips, effect, precision
from exeunt.quant.compress.precision import Item, Limits
from exeunt.quant.compress.structure import narrowed, sliced, structure_of
from exeunt.quant.compress.subject import Subject
from exeunt.quant.compress.work import Work
from exeunt.quant.data.datasets import load
from exeunt.quant.network.brevitas import (
    Int8WeightPerTensorFloat,
    QuantLinear,
    QuantReLU,
    ScalingImplType,
    Uint8ActPerTensorFloat,
)
from exeunt.quant.network.source import build
from exeunt.quant.train import load_checkpoint

SPEC = {"kind": "precision", "criterion": "taylor", "epochs": 0, "weight_widths": (2, 3, 4, 6)}


def spec(**changes) -> passes.Precision:
    return passes.Precision.model_validate({**SPEC, **changes})


@pytest.fixture
def work(tiny: tree.Config, trained: Path) -> Work:
    section = passes.Compress(passes=(spec(),), images=40)
    splits = load(tiny.data, trained, shape=tiny.model.input, classes=10)
    return Work(tiny.model_copy(update={"compress": section}), section, splits)


@pytest.fixture
def whole(tiny: tree.Config, trained: Path) -> Subject:
    return Subject(load_checkpoint(tiny, trained), tiny.model)


def test_items_name_the_modules(tiny: tree.Config, whole: Subject):
    modules = dict(whole.network.named_modules())
    found = list(precision.items(tiny.model))
    assert [(i.where, n) for i, n in found] == [
        ("stages[0].blocks[0].weight_bits", "segments.0.0"),
        ("stages[0].blocks[0].activation_bits", "segments.0.2"),
        ("stages[0].head[0].weight_bits", "heads.0.1"),
        ("stages[1].blocks[0].weight_bits", "segments.1.0"),
        ("stages[1].blocks[0].activation_bits", "segments.1.2"),
        ("stages[1].head[0].activation_bits", "heads.1.1"),
        ("stages[1].head[1].weight_bits", "heads.1.3"),
        ("stages[1].head[1].activation_bits", "heads.1.5"),
        ("stages[1].head[2].weight_bits", "heads.1.6"),
    ]
    now = precision.present(tiny.model)
    assert [now[i] for i, _ in found] == [2, 3, 3, 3, 4, 3, 3, 3, 3]
    for item, name in found:
        quantizer = "weight_quant" if item.what == "weight_bits" else "act_quant"
        assert int(getattr(modules[name], quantizer).bit_width()) == now[item]
    assert precision.present(precision.with_bits(tiny.model, now)) == now


HEADS = """
name = "x"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 8, kernel = 3, padding = 1 }]
head = [
  { conv = 6, kernel = 3, padding = [0, 1, 1, 0], weight_bits = 3 },
  { pool = "max", size = 2 },
  { conv = 12, kernel = 1, activation_bits = 2 },
  { linear = 16 },
]
[[model.stages]]
blocks = [{ conv = 8, kernel = 3, stride = 2 }]
head = [{ pool = "average", size = 2 }, { conv = 5, kernel = 1 }]
"""


def test_convolutions_of_heads_have_widths_and_filters():
    model = tree.parse(HEADS).model
    network = build(model)
    modules = dict(network.named_modules())
    now = precision.present(model)
    for item, name in precision.items(model):
        quantizer = "weight_quant" if item.what == "weight_bits" else "act_quant"
        assert int(getattr(modules[name], quantizer).bit_width()) == now[item]
    structure = structure_of(network, model)
    keep = {g: torch.arange(structure.groups[g].size - 1) for g in structure.free()}
    narrow = narrowed(model, structure, keep)
    assert [getattr(y, "conv", 0) for y in narrow.stages[0].head] == [5, 0, 11, 0, 0]
    widths = [len(keep.get(i, range(g.size))) for i, g in enumerate(structure.groups)]
    smaller = build(narrow)
    smaller.load_state_dict(sliced(network.state_dict(), structure, keep))
    assert structure.macs(widths) == sum(c.segment + c.head for c in smaller.costs)


def test_an_assignment_is_built(whole: Subject, work: Work):
    bits = {item: 2 + i % 4 for i, (item, _) in enumerate(precision.items(whole.model))}
    found = precision.requantized(whole, bits)
    modules = dict(found.network.named_modules())
    for item, name in precision.items(found.model):
        quantizer = "weight_quant" if item.what == "weight_bits" else "act_quant"
        assert int(getattr(modules[name], quantizer).bit_width()) == bits[item], item
    assert precision.present(found.model) == bits
    assert len(work.accuracy(found)["exits"]) == 2


def test_wider_is_less_damage(whole: Subject, work: Work):
    for criterion in ("taylor", "l1", "random"):
        found = precision.damage(spec(criterion=criterion), whole, work)
        assert list(found) == [item for item, _ in precision.items(whole.model)]
        for item, values in found.items():
            ordered = [values[b] for b in sorted(values)]
            assert ordered[0] > ordered[-1] > 0, (criterion, item.where)


def test_damage_by_deeplift_is_the_measured_change_of_the_logits(whole: Subject, work: Work):
    chosen = spec(criterion="deeplift", weight_widths=(2, 4), activation_widths=(2, 6))
    found = precision.damage(chosen, whole, work)
    now = precision.present(whole.model)
    images = torch.from_numpy(work.scored.images.transpose(0, 3, 1, 2).copy()).float()

    def nats(bits) -> float:
        other = precision.settled(whole, bits, images).network(images)
        total = 0.0
        for weight, z, y in zip([0.1, 0.9], whole.network(images), other, strict=True):
            p = torch.softmax(z.double() / 2, 1)
            gap = (p * (p.log() - torch.log_softmax(y.double() / 2, 1))).sum(1).mean()
            total += weight * 4 * float(gap)
        return total

    with torch.no_grad():
        base = nats(now)
        for item, values in found.items():
            for bits, value in values.items():
                wanted = nats({**now, item: bits}) - base if bits != now[item] else 0.0
                assert value == pytest.approx(wanted, abs=1e-6), (item.where, bits)
        assert all(bits <= now[i] or len(v) == 1 for i, v in found.items() for bits in v)
        item = Item(0, "blocks", 0, "activation_bits")
        narrow = {**now, item: 2}
        around = precision.damage(chosen, whole, work, around=narrow)
        assert around[item][2] == 0.0
        head = Item(0, "head", 0, "weight_bits")
        wanted = nats({**narrow, head: 2}) - nats(narrow)
        assert around[head][2] == pytest.approx(wanted, abs=1e-6)


def test_clips_are_where_the_squared_error_is_least(whole: Subject, work: Work):
    module = QuantLinear(
        8, 1, bias=False, weight_quant=Int8WeightPerTensorFloat, weight_bit_width=4
    )
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[7.0, 4, 4, 4, -4, -4, 4, 0]]))
    found = clips.clipped(module, 2)
    assert found.abs().max() == pytest.approx(4.55)  # the nearest of 0.3 to 1 times 7 to 31 / 7
    assert torch.equal(clips.clipped(module, 4), module.weight)
    error = precision.relative_error(module, 2)
    assert error[0, 0] == pytest.approx(2.45 / 7, abs=1e-6)
    assert error[0, 1] == pytest.approx(0.55 / 4, abs=1e-6)


def test_clips_of_activations():
    quantizer = QuantReLU(
        act_quant=Uint8ActPerTensorFloat, bit_width=4, scaling_impl_type=ScalingImplType.PARAMETER,
        scaling_init=15.0,
    )  # fmt: skip
    values = torch.tensor([15.0] + [6.0] * 50 + [-3.0] * 20).view(-1, 1, 1, 1)
    found = clips.activation_clips(torch.nn.Sequential(quantizer), {"0": 4}, values)
    assert set(found) == {("0", 2), ("0", 3)}
    assert found["0", 2] == pytest.approx(0.6)  # 6 is a step of 3 at 9, and the 15 are one


def test_batch_norms_are_measured_anew(whole: Subject, work: Work):
    images = torch.from_numpy(work.scored.images.transpose(0, 3, 1, 2).copy()).float()
    norm = next(m for m in whole.network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen = []
    handle = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    momentum = norm.momentum
    effect.remeasured(whole.network, images)
    handle.remove()
    assert torch.allclose(norm.running_mean, torch.cat(seen).mean((0, 2, 3)), atol=1e-3)
    assert (norm.momentum, norm.training) == (momentum, False)


def test_a_harmless_narrowing_costs_nothing(whole: Subject, work: Work):
    """Weights that are all zero or the largest are the same at any width."""
    model = precision.with_bits(whole.model, {Item(1, "blocks", 0, "weight_bits"): 4})
    whole = whole.rebuilt(model)
    weight = dict(whole.network.named_modules())["segments.1.0"].weight
    with torch.no_grad():
        large = weight.abs().max()
        weight.copy_(large * torch.sign(weight) * (weight.abs() > large / 4))
    found = precision.damage(
        spec(criterion="deeplift", weight_widths=(2, 4), activation_widths=(4,)), whole, work
    )
    assert max(found[Item(1, "blocks", 0, "weight_bits")].values()) < 1e-9
    assert found[Item(0, "head", 0, "weight_bits")][2] > 1e-4


def test_errors_that_cancel_count_for_nothing():
    logits = torch.tensor([[3.0, 1.0, 0.0]], dtype=torch.float64)
    assert float(effect.divergence(logits, torch.full_like(logits, 5.0))) == pytest.approx(0.0)
    change = torch.tensor([[-1.0, 1.0, 0.0]], dtype=torch.float64)
    p, q = (np.exp(v) / np.exp(v).sum() for v in (np.array([3.0, 1, 0]), np.array([2.0, 2, 0])))
    assert float(effect.divergence(logits, change)) == pytest.approx(
        float((p * np.log(p / q)).sum())
    )


def test_the_search_does_not_widen_what_gets_worse():
    names = [Item(0, "blocks", n, "weight_bits") for n in range(2)]
    damages = {n: {3: 0.5, 4: 0.0, 6: 0.2, 8: 0.0} for n in names}
    found = precision.search(damages, sizes, Limits(3 * 12, 1e9))
    assert sorted(found.values()) == [4, 8]


def test_relative_error_by_hand(whole: Subject):
    module = dict(whole.network.named_modules())["segments.1.0"]
    with torch.no_grad():
        module.weight.zero_()
        module.weight[:, 0, 0, 0] = 3.0
        module.weight[0, 1, 1, 1] = 1.4
    error = precision.relative_error(module, 3)  # type: ignore[arg-type]
    assert float(error[0, 1, 1, 1]) == pytest.approx(0.4 / 1.4)
    assert float(error.sum()) == pytest.approx(0.4 / 1.4, abs=1e-6)
    assert float(precision.relative_error(module, 2)[0, 1, 1, 1]) == pytest.approx(1.0)  # type: ignore[arg-type]


def sizes(bits) -> SimpleNamespace:
    """A made-up price: both budgets grow with the widths, of some items faster."""
    return SimpleNamespace(
        weight_bits=sum(b * (3 + i.stage) for i, b in bits.items() if i.what == "weight_bits"),
        lut=sum(b * b * (2 + i.number) for i, b in bits.items()),
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_search_is_near_the_best_of_all(seed: int):
    random = np.random.default_rng(seed)
    names = [Item(s, "blocks", n, "weight_bits") for s in (0, 1, 2) for n in (0, 1)]
    damages = {n: {b: float(random.uniform(0.1, 9)) * 4.0**-b for b in (2, 3, 4)} for n in names}
    for values in damages.values():  # wider never hurts
        for b in (3, 4):
            values[b] = min(values[b], values[b - 1])
    limits = Limits(70, 150)
    found = precision.search(damages, sizes, limits)
    assert limits.excess(sizes(found)) == 0

    def total(bits):
        return sum(damages[i][b] for i, b in bits.items())

    every = [dict(zip(names, c, strict=True)) for c in itertools.product((2, 3, 4), repeat=6)]
    fitting = [total(b) for b in every if limits.excess(sizes(b)) == 0]
    assert total(found) <= 1.3 * min(fitting)
    assert total(found) <= np.quantile(fitting, 0.05)


@pytest.mark.parametrize("criterion", ["taylor", "deeplift"])
def test_the_pass_stays_within_its_budgets(whole: Subject, work: Work, criterion: str):
    chosen = spec(criterion=criterion, weight_budget=0.9, lut_budget=0.9)
    after, data = precision.apply(chosen, whole, work)
    there = effect.effect(whole.network, work.scored.images, precision.exit_weights(2))
    assert data["divergence"] == pytest.approx(there.of(after.network), rel=1e-6)
    assert data["divergence"] > 0
    assert data["chosen"]["weight_bits"] <= 0.9 * data["uniform"]["weight_bits"]
    assert data["chosen"]["lut"] <= 0.9 * data["uniform"]["lut"]
    assert data["bits"] == {i.where: b for i, b in sorted(precision.present(after.model).items())}
    reach = precision.reached(work.accuracy(whole)["rates"])
    found = cost.network(
        after.model, target_cycles=work.config.compile.cycles, reach=reach, dsp=False
    )
    assert (found.weight_bits, found.lut) == (data["chosen"]["weight_bits"], data["chosen"]["lut"])


def test_uniform_keeps_the_widths(whole: Subject, work: Work):
    after, data = precision.apply(spec(criterion="uniform"), whole, work)
    assert precision.present(after.model) == precision.present(whole.model)
    assert data["chosen"] == data["uniform"]
    assert (data["divergence"], data["damage"]) == (0.0, 0.0)


def test_exit_weights():
    assert precision.exit_weights(1) == [1.0]
    assert precision.exit_weights(3) == pytest.approx([0.05, 0.05, 0.9])


def test_reach_from_rates():
    assert precision.reached([0.7, 0.2, 0.1]) == pytest.approx([1.0, 0.3, 0.1])


def test_a_budget_out_of_reach(whole: Subject, work: Work):
    with pytest.raises(InputError) as error:
        precision.apply(spec(weight_budget=0.3), whole, work)
    said = str(error.value)
    assert said.startswith("budgets of a precision pass must be reachable, got ")
    assert said.endswith("raise weight_budget or lut_budget, or allow narrower widths")


@pytest.mark.parametrize("width", [1, 9])
def test_widths_outside_of_the_hardware(width: int):
    with pytest.raises(InputError) as error:
        tree.parse(
            'name = "x"\n[data]\ndataset = "digits"\n[model]\ninput = [8, 8, 1]\nclasses = 10\n'
            "[[model.stages]]\nblocks = [{ conv = 4 }]\n[compress]\n"
            f'passes = [{{ kind = "precision", weight_widths = [4, {width}] }}]\n'
        )
    limit = "at least 2" if width == 1 else "at most 8"
    assert f"must be {limit}, got {width}" in str(error.value)


def test_what_it_cannot_do(whole: Subject, work: Work):
    whole.extras["sharing"] = {}
    with pytest.raises(InputError) as error:
        precision.apply(spec(), whole, work)
    assert str(error.value) == (
        'passes of kind "precision" must come before sharing, got one behind: move it forward in '
        "compress.passes"
    )
    whole.extras.clear()
    whole.model = tree.Model(source="python:net.py:Net", input=(8, 8, 1), classes=10)
    with pytest.raises(InputError) as error:
        precision.apply(spec(), whole, work)
    assert str(error.value) == (
        'a precision pass must have a model of source "config", got "python:net.py:Net": describe '
        "the network by stages"
    )
