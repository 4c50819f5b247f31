"""Small quantized networks written straight as QONNX graphs, without training or torch.export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

_QONNX = ("Quant", "BipolarQuant", "Trunc")


class Builder:
    """Grows a QONNX graph layer by layer; every method takes and gives a tensor name.

    Weights are random integers times a scale; batch norms bring what follows into the range of
    the next quantizer, so that its levels are really used.
    """

    def __init__(self, shape: tuple[int, int, int], seed: int = 0) -> None:
        height, width, channels = shape
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.shapes = {"image": (1, channels, height, width)}
        self.input = helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shapes["image"])
        self.count = 0
        self.variance = {"image": 255.0**2 / 3}

    def constant(self, value: object, dtype: type = np.float32) -> str:
        self.count += 1
        name = f"p{self.count}"
        self.initializers.append(onnx.numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, shape: tuple[int, ...], **attributes: object) -> str:
        self.count += 1
        name = f"t{self.count}"
        domain = "qonnx.custom_op.general" if kind in _QONNX else ""
        self.nodes.append(
            helper.make_node(
                kind, list(inputs), [name], name=f"{kind}_{self.count}", domain=domain, **attributes
            )
        )
        self.shapes[name] = shape
        self.variance[name] = self.variance.get(inputs[0], 1.0)
        return name

    def quant(
        self,
        x: str,
        bits: int = 4,
        *,
        signed: bool = False,
        scale: object = 0.25,
        narrow: int = 0,
        zero: float = 0.0,
        mode: str = "ROUND",
    ) -> str:
        return self.node(
            "Quant", x, self.constant(scale), self.constant(zero), self.constant(float(bits)),
            shape=self.shapes[x], signed=int(signed), narrow=narrow, rounding_mode=mode,
        )  # fmt: skip

    def integers(
        self,
        values: object,
        bits: int,
        *,
        scale: object = 0.125,
        narrow: int = 0,
        mode: str = "ROUND",
        zero: float = 0.0,
    ) -> str:
        """Weights of these integers, less the zero point."""
        values = np.asarray(values)
        name = self.constant((values - zero) * np.asarray(scale))
        return self.node(
            "Quant", name, self.constant(scale), self.constant(zero), self.constant(float(bits)),
            shape=values.shape, signed=1, narrow=narrow, rounding_mode=mode,
        )  # fmt: skip

    def weight(self, shape: tuple[int, ...], bits: int, per_channel: bool) -> tuple[str, float]:
        top = 2 ** (bits - 1) - 1
        scale = 0.02
        values = self.random.integers(-top, top + 1, shape) * scale
        if bits == 1:
            values = self.random.choice([-scale, scale], shape)
        scales: object = scale
        if per_channel:
            factors = self.random.uniform(0.5, 1.5, (shape[0],) + (1,) * (len(shape) - 1))
            values, scales = values * factors, scale * factors
        name = self.constant(values)
        if bits == 1:
            quantized = self.node("BipolarQuant", name, self.constant(scales), shape=shape)
        else:
            quantized = self.node(
                "Quant", name, self.constant(scales), self.constant(0.0),
                self.constant(float(bits)),
                shape=shape, signed=1, narrow=1, rounding_mode="ROUND",
            )  # fmt: skip
        return quantized, float(np.mean(values**2))

    def bias(self, count: int, given: bool | str) -> str:
        """A tensor that is given, or random reals."""
        if isinstance(given, str):
            return given
        return self.constant(self.random.normal(0, 0.1, count))

    def norm(self, x: str) -> str:
        channels = self.shapes[x][1]
        gamma = self.random.uniform(0.5, 1.5, channels) * self.random.choice([-1, 1], channels)
        beta = self.random.normal(1.0, 0.3, channels)
        variance = self.variance[x] * self.random.uniform(0.7, 1.3, channels)
        y = self.node(
            "BatchNormalization", x, self.constant(gamma), self.constant(beta),
            self.constant(np.zeros(channels)), self.constant(variance), shape=self.shapes[x],
        )  # fmt: skip
        self.variance[y] = 1.0
        return y

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int | tuple[int, int] = 3,
        *,
        stride: int | tuple[int, int] = 1,
        pad: int | tuple[int, int, int, int] = 0,
        bits: int = 4,
        weight_bits: int = 4,
        signed: bool = False,
        per_channel: bool = True,
        bias: bool | str = False,
        norm: bool = True,
        act: bool = True,
        group: int = 1,
        dilation: int | tuple[int, int] = 1,
    ) -> str:
        sh, sw = (stride, stride) if isinstance(stride, int) else stride
        dh, dw = (dilation, dilation) if isinstance(dilation, int) else dilation
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        pads = (pad,) * 4 if isinstance(pad, int) else pad
        _, c, h, w = self.shapes[x]
        weight, power = self.weight((channels, c // group, kh, kw), weight_bits, per_channel)
        inputs = [x, weight]
        if bias:
            inputs.append(self.bias(channels, bias))
        shape = (
            1,
            channels,
            (h + pads[0] + pads[2] - (kh - 1) * dh - 1) // sh + 1,
            (w + pads[1] + pads[3] - (kw - 1) * dw - 1) // sw + 1,
        )
        y = self.node(
            "Conv", *inputs, shape=shape, pads=pads, strides=[sh, sw],
            kernel_shape=[kh, kw], group=group, dilations=[dh, dw],
        )  # fmt: skip
        self.variance[y] = self.variance[x] * power * (c // group) * kh * kw
        if norm:
            y = self.norm(y)
        if not act:
            return y
        if not signed:
            y = self.node("Relu", y, shape=shape)
        y = self.quant(y, bits, signed=signed, scale=4.0 / 2**bits)
        self.variance[y] = 1.0
        return y

    def pool(
        self,
        x: str,
        kind: str = "MaxPool",
        size: int | tuple[int, int] = 2,
        *,
        stride: int | tuple[int, int] | None = None,
        pad: int | tuple[int, int, int, int] = 0,
        **attributes: object,
    ) -> str:
        kh, kw = (size, size) if isinstance(size, int) else size
        sh, sw = stride if isinstance(stride, tuple) else (stride or kh, stride or kw)
        top, left, bottom, right = (pad,) * 4 if isinstance(pad, int) else pad
        n, c, h, w = self.shapes[x]
        sides = []
        for size, first, last, k, s in ((h, top, bottom, kh, sh), (w, left, right, kw, sw)):
            more = attributes.get("ceil_mode") and -(size + first + last - k) % s
            count = (size + first + last - k) // s + 1
            # a window that rounding up adds begins in front of the padding behind the map
            sides.append(count + bool(more and count * s < size + first))
        shape = (n, c, *sides)
        return self.node(
            kind, x, shape=shape, kernel_shape=[kh, kw], strides=[sh, sw],
            pads=[top, left, bottom, right], **attributes,
        )  # fmt: skip

    def mean(self, x: str, keepdims: int = 1) -> str:
        return self.reduced("ReduceMean", x, keepdims)

    def reduced(self, kind: str, x: str, keepdims: int = 1) -> str:
        n, c = self.shapes[x][:2]
        axes = self.constant([2, 3], np.int64)
        shape = (n, c, 1, 1) if keepdims else (n, c)
        return self.node(kind, x, axes, shape=shape, keepdims=keepdims)

    def flatten(self, x: str) -> str:
        shape = (1, int(np.prod(self.shapes[x])))
        return self.node("Flatten", x, shape=shape, axis=1)

    def linear(
        self,
        x: str,
        features: int,
        *,
        bits: int = 4,
        weight_bits: int = 4,
        bias: bool | str = False,
        per_channel: bool = False,
        act: bool = False,
    ) -> str:
        if len(self.shapes[x]) == 4:
            x = self.flatten(x)
        weight, power = self.weight((features, self.shapes[x][1]), weight_bits, per_channel)
        inputs = [x, weight]
        if bias:
            inputs.append(self.bias(features, bias))
        y = self.node("Gemm", *inputs, shape=(1, features), transB=1)
        self.variance[y] = self.variance[x] * power * self.shapes[x][1]
        if act:
            scale = 2.0 * float(np.sqrt(self.variance[y])) / 2**bits
            y = self.quant(self.node("Relu", y, shape=(1, features)), bits, scale=scale)
        return y

    def exit(self, x: str) -> str:
        name = f"exit{len(self.outputs)}"
        producer = next(n for n in self.nodes if n.output[0] == x)
        for node in self.nodes:
            for index, tensor in enumerate(node.input):
                if tensor == x:
                    node.input[index] = name
        producer.output[0] = name
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[x]))
        return name

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes, "network", [self.input], self.outputs, initializer=self.initializers
        )
        opsets = [
            helper.make_opsetid("", 20),
            helper.make_opsetid("qonnx.custom_op.general", 2),
        ]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def save(self, path: Path) -> Path:
        onnx.save(self.model(), path)
        return path
