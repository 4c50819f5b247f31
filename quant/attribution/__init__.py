"""Attribution for quantized multi-exit networks: pixels, activations, filters, weights."""

from exeunt.config.methods import METHODS
from exeunt.quant.attribution._quantus import quantus_figures
from exeunt.quant.attribution.methods import (
    OBJECTIVES,
    Attribution,
    activations,
    attribute,
)
from exeunt.quant.attribution.rates import exit_rates
from exeunt.quant.attribution.references import KINDS as REFERENCES
from exeunt.quant.attribution.references import reference_images
from exeunt.quant.attribution.scores import AGGREGATES, Scores, scores

__all__ = [
    "AGGREGATES",
    "METHODS",
    "OBJECTIVES",
    "REFERENCES",
    "Attribution",
    "Scores",
    "activations",
    "attribute",
    "exit_rates",
    "quantus_figures",
    "reference_images",
    "scores",
]
