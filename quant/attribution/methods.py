"""One signature for every method: heat maps and contributions of single activations."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exeunt.config.methods import METHODS
from exeunt.errors import CheckFailed, InputError
from exeunt.quant.attribution._passes import Pass, Question, passes
from exeunt.quant.attribution._trace import as_exits, untouched
from exeunt.quant.attribution.references import resolved

OBJECTIVES = ("logit", "margin", "centred", "log-probability")

Target = int | npt.NDArray[Any] | None
Reference = str | npt.NDArray[Any]


@dataclass(frozen=True)
class Attribution:
    """Heat maps of one exit.

    `maps` float32 (N, H, W, C); `gap` float32 (N,) is what a complete method's maps sum to: the
    number explained less that of the reference (for LRP: the number itself); `target` int64 (N,).
    """

    method: str
    exit: int
    maps: npt.NDArray[np.float32]
    gap: npt.NDArray[np.float32]
    target: npt.NDArray[np.int64]


def attribute(
    method: str,
    network: nn.Module,
    images: npt.NDArray[Any],
    *,
    target: Target = None,
    exit: int = -1,
    reference: Reference = "zeros",
    objective: str = "logit",
    batch: int = 64,
) -> Attribution:
    """What each pixel contributes to what one exit answers.

    The network is left as it was: modes, parameters, hooks. On a CPU the result is the same every
    time. LRP, saliency and Grad-CAM look at no reference; Grad-CAM's map is spread evenly over the
    image's channels.

    Args:
        method: one of METHODS.
        network: takes float (N, C, H, W) of 0..255, gives a tuple of logits (N, classes).
        images: uint8 or float (N, H, W, C), 0..255.
        target: class, or classes (N,); None: what the exit answers.
        exit: index, from the end when negative.
        reference: "zeros", "mean" of the images, "blurred", or an array (H, W, C), (N, H, W, C),
            (R, 1, H, W, C) or (R, N, H, W, C): over R references the contributions are averaged.
        objective: "logit" of the target, "margin" over the best other class, "centred" (less the
            mean of all logits) or "log-probability".
        batch: images at a time.

    Raises:
        InputError: an unknown method or objective, an exit or target that does not exist, images
            or references of the wrong shape, or a layer that the method has no rule for.
        CheckFailed: contributions that are not finite.
    """
    parts = [
        found
        for chunk in explained(
            method,
            network,
            images,
            target=target,
            exits=exit,
            reference=reference,
            objective=objective,
            batch=batch,
        )
        for found in chunk
    ]
    maps = torch.cat([p.pixels for p in parts]).permute(0, 2, 3, 1)
    return Attribution(
        method,
        parts[0].exit,
        maps.contiguous().cpu().numpy().astype(np.float32),
        torch.cat([p.gap for p in parts]).cpu().numpy().astype(np.float32),
        torch.cat([p.target for p in parts]).cpu().numpy(),
    )


def activations(
    method: str,
    network: nn.Module,
    images: npt.NDArray[Any],
    *,
    target: Target = None,
    exit: int = -1,
    reference: Reference = "zeros",
    objective: str = "logit",
    batch: int = 64,
) -> dict[str, npt.NDArray[np.float32]]:
    """What each output of each linear layer contributes, float32 (N, C, H, W) or (N, F) by name.

    Layers are convolutions and fully connected layers, as `network.named_modules()` calls them; a
    layer behind the exit contributes 0. Arguments and errors as for `attribute`.
    """
    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    for chunk in explained(
        method,
        network,
        images,
        target=target,
        exits=exit,
        reference=reference,
        objective=objective,
        batch=batch,
    ):
        for part in chunk:
            for layer in part.layers:
                values = layer.contribution.cpu().numpy().astype(np.float32)
                found.setdefault(layer.name, []).append(values)
    return {name: np.concatenate(values) for name, values in found.items()}


def explained(
    method: str,
    network: nn.Module,
    images: npt.NDArray[Any],
    *,
    target: Target = None,
    exits: int | None = None,
    reference: Reference = "zeros",
    objective: str = "logit",
    batch: int = 64,
) -> Iterator[list[Pass]]:
    """Batch by batch the passes of one exit, or of all (None); see `attribute`.

    The network is in evaluation mode while this is iterated, and as before when it ends.
    """
    chosen(method, METHODS, "method")
    chosen(objective, OBJECTIVES, "objective")
    checked_images(network, images)
    references = resolved(reference, images)
    with untouched(network) as device:
        count, classes = _outputs(network, images, device)
        wanted = None if exits is None else [exit_index(exits, count)]
        targets = checked_target(target, len(images), classes)
        for start in range(0, len(images), max(batch, 1)):
            part = slice(start, start + max(batch, 1))
            whole = None if targets is None else torch.from_numpy(targets[part]).to(device)
            found = passes(
                method,
                network,
                _tensor(images[part], device),
                [_tensor(r if len(r) == 1 else r[part], device) for r in references],
                Question(whole, objective),
                wanted,
            )
            for one in found:
                finite(one.pixels, f"heat maps of exit {one.exit}", method)
            yield found


def chosen(name: str, known: Sequence[str], thing: str) -> str:
    """`name` when it is one of `known`.

    Raises:
        InputError: it is not; says the nearest.
    """
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
        raise InputError(
            f"{thing} must be one of {', '.join(known)}, got {name!r}: did you mean {near[0]!r}?"
        )
    return name


def checked_images(network: nn.Module, images: npt.NDArray[Any]) -> None:
    """Refuse what is not a batch of images of the network's shape."""
    shape = "x".join(map(str, np.shape(images)))
    if np.ndim(images) != 4 or not len(images) or images.dtype.kind not in "uif":
        raise InputError(
            f"images must be numbers of shape N x H x W x C with N >= 1, got {shape}: reshape them"
        )
    known = getattr(network, "input_shape", None)
    if known is not None and tuple(images.shape[1:]) != tuple(known):
        raise InputError(
            f"images must have the shape {'x'.join(map(str, known))} (H x W x C) that the network "
            f"was trained on, got {'x'.join(map(str, images.shape[1:]))}: resize them"
        )


