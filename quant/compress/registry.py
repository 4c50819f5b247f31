"""Which function does which kind of pass; a kind may also need a word when a network is loaded."""

from __future__ import annotations

from collections.abc import Mapping

# apply(spec, subject, work) -> (subject, what was done where)
PASSES: Mapping[str, str] = {
    "filters": "exeunt.quant.compress.filters:apply",
    "weights": "exeunt.quant.compress.weights:apply",
    "blocks": "exeunt.quant.compress.weights:apply",
    "sharing": "exeunt.quant.compress.sharing:apply",
    "precision": "exeunt.quant.compress.precision:apply",
}
# prepare(network, extra): before the weights are loaded into a fresh network
PREPARE: Mapping[str, str] = {"sharing": "exeunt.quant.compress.sharing:prepare"}
# restore(subject): when they are
RESTORE: Mapping[str, str] = {"sharing": "exeunt.quant.compress.sharing:restore"}
# write(run_dir, network, extra): files beside model.onnx
FILES: Mapping[str, str] = {"sharing": "exeunt.quant.compress.sharing:write"}
