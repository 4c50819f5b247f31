"""FINN's widths of weights and thresholds, but for thresholds that it takes for bipolar ones."""

from __future__ import annotations

from finn.transformation.fpgadataflow.minimize_weight_bit_width import MinimizeWeightBitWidth
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp


class MinimizeWeights(MinimizeWeightBitWidth):
    """The same, while thresholds -1 and 0 keep their type: of -1 alone FINN makes a bipolar one."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Call every node's own minimisation; (model, False)."""
        kept = [getCustomOp(node) for node in model.graph.node if _ends(model, node) == (-1, 0)]
        for instance in kept:
            instance.set_nodeattr("runtime_writeable_weights", 1)  # which have the type they have
        super().apply(model)
        for instance in kept:
            instance.set_nodeattr("runtime_writeable_weights", 0)
        return model, False


def _ends(model: ModelWrapper, node: object) -> tuple[int, int] | None:
    """The smallest and largest threshold of a node; None of another one."""
    if not node.op_type.startswith("Thresholding"):  # type: ignore[attr-defined]
        return None
    values = model.get_initializer(node.input[1])  # type: ignore[attr-defined]
    return int(values.min()), int(values.max())
