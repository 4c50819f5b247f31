"""A sliding window, as a config, a layer and a kernel have it."""

from __future__ import annotations

from dataclasses import dataclass


def extent(kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns from the first to the last element of a window."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


@dataclass(frozen=True)
class Window:
    """A sliding window: kernel, stride (y, x), pad (top, left, bottom, right), dilation (y, x)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int, int, int]
    dilation: tuple[int, int] = (1, 1)

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns from the first to the last element of a window."""
        return extent(self.kernel, self.dilation)

    @property
    def nothing(self) -> bool:
        """Whether every window is the pixel at its place."""
        return self.kernel == self.stride == (1, 1) and not any(self.pad)

    @property
    def tiles(self) -> bool:
        """Whether windows neither overlap nor reach outside the map."""
        return self.extent == self.kernel == self.stride and not any(self.pad)
