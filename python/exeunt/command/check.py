"""Whether a network can become hardware, asked before it is trained.

Everything that decides is known from the network with its first weights: it is exported and read
like the trained one, and its parts are held against what the kernels can do.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exeunt.config.tree import Config


def check(config: Config) -> None:
    """Refuse a network or a folding that a later step would refuse.

    Raises:
        InputError: the network cannot be built, exported, read or folded.
    """
    from exeunt.hls import compile as compiler
    from exeunt.hls.front import limits
    from exeunt.qonnx import file, meaning
    from exeunt.quant.network import export, source

    folding = compiler.read_folding(config.compile.folding)
    graph = export.first_graph(source.build(config.model), config.model)
    limits.parts(
        meaning.integers(graph),
        exits=len(config.model.stages) or None,
        shape=config.model.input,
        classes=config.model.classes,
    )
    if folding:  # whether its names are those of FINN's nodes is for FINN to say
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / export.MODEL
            path.write_bytes(file.to_model(graph).SerializeToString())
            compiler.build(compiler.read_network(path, config=config), config=config)
