"""What `exeunt explain --hardware` is given: options that go with it, images of a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exeunt.command.steps import Context
from exeunt.errors import InputError


def given(
    context: Context, names: Sequence[str], resize: bool, others: Any
) -> list[tuple[str, Any]] | None:
    """Names and images uint8 (H, W, C) of the user's own pictures; None: test images are drawn.

    Args:
        context: of the run.
        names: of the pictures.
        resize: scale what does not fit.
        others: options that draw other maps.

    Raises:
        InputError: such options, or a picture that cannot be taken.
    """
    if others:
        raise InputError(
            "--hardware must go without --method and --quantus, since the accelerator has the "
            "methods of explain.hardware: leave them out"
        )
    if not names:
        return None
    from exeunt.quant.explain import read_image

    shape = context.config.model.input
    return [(name, read_image(Path(name), shape, resize=resize)) for name in names]
