"""Every Reshape and Flatten goes: a stream has no shape. FINN's own analyses know no such nodes."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation


class DropShapes(Transformation):
    """Reshape, Flatten -> nothing; values can no longer be computed with the model."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Remove the first such node; (model, changed)."""
        for node in model.graph.node:
            if node.op_type not in ("Flatten", "Reshape"):
                continue
            source, result = node.input[0], node.output[0]
            if result in [value.name for value in model.graph.output]:
                source, result = result, source  # its maker gives the output
                maker = model.find_producer(result)
                if maker is not None:
                    maker.output[list(maker.output).index(result)] = source
            model.graph.node.remove(node)
            for taker in model.graph.node:
                for k, name in enumerate(taker.input):
                    if name == result:
                        taker.input[k] = source
            return model, True
        return model, False
