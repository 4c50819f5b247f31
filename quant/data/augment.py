"""Training images changed at random: moved, mirrored, a square of them blanked."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor


def augmented(
    images: Tensor, generator: torch.Generator, *, shift: int = 0, flip: bool = False, cut: int = 0
) -> Tensor:
    """A batch of images, each changed by a draw of its own.

    Args:
        images: (N, C, H, W), any dtype.
        generator: of the draws, on the CPU.
        shift: pixels by which they are moved at most in y and x, zeros from the border.
        flip: whether half of them are mirrored left to right.
        cut: side of the square that is set to zero, its centre anywhere in the image (Cutout,
            DeVries and Taylor 2017).
    """
    images = shifted(images, shift, generator)
    if flip:
        images = _flipped(images, generator)
    return _cut(images, cut, generator) if cut else images


def shifted(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Each image (N, C, H, W) moved by up to `pixels` in y and x, zeros from the border."""
    if not pixels:
        return images
    count, channels, height, width = images.shape
    padded = F.pad(images, (pixels,) * 4)
    moves = torch.randint(0, 2 * pixels + 1, (2, count), generator=generator).to(images.device)
    rows = moves[0, :, None, None, None] + torch.arange(height, device=images.device)[:, None]
    columns = moves[1, :, None, None, None] + torch.arange(width, device=images.device)
    frames = torch.arange(count, device=images.device)[:, None, None, None]
    planes = torch.arange(channels, device=images.device)[:, None, None]
    return padded[frames, planes, rows, columns]


def _flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    return torch.where(drawn[:, None, None, None], images.flip(3), images)


def _cut(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    sizes = torch.tensor([[height], [width]])
    centres = (torch.rand((2, count), generator=generator) * sizes).long().to(images.device)
    first = centres - side // 2
    inside = []
    for k, size in enumerate((height, width)):
        place = torch.arange(size, device=images.device)
        start = first[k, :, None]
        inside.append((place >= start) & (place < start + side))
    square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(square, 0)
