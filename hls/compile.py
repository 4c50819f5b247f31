"""From a QONNX file to an accelerator graph, and the whole `compile` step.

Nothing here imports FINN until a network is compiled: its import takes seconds.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt import cost, criteria, promise, rules
from exeunt.cost.folding import targets
from exeunt.errors import CheckFailed, InputError
from exeunt.graph import Accelerator, Dataflow, IntArray
from exeunt.hls import explained
from exeunt.hls.back import codebooks, folding, lower
from exeunt.hls.back.folding import Folding, Overrides
from exeunt.hls.front import finn_env, limits
from exeunt.kernels.layer import Layer
from exeunt.progress import Progress, silent
from exeunt.qonnx import seen
from exeunt.qonnx.exits import parts as split
from exeunt.splits import SPLITS, read_classes, read_split

if TYPE_CHECKING:
    from exeunt.config.tree import Config
    from exeunt.hls.front.network import Network

LADDER = "baseline/ladder"
RUNGS = 2  # foldings on either side of the LUT budget
SPAN, STEPS = 1.8, 30  # cycles from 1 / SPAN to SPAN times those that meet the budget


_CHECK_IMAGES = 4  # of which the front end takes the first few


@dataclass(frozen=True)
class Compiled:
    """An accelerator and how it was folded, chain by chain."""

    accelerator: Accelerator
    foldings: Mapping[str, Folding]

    @property
    def multipliers(self) -> int:
        """Sum of PE * SIMD over the whole accelerator."""
        return sum(f.multipliers for f in self.foldings.values())


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


def build(network: Network, *, config: Config, reach: Sequence[float] | None = None) -> Compiled:
    """Fold the network for the config's target and make the accelerator of it.

    Raises:
        InputError: a folding file that does not fit the network.
    """
    overrides = read_folding(config.compile.folding)
    folding.check_names(overrides, network.nodes)
    cycles = targets(
        network.exits,
        target=config.compile.target_cycles,
        headroom=config.compile.headroom,
        reach=reach,
    )
    compiled = assemble(
        config.name,
        network.layers[0::2],
        network.layers[1::2],
        scales=[part.scale for part in network.parts[1::2]],
        cycles=cycles,
        overrides=overrides,
        kernels=_backend(config),
        image=network.shape,
    )
    check_values(compiled.accelerator, network)
    return compiled


def assemble(
    name: str,
    segments: Sequence[Sequence[Layer]],
    heads: Sequence[Sequence[Layer]],
    *,
    scales: Sequence[float],
    cycles: Sequence[int],
    overrides: Overrides | None = None,
    kernels: str = "exeunt",
    choices: Mapping[str, folding.Choices] | None = None,
    image: tuple[int, int, int] | None = None,
) -> Compiled:
    """Fold segments and heads, one target each pair, and lower them to kernels.

    `choices` are those of `folding.fold` by the name of the segment or head; `image` is (H, W, C)
    of the images, None where the first layer has it.
    """
    source = None
    chains: list[Dataflow] = []
    arrays: dict[str, IntArray] = {}
    foldings: dict[str, Folding] = {}
    for i, (segment, head) in enumerate(zip(segments, heads, strict=True)):
        for label, layers in ((f"seg{i}", segment), (f"head{i}", head)):
            lanes = None if source is None else source.lanes
            found = folding.fold(
                layers,
                target=cycles[i],
                lanes=lanes,
                overrides=overrides,
                choices=None if choices is None else choices[label],
            )
            chain, values = lower.chain(label, layers, found.folds, source=source, kernels=kernels)
            chains.append(chain)
            arrays |= values
            foldings[label] = found
            if label == f"seg{i}":
                source = chain.output
    accelerator = Accelerator(
        name=name,
        segments=tuple(chains[0::2]),
        heads=tuple(chains[1::2]),
        logit_scales=tuple(float(s) for s in scales),
        arrays=arrays,
        image=None if image == chains[0].input.shape else image,
    )
    return Compiled(accelerator, foldings)


def baseline(network: Network, *, name: str, multipliers: int, kernels: str = "exeunt") -> Compiled:
    """The same backbone without early exits: all segments in one, and the last head.

    It is folded for the fewest cycles a frame that `multipliers` (sum of PE * SIMD) allow.
    """
    attempt = _plain(network, name=name, kernels=kernels)
    best = _fastest(attempt, lambda found: found.multipliers <= multipliers)
    check_values(best.accelerator, network)
    return best


def ladder(network: Network, *, name: str, lut: int) -> list[Compiled]:
    """Foldings of the network without early exits around `lut` LUT, from slow to fast.

    The cost model predicts their LUT with all multipliers made of LUT, so that LUT are all that is
    spent. Of the foldings that no other one beats in both LUT and cycles, these are the RUNGS
    nearest to `lut` from below and from above: which of them has no more LUT than another design
    is for Yosys to count.
    """
    attempt = _plain(network, name=name, kernels="exeunt")
    middle = _cycles(_fastest(attempt, lambda found: _luts(found) <= lut))
    cycles = (middle * SPAN ** (step / STEPS) for step in range(-STEPS, STEPS + 1))
    found = {_cycles(rung): rung for rung in (attempt(max(1, round(c))) for c in cycles)}
    cheapest: list[tuple[int, Compiled]] = []  # from fast to slow, each with fewer LUT
    for _, rung in sorted(found.items()):
        luts = _luts(rung)
        if not cheapest or luts < cheapest[-1][0]:
            cheapest.append((luts, rung))
    below = [rung for luts, rung in cheapest if luts <= lut][:RUNGS]
    above = [rung for luts, rung in cheapest if luts > lut][-RUNGS:]
    rungs = [*below[::-1], *above[::-1]]
    for rung in rungs:
        check_values(rung.accelerator, network)
    return rungs


def _plain(network: Network, *, name: str, kernels: str) -> Callable[[int], Compiled]:
    """The network without early exits, folded for so many cycles a frame."""
    backbone = tuple(layer for segment in network.layers[0::2] for layer in segment)
    head, scale = network.layers[-1], network.parts[-1].scale
    choices = {"seg0": folding.choices(backbone), "head0": folding.choices(head)}

    def folded(cycles: int) -> Compiled:
        return assemble(
            name, [backbone], [head], scales=[scale], cycles=[cycles], kernels=kernels,
            choices=choices, image=network.shape,
        )  # fmt: skip

    return folded


def _fastest(attempt: Callable[[int], Compiled], fits: Callable[[Compiled], bool]) -> Compiled:
    """What `attempt` makes of the fewest cycles that fit, found by bisection."""
    low, high = 1, 1
    best = attempt(high)
    while not fits(best):
        low, high = high, high * 4
        best = attempt(high)
        if high > 1 << 40:
            break  # the budget is below one multiplier a layer: the smallest design there is
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        found = attempt(middle)
        if fits(found):
            high, best = middle, found
        else:
            low = middle
    return best


def _luts(compiled: Compiled) -> int:
    size = cost.network(compiled.accelerator, dsp=False)
    return size.lut + size.control


def _cycles(compiled: Compiled) -> int:
    """Cycles a frame of the slowest part."""
    return max(found.period for found in compiled.foldings.values())


def check_values(accelerator: Accelerator, network: Network) -> None:
    """Compare every chain with FINN's hardware layers before folding, on the check frames.

    A single pair of chains stands for the whole backbone and the last head.

    Raises:
        CheckFailed: naming the chain and the first element that differs.
    """
    from exeunt.reference import network as reference

    parts = network.parts
    frames = [(part.inputs, part.outputs) for part in parts]
    if len(accelerator.chains) == 2:
        frames = [(parts[0].inputs, parts[-2].outputs), frames[-1]]
    for chain, (inputs, outputs) in zip(accelerator.chains, frames, strict=True):
        got = reference.run_chain(accelerator, chain, inputs).reshape(outputs.shape)
        wrong = np.argwhere(got != outputs)
        if wrong.size:
            where = tuple(int(i) for i in wrong[0])
            raise CheckFailed(
                f"pass lower changed the values of {chain.name}: frame {where[0]} at {where[1:]} "
                f"is {int(got[where])} but FINN's hardware layers have {int(outputs[where])}; "
                "please report the network"
            )


def check_calibration(accelerator: Accelerator, run_dir: Path) -> None:
    """Compare the compiled network with the logits that calibration saw, if it left any.

    Raises:
        CheckFailed: naming exit, image, class and both values.
    """
    from exeunt.reference import network as reference

    found = seen.read(run_dir / seen.NAME)
    if found is not None:
        seen.compare(found, reference.run(accelerator, found.images).logits)


def read_folding(path: str | Path | None) -> dict[str, dict[str, Any]]:
    """A FINN folding file: attributes by FINN node name; empty when there is none.

    Raises:
        InputError: no such file, or not a JSON table of tables.
    """
    if path is None:
        return {}
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"the folding file {path} cannot be read ({error.strerror}); give another path"
        ) from error
    except ValueError as error:
        raise InputError(
            f"the folding file {path} must be JSON but is not ({error}); "
            "start from report/auto_folding_config.json"
        ) from error
    if not isinstance(data, dict) or not all(isinstance(v, dict) for v in data.values()):
        raise InputError(
            f"the folding file {path} must map FINN node names to tables of attributes; "
            "start from report/auto_folding_config.json"
        )
    return data


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
    compiled = build(network, config=config, reach=exits.get("reach"))
    check_calibration(compiled.accelerator, run_dir)
    from exeunt.hls.back import reports

    with finn_env.quiet():
        reports.write(
            network, compiled.foldings, run_dir / "report", clock_mhz=config.compile.clock_mhz
        )
    accelerator = with_fifos(codebooks.attach(compiled.accelerator, run_dir / codebooks.NAME))
    rule = criteria.get(exits.get("criterion", criteria.DEFAULT))
    offsets = tuple(tuple(map(int, row)) for row in exits.get("offsets", ()))
    accelerator = dataclasses.replace(
        accelerator, criterion=rule.name, offsets=offsets, rules=rules.found_in(exits)
    )
    stitch.write(
        accelerator,
        run_dir,
        thresholds=exits.get("thresholds"),
        buffer_frames=config.compile.buffer_frames,
        in_flight=config.compile.in_flight,
        explained=explained.of(accelerator, config, run_dir),
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
    if config.compile.baseline:
        plain = baseline(
            network,
            name=f"{config.name}_baseline",
            multipliers=compiled.multipliers,
            kernels=_backend(config),
        )
        stitch.write(
            with_fifos(plain.accelerator),
            run_dir / "baseline",
            buffer_frames=config.compile.buffer_frames,
            in_flight=config.compile.in_flight,
            extra={"clock_mhz": config.compile.clock_mhz, "folding": summary(plain)},
        )
        section["baseline"] = {"multipliers": plain.multipliers, "parts": summary(plain)}
        if _backend(config) == "exeunt":
            for rung in ladder(network, name=f"{config.name}_baseline", lut=_luts(compiled)):
                stitch.write(
                    with_fifos(rung.accelerator),
                    run_dir / LADDER / str(_cycles(rung)),
                    buffer_frames=config.compile.buffer_frames,
                    in_flight=config.compile.in_flight,
                    extra={"clock_mhz": config.compile.clock_mhz, "folding": summary(rung)},
                )
    if config.compile.kernels == "vitis":
        section["finn"] = _finn_ips(network, compiled, run_dir, config=config, progress=progress)
    store.update(run_dir, {"compile": section, "hardware": hardware})
    kernels = sum(len(chain.nodes) for chain in accelerator.chains)
    text = f"{kernels} kernels, {compiled.multipliers:,} multipliers"
    if "baseline" in section:
        text += f"; without exits {section['baseline']['multipliers']:,} multipliers"
    seconds = time.perf_counter() - started
    text += f"; {seconds:.1f} s, of which {loading:.1f} s to load FINN"
    progress(1, 1, text)


def _backend(config: Config) -> str:
    """The kernels our RTL is made of; beside FINN's own IPs it is of ours."""
    return "exeunt" if config.compile.kernels == "vitis" else config.compile.kernels


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


def with_fifos(accelerator: Accelerator) -> Accelerator:
    """The accelerator with the FIFO depths that keep every chain at its slowest kernel's rate."""
    from exeunt.reference import pipeline

    pairs = [
        pipeline.with_depths(segment, head)
        for segment, head in zip(accelerator.segments, accelerator.heads, strict=True)
    ]
    return dataclasses.replace(
        accelerator,
        segments=tuple(p[0] for p in pairs),
        heads=tuple(p[1] for p in pairs),
    )


def summary(compiled: Compiled) -> dict[str, dict[str, int]]:
    """Target, period and multipliers of every chain, as plain data."""
    return {
        name: {
            "target_cycles": found.target,
            "cycles": found.period,
            "multipliers": found.multipliers,
        }
        for name, found in compiled.foldings.items()
    }


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
