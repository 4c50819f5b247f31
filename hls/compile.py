"""From a QONNX file to an accelerator graph, and the whole `compile` step.

Nothing here imports FINN until a network is compiled: its import takes seconds.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt import hold, promise
from exeunt.cost.folding import targets
from exeunt.errors import InputError
from exeunt.graph import Accelerator
from exeunt.hls import baseline as plain
from exeunt.hls import beside as besides
from exeunt.hls import bursts, chosen, compressed, explained, optimised
from exeunt.hls.back import codebooks, folding
from exeunt.hls.beside import Beside
from exeunt.hls.bursts import Case, Fit, Given
from exeunt.hls.folded import Compiled as Compiled
from exeunt.hls.folded import assemble as assemble
from exeunt.hls.folded import check_values as check_values
from exeunt.hls.folded import read_folding as read_folding
from exeunt.hls.folded import sized as sized
from exeunt.hls.folded import summary as summary
from exeunt.hls.folded import with_fifos as with_fifos
from exeunt.hls.front import finn_env, limits
from exeunt.kernels.parts.size import Size
from exeunt.progress import Progress, silent
from exeunt.qonnx import seen
from exeunt.qonnx.exits import parts as split
from exeunt.splits import SPLITS, read_classes, read_split

if TYPE_CHECKING:
    from exeunt.config.tree import Config
    from exeunt.hls.front.network import Network
    from exeunt.reference.frames import Room

_CHECK_IMAGES = 4  # of which the front end takes the first few


def compile_network(
    model_path: Path,
    *,
    config: Config,
    reach: Sequence[float] | None = None,
    images: npt.NDArray[np.uint8] | None = None,
) -> Accelerator:
    """The accelerator of a QONNX file with one output per exit.

    Args:
        model_path: the file, see `exeunt.hls.front.qonnx_file`.
        config: name, number of exits and the [compile] section.
        reach: fraction of the frames that reach exit i, from 1.0 down; None: all reach all.
        images: uint8 (N, H, W, C) on which every pass is checked; random ones when None.

    Raises:
        InputError: the file, the network or the folding is not supported.
        CheckFailed: a pass changed a value.
    """
    network = read_network(model_path, config=config, images=images)
    return build(network, config=config, reach=reach).accelerator


def load_finn() -> float:
    """Import FINN; how many seconds that took."""
    started = time.perf_counter()
    finn_env.prepare()
    with finn_env.quiet():
        from exeunt.hls.front import network  # noqa: F401
    return time.perf_counter() - started


def read_network(
    model_path: Path,
    *,
    config: Config,
    images: npt.NDArray[np.uint8] | None = None,
    progress: Progress = silent,
) -> Network:
    """The layers of a QONNX file; the exits it must have are those of the config's stages.

    `exeunt export` leaves a file with the preprocessing in it; the user's own has none.
    """
    load_finn()
    from exeunt.hls.front import network

    expected = len(config.model.stages) or None
    theirs = config.model.kind == "qonnx" and Path(model_path) == config.model.file
    total = 2 * (expected or 1)
    done = 0

    def step(name: str) -> None:
        nonlocal done
        progress(min(done, total), total, name)
        done += 1

    return network.read(
        Path(model_path),
        exits=expected,
        shape=config.model.input,
        classes=config.model.classes,
        images=images,
        preprocess=config.model.preprocess if theirs else None,
        outputs=config.model.exits if theirs else (),
        progress=step,
    )


def build(
    network: Network,
    *,
    config: Config,
    reach: Sequence[float] | None = None,
    sequence: str | None = None,
    beside: Beside = besides.NOTHING,
) -> Compiled:
    """Fold the network for what the config asks for and make the accelerator of it.

    Args:
        network: the layers.
        config: name and the [compile] section.
        reach: fraction of the frames that reach each exit; None: all reach all.
        sequence: exits of frames in the order in which they come, a digit each; None: not known.
        beside: what is to stand beside the kernels, within the same resources.

    Raises:
        InputError: a folding file that does not fit the network, resources or targets that no
            folding meets, or not one fraction of `reach` for each exit.
    """
    targets(network.exits, target=1, headroom=1.0, reach=reach)  # refuses a wrong reach
    if config.compile.optimised:
        return optimised.build(
            network, config=config, reach=reach, sequence=sequence, beside=beside
        )
    overrides = read_folding(config.compile.folding)
    folding.check_names(overrides, network.nodes)
    case = Case.of(config.compile, sequence, reach, network.exits)
    compiled, fit = _folded(network, config, case, overrides, (case.start,) * network.exits)
    goal = float(config.compile.cycles)
    spare = case.headroom(fit, max(goal, fit.parts[0].interval))
    if spare is not None:  # frames wait for later stages
        other = _folded(network, config, case, overrides, spare)
        if other[1].played.pace < fit.played.pace:
            compiled, fit = other
    check_values(compiled.accelerator, network)
    return dataclasses.replace(compiled, room=fit.room, bursts=bursts.told(fit, case))


def _folded(
    network: Network,
    config: Config,
    case: Case,
    overrides: folding.Overrides,
    spare: Sequence[float],
) -> tuple[Compiled, Fit]:
    """The network folded for `target_cycles` with so much head room, and the room it needs."""
    made = sized(
        assemble(
            config.name,
            network.layers[0::2],
            network.layers[1::2],
            scales=[part.scale for part in network.parts[1::2]],
            cycles=targets(
                network.exits, target=config.compile.cycles, headroom=spare, reach=case.reach
            ),
            overrides=overrides,
            kernels=_backend(config),
            image=network.shape,
            constants=config.compile.constants,
            compressed=_compressed(config),
        )
    )
    return made, case.fit(made.accelerator, wanted=float(config.compile.cycles))


def check_calibration(accelerator: Accelerator, run_dir: Path) -> None:
    """Compare the compiled network with the logits that calibration saw, if it left any.

    Raises:
        CheckFailed: naming exit, image, class and both values.
    """
    from exeunt.reference import network as reference

    found = seen.read(run_dir / seen.NAME)
    if found is not None:
        seen.compare(found, reference.run(accelerator, found.images).logits)


def compile(config: Config, run_dir: Path, *, progress: Progress = silent) -> None:
    """The `compile` step: model.onnx and exits.json to rtl/, manifest.json, report/, baseline/.

    Raises:
        InputError: the file, the network or the folding is not supported.
        CheckFailed: a pass changed a value.
    """
    from exeunt.hls.back import stitch
    from exeunt.report import store

    started, run_dir = time.perf_counter(), Path(run_dir)
    model_path = run_dir / "model.onnx"
    if not model_path.is_file() and config.model.kind == "qonnx" and config.model.file:
        model_path = config.model.file
    exits = _read_exits(run_dir)
    if config.compile.kernels == "vitis":
        from exeunt.hls.back import vitis

        vitis.check()
    progress(0, 1, "FINN")
    loading = load_finn()
    network = read_network(
        model_path, config=config, images=_check_images(run_dir), progress=progress
    )
    if config.compile.kernels == "vitis":
        limits.finn_ips(split(network.integers))
    beside = besides.of(config, exits, run_dir)
    compiled = build(
        network, config=config, reach=exits.get("reach"), sequence=exits.get("sequence"),
        beside=beside,
    )  # fmt: skip
    check_calibration(compiled.accelerator, run_dir)
    from exeunt.hls.back import reports

    with finn_env.quiet():
        reports.write(
            network, compiled.foldings, run_dir / "report", clock_mhz=config.compile.clock_mhz
        )
    compiled = sized(compiled)
    accelerator = beside.dressed(codebooks.attach(compiled.accelerator, run_dir / codebooks.NAME))
    stitch.write(
        accelerator,
        run_dir,
        thresholds=exits.get("thresholds"),
        **held(compiled, config),
        explained=explained.of(accelerator, config, run_dir),
        holds=following(config, exits),
        extra={
            "clock_mhz": config.compile.clock_mhz,
            "folding": summary(compiled),
            "logit_offsets": [e.offset for e in network.integers.exits],
            **({promise.KEY: exits[promise.KEY]} if promise.KEY in exits else {}),
            **_class_names(run_dir),
        },
    )
    hardware: dict[str, Any] = {"clock_mhz": config.compile.clock_mhz}
    section: dict[str, Any] = {"multipliers": compiled.multipliers, "parts": summary(compiled)}
    shared = codebooks.summary(accelerator)
    if shared:
        section["codebooks"] = shared
    if compiled.optimised is not None:
        section["optimiser"] = compiled.optimised
    if compiled.kernels is not None:
        section["kernels"] = compiled.kernels
    if compiled.bursts is not None:
        section["bursts"] = compiled.bursts
    sizes = beside.sizes(compiled.accelerator, _room(compiled, config))
    if sizes:
        section["beside"] = besides.told(sizes)
    if config.compile.baseline:
        section["baseline"] = _baseline(network, compiled, run_dir, config)
    if config.compile.kernels == "vitis":
        section["finn"] = _finn_ips(network, compiled, run_dir, config=config, progress=progress)
    store.update(run_dir, {"compile": section, "hardware": hardware})
    kernels = sum(len(chain.nodes) for chain in accelerator.chains)
    text = f"{kernels} kernels, {compiled.multipliers:,} multipliers"
    if compiled.optimised is not None:
        text += f" {chosen.said(compiled.optimised)}"
    text += compressed.said(compiled.kernels or {})
    if "baseline" in section:
        text += f"; without exits {section['baseline']['multipliers']:,} multipliers"
    seconds = time.perf_counter() - started
    text += f"; {seconds:.1f} s, of which {loading:.1f} s to load FINN"
    progress(1, 1, text)


def _baseline(
    network: Network, compiled: Compiled, run_dir: Path, config: Config
) -> dict[str, Any]:
    """Write baseline/, the same without early exits, at what the design has of multipliers.

    Beside it foldings of about as many LUT; of an optimised design one of at most its resources.
    """
    name, found = f"{config.name}_baseline", compiled.optimised
    others: list[Compiled] = []
    equal = "multipliers" if found is None else "resources"
    if found is None:
        base = plain.baseline(
            network, name=name, multipliers=compiled.multipliers, kernels=_backend(config),
            constants=config.compile.constants, compressed=_compressed(config),
        )  # fmt: skip
        if _backend(config) == "exeunt":
            others = plain.ladder(
                network, name=name, lut=plain.luts(compiled), constants=config.compile.constants,
                compressed=_compressed(config),
            )  # fmt: skip
    else:
        taken = besides.together(Size(**size) for size in found["beside"].values())
        base = optimised.twin(
            network, name=name, section=config.compile,
            size=Size(**found["predicted"]).less(taken),
        )  # fmt: skip
    for made, folder in [
        (base, run_dir / "baseline"),
        *((rung, run_dir / plain.LADDER / str(plain.cycles(rung))) for rung in others),
    ]:
        stitch_of(sized(made), folder, config, {"folding": summary(made), "equal": equal})
    entry: dict[str, Any] = {"multipliers": base.multipliers, "parts": summary(base)}
    if base.optimised is not None:
        entry["predicted"] = base.optimised["predicted"]
    return entry


def stitch_of(compiled: Compiled, folder: Path, config: Config, extra: Mapping[str, Any]) -> None:
    """Write a design without thresholds."""
    from exeunt.hls.back import stitch

    stitch.write(
        compiled.accelerator, folder, **held(compiled, config),
        extra={"clock_mhz": config.compile.clock_mhz, **extra},
    )  # fmt: skip


def held(compiled: Compiled, config: Config) -> dict[str, Any]:
    """What frames wait in, as the stitcher takes it."""
    room = _room(compiled, config)
    return {
        "buffer_frames": room.buffers,
        "kept_frames": room.queues,
        "in_flight": room.in_flight,
    }


def _room(compiled: Compiled, config: Config) -> Room:
    return compiled.room or Given.of(config.compile).usual(len(compiled.accelerator.heads))


def following(config: Config, exits: Mapping[str, Any]) -> hold.Asked | None:
    """What thresholds can follow: the rates of the validation images; None: they cannot.

    Raises:
        InputError: these are not known.
    """
    section, reach = config.compile.hold, exits.get("reach")
    if section is None:
        return None
    if not reach:
        raise InputError(
            "compile.hold must know which part of the validation images gets to each exit, and "
            "exits.json does not say: calibrate first, or leave it out"
        )
    pairs = itertools.pairwise(reach)
    rates = tuple(1.0 - after / before if before else 0.0 for before, after in pairs)
    return hold.Asked(rates, section.window, section.within, section.step, section.most)


def _backend(config: Config) -> str:
    """The kernels our RTL is made of; beside FINN's own IPs it is of ours."""
    return "exeunt" if config.compile.kernels == "vitis" else config.compile.kernels


