"""What the passes of [compress] would refuse, seen on the untrained network."""

from __future__ import annotations

import math

import torch

from exeunt import cost
from exeunt.config.compress import Blocks, Filters, Precision, Sharing, Weights
from exeunt.config.tree import Config
from exeunt.errors import InputError
from exeunt.quant.compress import codebook, filters, precision, sharing, weights
from exeunt.quant.compress.structure import structure_of
from exeunt.quant.network.source import build
from exeunt.quant.train import one_thread

_REACH = (1.0, 0.5, 0.2, 0.05, 0.01)  # shares of the images of a stage that reach the next
_SLACK = 0.9  # the LUT that are predicted before the training are not those of behind it


def rehearse(config: Config) -> None:
    """Refuse passes whose lots, groups, blocks, codebooks or budgets the layers do not have.

    Passes behind one that removes filters are left to it: their layers are not known yet.

    Raises:
        InputError: as the pass itself would raise.
    """
    assert config.compress is not None
    with one_thread(config.compress.seed):
        network = build(config.model)
        structure = structure_of(network, config.model)
        for spec in config.compress.passes:
            if isinstance(spec, Filters):
                scores = {
                    g: torch.ones(structure.groups[g].size, dtype=torch.float64)
                    for g in structure.free()
                }
                floors = [max(1, math.ceil(spec.floor * g.size)) for g in structure.groups]
                budget = int(spec.budget * structure.macs())
                filters.choose(
                    structure, scores, budget=budget, multiple=spec.multiple, floors=floors
                )
                return
            if isinstance(spec, Weights | Blocks):
                parameters = dict(network.named_parameters())
                found = {y.name: parameters[f"{y.name}.weight"].detach() for y in structure.layers}
                share = 1 - spec.sparsity
                weights.choose(structure, found, spec, share=share, before={})
            if isinstance(spec, Sharing):
                for name, module in sharing.matrices(network).items():
                    bits = spec.centroid_bits or sharing.width(module)
                    count = module.weight.numel()
                    codebook.check(spec.centroids, weights=count, bits=bits, layer=name)
            if isinstance(spec, Precision) and spec.criterion != "uniform":
                _precision(spec, config)


def _precision(spec: Precision, config: Config) -> None:
    """Refuse budgets that the narrowest widths do not meet.

    LUT depend on how many images reach a stage, which nobody knows yet, and a narrower memory can
    cost more of them. So several shares are tried, and a budget that is missed by little passes.
    """
    model = config.model
    now = precision.present(model)
    least = {item: min(precision.choices(spec, item)) for item in now}

    def price(bits: precision.Bits, leave: float) -> cost.Cost:
        reach = [leave**i for i in range(len(model.stages))]
        return cost.network(
            precision.with_bits(model, bits), target_cycles=config.compile.cycles,
            headroom=config.compile.spare, reach=reach, dsp=False,
        )  # fmt: skip

    limit = spec.weight_budget * price(now, 1.0).weight_bits
    bits = price(least, 1.0).weight_bits
    if bits > limit:
        raise InputError(
            f"weight_budget of a precision pass must be reachable, got {limit:,.0f} weight bits "
            f"where the narrowest widths have {bits:,}: raise it or allow narrower widths"
        )
    shares = [price(least, leave).lut / price(now, leave).lut for leave in _REACH]
    if spec.lut_budget < _SLACK * min(shares):
        raise InputError(
            f"lut_budget of a precision pass must be reachable, got {spec.lut_budget} where the "
            f"narrowest widths leave {min(shares):.2f} of the LUT: raise it or allow narrower "
            "widths"
        )