def exit_index(exit: int, count: int) -> int:
    """The exit counted from 0.

    Raises:
        InputError: there is no such exit.
    """
    if not -count <= exit < count:
        raise InputError(
            f"exit must be one of 0..{count - 1}, got {exit}: the network has {count} exits"
        )
    return exit % count


def checked_target(target: Target, count: int, classes: int) -> npt.NDArray[np.int64] | None:
    """Target classes int64 (N,), None when each exit's own answer is explained.

    Raises:
        InputError: not one class per image, or no such class.
    """
    if target is None:
        return None
    found = np.asarray(target)
    if found.dtype.kind not in "ui" or found.shape not in ((), (count,)):
        raise InputError(
            f"target must be a class or one for each of {count} images, got {found.dtype} of "
            f"shape {found.shape}: give integers"
        )
    whole = np.broadcast_to(found, count).astype(np.int64)
    wrong = whole[(whole < 0) | (whole >= classes)]
    if len(wrong):
        raise InputError(
            f"target class must be in 0..{classes - 1}, got {wrong[0]}: choose one that the "
            "network knows"
        )
    return np.ascontiguousarray(whole)


def finite(values: Tensor, thing: str, method: str) -> None:
    """Refuse a nan or an infinity.

    Raises:
        CheckFailed: there is one.
    """
    if not bool(torch.isfinite(values).all()):
        first = values[~torch.isfinite(values)].flatten()[0].item()
        raise CheckFailed(
            f"{thing} must be finite with {method}, got {first}: look for weights or images that "
            "are not, or train again with a lower learning rate"
        )


def _outputs(network: nn.Module, images: npt.NDArray[Any], device: torch.device) -> tuple[int, int]:
    """How many exits and classes the network has."""
    try:
        with torch.no_grad():
            outputs = as_exits(network(_tensor(images[:1], device)))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            "images must have the shape that the network was trained on, got "
            f"{'x'.join(map(str, images.shape[1:]))} (H x W x C), which it does not take "
            f"({reason}): resize them"
        ) from error
    return len(outputs), int(outputs[0].shape[1])


def _tensor(images: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Float (N, C, H, W) of images (N, H, W, C)."""
    planes = np.ascontiguousarray(np.transpose(images, (0, 3, 1, 2)), dtype=np.float32)
    return torch.from_numpy(planes).to(device)