def _compressed(config: Config) -> bool:
    """Whether layers may skip zeros and share weights; unless it is said, after a compression."""
    asked = config.compile.compressed
    if asked is None:
        asked = config.compress is not None
    return asked and not config.compile.optimised and config.compile.kernels == "exeunt"


def _finn_ips(
    network: Network, compiled: Compiled, run_dir: Path, *, config: Config, progress: Progress
) -> dict[str, str]:
    """Build FINN's own IPs of every segment and head."""
    from exeunt.hls.back import vitis

    with finn_env.quiet():
        return vitis.build(
            network.parts,
            run_dir / vitis.FOLDER,
            targets={name: found.target for name, found in compiled.foldings.items()},
            fpga_part=config.compile.finn_part,
            clock_mhz=config.compile.clock_mhz,
            progress=progress,
        )


def _read_exits(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "exits.json"
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} must be JSON but is not ({error}); calibrate again") from error
    return data if isinstance(data, dict) else {}


def _class_names(run_dir: Path) -> dict[str, list[str]]:
    """`class_names` of manifest.json: what the numbers in the results mean."""
    path = run_dir / SPLITS
    return {"class_names": list(read_classes(path))} if path.is_file() else {}


def _check_images(run_dir: Path) -> npt.NDArray[np.uint8] | None:
    path = run_dir / SPLITS
    return read_split(path, "validation").some(_CHECK_IMAGES).images if path.is_file() else None
