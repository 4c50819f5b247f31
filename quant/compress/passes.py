"""One pass on a network, whatever its kind, and the figures of a network before and after it."""

from __future__ import annotations

import importlib
from typing import Any

from exeunt.config.compress import Pass
from exeunt.quant.compress.registry import PASSES
from exeunt.quant.compress.structure import structure_of
from exeunt.quant.compress.subject import Subject
from exeunt.quant.compress.weights import effective_macs
from exeunt.quant.compress.work import Work, weight_bits


def do_pass(spec: Pass, subject: Subject, work: Work) -> tuple[Subject, dict[str, Any]]:
    """Do one pass; its settings, what it did where, and figures after it."""
    module, _, name = PASSES[spec.kind].partition(":")  # type: ignore[attr-defined]
    apply = getattr(importlib.import_module(module), name)
    compressed, data = apply(spec, subject, work)
    entry = {**data, "after": figures(compressed, work)["accuracy"]}
    entry |= {**spec.model_dump(mode="json"), "weight_bits": _bits(compressed)}
    return compressed, entry


def figures(subject: Subject, work: Work) -> dict[str, Any]:
    """Accuracy on validation images, multiplies of the full path, bits of the weights."""
    structure = structure_of(subject.network, subject.model)
    return {
        "accuracy": work.accuracy(subject),
        "macs": structure.macs(),
        "macs_effective": effective_macs(structure, subject.masks),
        "weight_bits": _bits(subject),
    }


def _bits(subject: Subject) -> int:
    if "sharing" in subject.extras:
        from exeunt.quant.compress.sharing import stored_bits

        return stored_bits(subject)
    return weight_bits(subject.network, subject.masks)
