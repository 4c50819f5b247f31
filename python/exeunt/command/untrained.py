"""Whether a network can become hardware, asked before it is trained.

Everything that decides is known from the network with its first weights: it is exported and read
like the trained one, and its parts are held against what the kernels can do. That takes two to
three seconds, nearly all of it in torch's exporter.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from exeunt.errors import InputError

if TYPE_CHECKING:
    from exeunt.config.tree import Config


def check(config: Config) -> None:
    """Refuse a network, its exit weights, a folding or a board that a later step would refuse.

    Raises:
        InputError: the network cannot be built, exported, read or folded, does not fit, or has
            another number of exits than `train.exit_weights`.
    """
    from exeunt.hls import compile as compiler
    from exeunt.hls.front import limits
    from exeunt.qonnx import file, meaning
    from exeunt.quant.network import export, source

    folding = compiler.read_folding(config.compile.folding)
    network = source.build(config.model)
    graph = export.first_graph(network, config.model)
    weights, exits = config.train.exit_weights, len(graph.outputs)
    if config.model.kind == "python" and weights is not None and len(weights) != exits:
        raise InputError(
            f"train.exit_weights must have one entry for each of {exits} exits, got "
            f"{len(weights)}: change it"
        )
    parts = limits.parts(
        meaning.integers(graph),
        exits=len(config.model.stages) or None,
        shape=config.model.input,
        classes=config.model.classes,
    )
    if config.compile.kernels == "vitis":
        limits.finn_ips(parts)
    if folding or config.compile.optimised:  # FINN knows its nodes, the optimiser what fits
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / export.MODEL
            path.write_bytes(file.to_model(graph).SerializeToString())
            rest = config.compile.untargeted()  # how many frames reach which exit is not known yet
            config = config.model_copy(update={"compile": rest})
            compiler.build(compiler.read_network(path, config=config), config=config)
