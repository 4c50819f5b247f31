"""Flattening in front of a matrix goes: on a channels-last stream it moves nothing."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation


class DropFlatten(Transformation):
    """Flatten, MVAU -> MVAU (which shapes its input itself)."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Remove every such node; (model, changed)."""
        for node in list(model.graph.node):
            if node.op_type not in ("Flatten", "Reshape"):
                continue
            consumers = model.find_consumers(node.output[0])
            if len(consumers) == 1 and consumers[0].op_type.startswith("MVAU"):
                consumers[0].input[0] = node.input[0]
                model.graph.node.remove(node)
                return model, True
        return model, False
