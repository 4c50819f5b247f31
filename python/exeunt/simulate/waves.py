"""Waves of one frame on its way through the core."""

from __future__ import annotations

from pathlib import Path

from exeunt.errors import InputError
from exeunt.manifest import Manifest
from exeunt.reference import controller, network, system
from exeunt.simulate import bulk, localise, verilator
from exeunt.simulate.answers import Images

KINDS = ("vcd", "fst")
MARGIN = 64


def write(
    manifest: Manifest, images: Images, *, kind: str, frame: int, cache: Path | None = None
) -> Path:
    """Write `waves/frame<frame>.<kind>` in the run folder: the cycles in which it is inside.

    The few frames around it run too, so that it meets the traffic it would meet.

    Raises:
        InputError: an unknown kind, or no such frame.
        ToolError: a tool is missing or failed.
    """
    if kind not in KINDS:
        raise InputError(f"--waves must be one of {', '.join(KINDS)}, got {kind}; use vcd.")
    if not 0 <= frame < len(images):
        raise InputError(
            f"--frame must be one of the {len(images)} test images, got {frame}; use 0 to "
            f"{len(images) - 1}."
        )
    first = max(0, frame - localise.BEFORE)
    part = images[first : frame + 1 + localise.AFTER]
    accelerator = manifest.accelerator()
    outputs = network.run(accelerator, part)
    decided = controller.decide(
        outputs.logits, manifest.thresholds,
        criterion=manifest.criterion, scales=manifest.logit_scales, offsets=manifest.offsets,
        looks=outputs.looks,
    )  # fmt: skip
    sizes = system.Sizes.of(manifest.data)
    found = system.predict(accelerator, decided.exits, sizes=sizes, looks=decided.looks)
    begin, end = int(found.accepts[frame - first]), int(found.results[frame - first])
    library = verilator.build(manifest, options=verilator.Options(waves=kind), cache=cache)
    target = manifest.folder / "waves" / f"frame{frame}.{kind}"
    target.parent.mkdir(exist_ok=True)
    bulk.run(
        manifest, library, part, waves=target,
        wave_cycles=(max(0, begin - MARGIN), end + MARGIN),
    )  # fmt: skip
    return target
