"""The steps of the pipeline: what each needs, makes and says, and the function that does it."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt.progress import Progress, about, silent
from exeunt.scheduler import HERE, Machines

if TYPE_CHECKING:
    from exeunt.config.tree import Config

_BASELINE = (  # what a simulation says of the network without exits
    "cycles_per_image",
    "images",
    "lanes",
    "latency_cycles",
    "mismatches",
    "multiplies_per_image",
    "throughput_fps",
)

_CALIBRATION = (  # what the calibration says of itself; `compare` adds to the same table
    "criterion", "drop", "guarantee", "images", "lost", "macs_mean", "macs_mean_all", "macs_saved",
    "notes", "shift",
)  # fmt: skip


@dataclass(frozen=True)
class Context:
    """What a step is given: the config, the run folder, the data folder, and how to tell.

    `options` are arguments of one step that the config does not know, such as waves. `machines` do
    the tasks of a step that has some.
    """

    config: Config
    run_dir: Path
    data_dir: Path
    progress: Progress = silent
    options: Mapping[str, Any] = field(default_factory=dict)
    machines: Machines = HERE


@dataclass(frozen=True)
class Step:
    """One arrow of the pipeline.

    `sections` of the config and `inputs` in the run folder decide whether it must run again;
    `outputs` are the files and folders it leaves there, those in `may` only under some configs;
    `reports` are the dotted keys of report.json that it writes. A step with `variants` is done for
    one value of that option at a time, and each is remembered by itself. `when` is the section
    without which the step has nothing to do. `before` refuses in a moment what a later step would
    refuse after minutes. `expects` says how many seconds the step is likely to
    take here, for a step that takes minutes.
    """

    name: str
    title: str
    function: str  # "module:function", imported when called
    sections: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reports: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    always: bool = True  # part of `exeunt run`
    data: bool = False  # reads the data folder
    variants: str = ""  # option that chooses one of several outcomes, such as the board
    when: str = ""  # section of the config
    before: str = ""  # "module:function", which refuses what a later step would refuse
    expects: str = ""  # "module:function"
    spread: bool = False  # has tasks for other machines

    def wanted(self, config: Config) -> bool:
        """Whether `config` has something for the step to do."""
        return not self.when or getattr(config, self.when) is not None

    def expected(self, context: Context) -> float | None:
        """Seconds that the step is likely to take, None where nobody knows.

        Raises:
            ExeuntError: as the step itself, of inputs and tools that it would refuse.
        """
        if not self.expects:
            return None
        seconds = _imported(self.expects)(context.config, context.run_dir, **context.options)
        return None if seconds is None else float(seconds)

    def taking(self, seconds: float | None) -> Step:
        """The step with the time that it is expected to take in its title."""
        if seconds is None:
            return self
        return dataclasses.replace(self, title=f"{self.title}, {about(seconds)}")

    def __call__(self, context: Context) -> None:
        """Import what the step needs and do it."""
        if self.before:
            _imported(self.before)(context.config)
        work = _imported(self.function)
        places = (context.run_dir, context.data_dir) if self.data else (context.run_dir,)
        options = {**context.options, **({"machines": context.machines} if self.spread else {})}
        work(context.config, *places, progress=context.progress, **options)


def _imported(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


STEPS: tuple[Step, ...] = (
    Step(
        "train",
        "Train the network and all its exits",
        "exeunt.quant.train:train",
        sections=("data", "model", "train"),
        inputs=(),
        outputs=("checkpoint.pt", "splits.npz", "training.json"),
        reports=("training", "data", "accuracy.float"),
        data=True,
        before="exeunt.command.untrained:check",
    ),
    Step(
        "compress",
        "Make the network smaller",
        "exeunt.quant.compress.step:compress",
        sections=("data", "model", "train", "compress", "calibrate"),
        inputs=("checkpoint.pt", "splits.npz"),
        outputs=(),
        may=("compressed.pt", "compression.json"),
        reports=("compression.chosen",),
        data=True,
        spread=True,
        when="compress",
    ),
    Step(
        "rules",
        "Learn rules that make images leave earlier",
        "exeunt.quant.rules.step:rules",
        sections=("data", "model", "train", "compress", "calibrate", "rules"),
        inputs=("checkpoint.pt", "splits.npz", "compressed.pt"),
        outputs=(),
        may=("rules.json", "rules.npz", "rules_why.npz"),
        reports=("rules.learned", "rules.why"),
        data=True,
        when="rules",
    ),
    Step(
        "calibrate",
        "Choose the exit thresholds on validation images",
        "exeunt.quant.calibrate:calibrate",
        sections=("data", "model", "calibrate", "rules"),
        inputs=("checkpoint.pt", "splits.npz", "compressed.pt", "rules.json", "rules.npz"),
        outputs=("exits.json", "calibration.npz"),
        may=("rules_shown.npz",),
        reports=(
            "exits",
            "rules.calibrated",
            *(f"calibration.{key}" for key in _CALIBRATION),
            "accuracy.early_exit",
            "accuracy.quantized_last_exit",
        ),
    ),
    Step(
        "compare",
        "Put exit criteria side by side",
        "exeunt.quant.compare:compare",
        sections=("data", "model", "train"),
        spread=True,
        inputs=("checkpoint.pt", "splits.npz", "compressed.pt"),
        outputs=(),
        reports=("calibration.criteria",),
        always=False,
        data=True,
    ),
    Step(
        "against",
        "Put rules beside what people would do instead",
        "exeunt.quant.rules.against:compare",
        sections=("data", "model", "train", "compress", "calibrate", "rules"),
        inputs=("checkpoint.pt", "splits.npz", "compressed.pt"),
        outputs=(),
        reports=("rules.compared",),
        always=False,
        data=True,
        when="rules",
    ),
    Step(
        "attach",
        "Put early exits on the trained network",
        "exeunt.quant.attach:attach",
        sections=("data", "model", "calibrate", "attach"),
        inputs=("checkpoint.pt", "splits.npz", "compressed.pt"),
        outputs=("attach",),
        reports=("attach",),
        always=False,
        data=True,
    ),
    Step(
        "search",
        "Search for the network",
        "exeunt.search.step:search",
        spread=True,
        sections=("data", "model", "train", "calibrate", "compile", "search"),
        inputs=(),
        outputs=("search",),
        reports=("search",),
        always=False,
        data=True,
    ),
    Step(
        "explain",
        "Draw what the answers rest on",
        "exeunt.quant.explain:explain",
        sections=("data", "model", "explain"),
        inputs=("checkpoint.pt", "splits.npz", "compressed.pt", "exits.json"),
        outputs=("explain.json", "explain"),
        reports=("explanation", "faithfulness"),
        always=False,
    ),
    Step(
        "export",
        "Export to QONNX with one output per exit",
        "exeunt.quant.export:export",
        sections=("data", "model"),
        inputs=("checkpoint.pt", "splits.npz", "compressed.pt"),
        outputs=("model.onnx",),
        may=("codebooks.npz",),
        reports=("export",),
    ),
    Step(
        "compile",
        "Compile the exits to RTL",
        "exeunt.hls.compile:compile",
        sections=("name", "model", "compile"),
        inputs=("model.onnx", "exits.json", "calibration.npz", "splits.npz", "codebooks.npz"),
        outputs=("rtl", "design.f", "manifest.json", "report"),
        may=("baseline", "finn"),
        reports=("compile", "hardware.clock_mhz"),
    ),
    Step(
        "simulate",
        "Run the test images through the RTL",
        "exeunt.simulate:simulate",
        sections=("simulate",),
        spread=True,
        inputs=("manifest.json", "rtl", "design.f", "splits.npz", "baseline"),
        outputs=("simulation.json",),
        reports=(
            "simulation",
            "cycle_reference",
            "hold",
            "exits.latency_cycles",
            "exits.latency_images",
            "hardware.equal.multipliers",
            "hardware.equal.resources",
            "hardware.equal.lut.speedup",
            "hardware.lanes",
            "hardware.multiplies_per_image",
            "hardware.multiplies_saved",
            "hardware.speedup_equal_resources",
            "hardware.throughput_fps",
            *(f"hardware.baseline.{key}" for key in _BASELINE),
        ),
    ),
    Step(
        "heatmaps",
        "Draw what the accelerator says its answers rest on",
        "exeunt.simulate.heatmaps:heatmaps",
        sections=("compile", "explain"),
        inputs=("manifest.json", "rtl", "design.f", "splits.npz"),
        outputs=("heatmaps.json", "heatmaps.npz"),
        reports=("heatmaps",),
        always=False,
    ),
    Step(
        "energy",
        "Count how often signals toggle",
        "exeunt.simulate.activity:energy",
        sections=("simulate",),
        inputs=("manifest.json", "rtl", "design.f", "splits.npz", "baseline"),
        outputs=("activity",),
        reports=("activity",),
        always=False,
    ),
    Step(
        "synth",
        "Count LUT, FF, DSP and BRAM with Yosys",
        "exeunt.synth:synth",
        sections=("synth",),
        inputs=("manifest.json", "rtl", "design.f", "baseline"),
        outputs=("synth.json",),
        reports=(
            "synthesis[target]",
            "hardware.resources",
            "hardware.baseline.resources",
            "hardware.equal.lut",
        ),
        always=False,
        expects="exeunt.synth:expected",
    ),
    Step(
        "bitstream",
        "Make the bitstream for a board",
        "exeunt.boards.bitstream:bitstream",
        sections=("bitstream",),
        inputs=("manifest.json", "rtl", "design.f"),
        outputs=(),
        reports=("synthesis[board={variant}]",),
        always=False,
        variants="board",
        expects="exeunt.boards.bitstream:expected",
    ),
    Step(
        "deploy",
        "Pack what a board needs into one archive",
        "exeunt.deploy:deploy",
        sections=("bitstream",),
        inputs=("manifest.json", "rtl", "exits.json", "splits.npz", "model.onnx", "bitstream"),
        outputs=(),
        reports=("deploy[board={variant}]",),
        always=False,
        variants="board",
    ),
    Step(
        "bench",
        "Measure the device against this processor",
        "exeunt.bench:bench",
        sections=(),
        inputs=("manifest.json", "rtl", "exits.json", "splits.npz"),
        outputs=("bench/{variant}.json", "bench/{variant}.csv"),
        reports=("bench[board={variant}]",),
        always=False,
        variants="board",
    ),
)
NAMES = tuple(step.name for step in STEPS)


def step_of(name: str) -> Step:
    """The step of that name; `bitstream:zcu104` is the step for that board alone."""
    base, _, variant = name.partition(":")
    step = STEPS[NAMES.index(base)]
    if not variant:
        return step
    reports, outputs = (
        tuple(text.replace("{variant}", variant) for text in texts)
        for texts in (step.reports, step.outputs)
    )
    return dataclasses.replace(step, name=name, reports=reports, outputs=outputs)
