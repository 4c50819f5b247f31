"""FINN's Streamline for graphs with SumPool: once more when a scale moved past one."""

from __future__ import annotations

from finn.transformation.streamline import Streamline
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from exeunt.hls.front.passes.scale_past_sum import ScalePastSum


class StreamlineSums(Transformation):
    """Streamline, ScalePastSum until no scale is left in front of a SumPool."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Streamline; (model, changed), changed when it has to run again."""
        model = model.transform(Streamline())
        return ScalePastSum().apply(model)
