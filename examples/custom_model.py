"""A network of one's own: `source = "python:custom_model.py:SmallNet"` in the [model] section.

Any `torch.nn.Module` of Brevitas layers will do that is made without arguments and

- takes float images (N, C, H, W) that hold the integers 0..255, with no quantizer in front;
- gives a tuple with the logits (N, classes) of every exit, the cheapest first;
- cuts its exits at the output of a quantizer with one scalar scale (a `QuantReLU`, a max pool
  behind one), since that is what travels from stage to stage in hardware;
- ends every head in a `QuantLinear` without bias and with one weight scale, so that logits are
  integers times one number, and a margin means the same in PyTorch and in hardware.

Exeunt trains it like a network of its own; see examples/custom.toml for a config.
"""

from brevitas.nn import QuantConv2d, QuantLinear, QuantReLU
from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat
from torch import Tensor, nn


def block(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm and ReLU: 4-bit weights, one scale a channel, 4-bit activations."""
    return nn.Sequential(
        QuantConv2d(
            inputs,
            outputs,
            kernel_size=3,
            stride=stride,
            padding=1,
            bias=False,
            weight_quant=Int8WeightPerChannelFloat,
            weight_bit_width=4,
        ),
        nn.BatchNorm2d(outputs),
        QuantReLU(bit_width=4),
    )


def head(features: int, classes: int) -> nn.Sequential:
    """Flatten and one linear layer whose weights share one scale."""
    linear = QuantLinear(
        features,
        classes,
        bias=False,
        weight_quant=Int8WeightPerTensorFloat,
        weight_bit_width=4,
    )
    return nn.Sequential(nn.Flatten(), linear)


class SmallNet(nn.Module):
    """Two exits for 8 x 8 images of one channel."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.first = block(1, 6, stride=2)
        self.first_head = head(6 * 4 * 4, 10)
        self.second = block(6, 16)
        self.second_head = head(16 * 4 * 4, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of both exits."""
        x = self.first(images)
        return self.first_head(x), self.second_head(self.second(x))
