"""What no kernel can do, said before FINN is asked: it is known from an untrained network.

Imports no FINN, so that a network can be checked in a moment.
"""

from __future__ import annotations

from collections.abc import Sequence

from exeunt.errors import InputError
from exeunt.graph import Integer
from exeunt.hls.front.layers import MAX_BITS
from exeunt.kernels.parts.weights import accumulator_range
from exeunt.qonnx.exits import Part
from exeunt.qonnx.exits import parts as split
from exeunt.qonnx.integers import IntegerNetwork, Join, Matrix, Operation, Pool, Threshold

SUM_BITS = 32  # of an accumulator
MEMORY_BITS = 1 << 31  # of all weights and thresholds
LOGIT_BITS = 31  # of a logit, so that the difference of two fits into a register


def parts(
    network: IntegerNetwork,
    *,
    exits: int | None = None,
    shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> list[Part]:
    """The segments and heads of a network that kernels can be made of.

    Args:
        network: as `exeunt.qonnx.meaning.integers` gives it.
        exits: how many exits there must be; None takes any number.
        shape: (H, W, C) that the images must have; None takes any.
        classes: how many logits every exit must have; None takes any number.

    Raises:
        InputError: another network than that, or something that no kernel can do.
    """
    found = len(network.exits)
    if exits is not None and found != exits:
        raise InputError(
            f"{network.where}: {exits} exits were expected, one output each, but the graph has "
            f"{found}; export one output per exit or change the configuration"
        )
    if shape is not None and network.image.shape != shape:
        raise InputError(
            f"{network.where}: the network takes images of {network.image.shape} (H, W, C) but the "
            f"configuration says {shape}; change model.input or the file"
        )
    for i, e in enumerate(network.exits):
        if classes is not None and e.logits.elements != classes:
            raise InputError(
                f"{network.where}: exit {i} has {e.logits.elements} logits but the configuration "
                f"says {classes} classes; change model.classes or the file"
            )
    made = split(network)
    try:
        _check(made)
    except InputError as error:
        raise InputError(f"{network.where}: {error}") from error
    return made


def finn_ips(found: Sequence[Part]) -> None:
    """What FINN's own IPs cannot do, beyond that (`compile.kernels = "vitis"`).

    FINN finds the depths of FIFOs between streams that meet again by simulation alone; without, all
    words would stand still there.

    Raises:
        InputError: naming the part and its operator.
    """
    for part in found:
        for operation in part.operations:
            what = None
            if isinstance(operation, Join):
                what = "one row of layers", f"streams meet at {operation.label}"
            elif isinstance(operation, Matrix) and operation.offsets is not None:
                what = "no bias behind its last layer", f"{operation.label} has one"
            if what is not None:
                raise InputError(
                    f"{part.name} must have {what[0]} for FINN's own IPs but {what[1]}; take "
                    'compile.kernels = "exeunt"'
                )


def _check(found: Sequence[Part]) -> None:
    bits = 0
    for part in found:
        bits += sum(_memory(operation) for operation in part.operations)
    if bits > MEMORY_BITS:
        raise InputError(
            f"weights and thresholds must fit into {MEMORY_BITS >> 23} MB, which is more than any "
            f"device or simulation here has, but take {bits >> 23} MB; take a smaller network or "
            "fewer bits"
        )
    for part in found:
        for operation in part.operations:
            if isinstance(operation, Matrix):
                _matrix(operation)
            if isinstance(operation, Matrix | Pool) and operation.window is not None:
                kernel, pad = operation.window.extent, operation.window.pad
                if max(pad[0], pad[2]) >= kernel[0] or max(pad[1], pad[3]) >= kernel[1]:
                    raise InputError(
                        f"a window's padding must be below its kernel but {operation.label} has "
                        f"the kernel {kernel} and the padding {pad}; pad less"
                    )
        bits, most = part.result.dtype.bits, MAX_BITS
        if part.name.startswith("head"):
            most = LOGIT_BITS
        if bits > most:
            raise InputError(
                f"{part.name} must end in integers of at most {most} bits but ends in {bits}; "
                "put a quantizer in front of its last layer"
            )


def _memory(made: Operation) -> int:
    """Bits of the weights or thresholds of an operation."""
    if isinstance(made, Matrix):
        low, high = int(made.weights.min(initial=0)), int(made.weights.max(initial=0))
        return made.weights.size * Integer.covering(min(low, -2), max(high, 1)).bits
    if isinstance(made, Threshold):
        return made.thresholds.size * made.source.dtype.bits
    return 0


def _matrix(made: Matrix) -> None:
    bits = made.source.dtype.bits
    if bits > MAX_BITS:
        raise InputError(
            f"a linear or convolution layer takes at most {MAX_BITS}-bit integers but "
            f"{made.label} gets {bits} bits; put a quantizer in front of it"
        )
    low, high = accumulator_range(made.weights.reshape(len(made.weights), -1), made.source.dtype)
    if max(high, -low) >= 1 << (SUM_BITS - 1):
        raise InputError(
            f"sums must fit into {SUM_BITS} bits but those of {made.label} reach from {low} to "
            f"{high}; use fewer bits or fewer inputs"
        )
