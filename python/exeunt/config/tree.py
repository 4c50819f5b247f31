"""The config: one TOML file, one frozen tree; unknown keys and impossible values are refused.

Importing this module imports pydantic (a tenth of a second), so the command line does it late.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from exeunt.config import agreement, presets
from exeunt.config.attach import Attach
from exeunt.config.calibrate import Calibrate
from exeunt.config.compile import Compile as Compile
from exeunt.config.compile import hashed
from exeunt.config.compress import Compress
from exeunt.config.explain import Explain
from exeunt.config.layers import (
    Bits,
    Conv,
    Linear,
    Natural,
    Pool,
    Positive,
    Stage,
    behind,
    still_pixels,
)
from exeunt.config.preprocess import Preprocess
from exeunt.config.rules import Family, Rules
from exeunt.config.search import Search
from exeunt.config.section import Fraction
from exeunt.config.section import Section as _Section
from exeunt.config.sentences import did_you_mean, sentence, with_nul
from exeunt.config.toml import to_toml as to_toml
from exeunt.errors import InputError
from exeunt.files import reason

MAX_EXITS = 8
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]


class Data(_Section):
    """Which images.

    Attributes:
        dataset: digits (scikit-learn's, no download), or what is below --data: mnist,
            fashion-mnist, cifar10, a folder or a zip of <class>/<image>
        format: how it is stored; unset: as it looks
        validation: training images for all choices: a number, or a fraction
        test: fraction for reporting, where the set has no test images of its own
        seed: of the order of images, and of the split of digits
        shuffle: validation and test images in random order; false: in that of the files, as a
            recording has it
    """

    dataset: Annotated[str, Field(min_length=1)]
    format: Literal["digits", "idx", "cifar", "folder", "zip"] | None = None
    validation: Positive | Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    seed: Seed = 0
    shuffle: bool = True


class Model(_Section):
    """The network.

    Attributes:
        source: "config" (the stages below), "python:file.py:Class", or "qonnx:model.onnx"
        files: what else a Python class opens, such as weights; a change in one trains again
        input: height, width and channels of the unsigned 8-bit images
        classes: of the images; a head gives a logit for each
        weight_bits: bits of a weight, where a layer does not say its own
        activation_bits: bits of an output, where a layer does not say its own
        exits: outputs of a QONNX file that are exits, in order; unset: all, by depth
        preprocess: what a file or class expects to be done to an image before
        preset: the stages by one word, in place of `stages`
        width: channels of a preset's first layer; unset: 32 of vgg, 16 of resnet8
        stages: an exit behind each
    """

    source: str = "config"
    files: tuple[str, ...] = ()
    input: tuple[Positive, Positive, Positive]
    classes: Annotated[int, Field(ge=2, le=65535)]
    weight_bits: Bits = 4
    activation_bits: Bits = 4
    exits: Annotated[tuple[str, ...], Field(max_length=MAX_EXITS)] = ()
    preprocess: Preprocess | None = None
    preset: presets.Name | None = None
    width: Annotated[int, Field(ge=2, le=4096)] | None = None
    stages: Annotated[tuple[Stage, ...], Field(max_length=MAX_EXITS)] = ()

    @property
    def kind(self) -> str:
        """What `source` begins with: "config", "python" or "qonnx"."""
        return self.source.partition(":")[0]

    @property
    def file(self) -> Path | None:
        """The user's Python or QONNX file, None for a network described here."""
        parts = self.source.split(":")
        if self.kind == "python":
            return Path(":".join(parts[1:-1]))
        return Path(":".join(parts[1:])) if self.kind == "qonnx" else None

    def head(self, index: int) -> tuple[Conv | Pool | Linear, ...]:
        """Head `index` with its last linear layer, which has `classes` outputs.

        It may be left out of the config: it is put behind a head that does not end in one.
        """
        layers = self.stages[index].head
        if layers and isinstance(layers[-1], Linear) and layers[-1].linear == self.classes:
            return layers
        return (*layers, Linear(linear=self.classes))

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, given: Any) -> Any:
        return presets.expanded(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _check(self) -> Model:
        if self.kind not in ("config", "python", "qonnx"):
            raise ValueError(
                'source must be "config", "python:file.py:Class" or "qonnx:model.onnx"'
                f", got {json.dumps(self.source)}"
            )
        if self.kind == "python" and (self.source.count(":") < 2 or not self.source[-1].strip(":")):
            raise ValueError(
                f'source must read "python:file.py:Class", got {json.dumps(self.source)}'
            )
        if self.files and self.kind != "python":
            raise ValueError(
                "files must be absent unless source is a Python class, got "
                f"{len(self.files)} of them with {json.dumps(self.source)}"
            )
        if self.kind == "qonnx" and str(self.file) in ("", "."):
            raise ValueError(f'source must read "qonnx:model.onnx", got {json.dumps(self.source)}')
        if self.preset is not None:
            self._check_preset(self.preset)
        if self.kind == "config":
            if not self.stages:
                raise ValueError("stages must have 1 to 8 entries, got none")
            self._check_shapes()
        elif self.stages:
            raise ValueError(
                f"stages must be absent when source is {json.dumps(self.source)}, "
                f"got {len(self.stages)}"
            )
        return self

    def _check_preset(self, name: presets.Name) -> None:
        """A resolved config has both, and they may not part."""
        made = presets.stages(name, self.width or presets.WIDTHS[name], self.input)
        if tuple(Stage.model_validate(stage) for stage in made) != self.stages:
            raise ValueError(
                f'stages must be absent or those of preset = "{name}", got others: leave out preset'
            )

    def _check_shapes(self) -> None:
        shape, pixels = self.input, True
        for i, stage in enumerate(self.stages):
            for j, block in enumerate(stage.blocks):
                where, before = f"stages[{i}].blocks[{j}]", shape
                shape = behind(block, shape, where)
                pixels = pixels and still_pixels(block, before, shape, where)
            inner = shape
            for j, layer in enumerate(stage.head):
                where = f"stages[{i}].head[{j}]"
                if isinstance(layer, Linear):
                    continue
                if any(isinstance(before, Linear) for before in stage.head[:j]):
                    kind = "pool" if isinstance(layer, Pool) else "convolution"
                    raise ValueError(f"{where} must not be a {kind} behind a linear layer")
                if isinstance(layer, Pool) and layer.size == "global":
                    inner = (1, 1, inner[2])
                else:
                    inner = behind(layer, inner, where)


class Train(_Section):
    """Joint training of all exits.

    Attributes:
        start: checkpoint of another run whose weights are the first ones, for fine-tuning; unset:
            random ones
        epochs: passes over the training images
        batch: images of a step
        learning_rate: its peak; it rises for a fifth of the steps, then falls
        weight_decay: of AdamW
        seed: of weights and batches
        loss: of all exits together; "binary" is that of class exclusion (2309.13443); unset:
            "joint"
        exit_weights: weight of each exit's loss; unset: equal
        distill: weight of what an exit learns from the last one, beside the labels
        shift: pixels by which training images are moved at random
        flip: whether half of the training images are mirrored left to right
        cutout: side of a square of each training image that is blanked; 0: none
        modify: kinds of modifications, as rules.families, of which half of the training images get
            one at random
        rules: rules.json of another run, as whose looks training images are shown; unset: none
        label_smoothing: part of a label that is spread over all classes
        float_epochs: how many of the epochs come first, in floating point
        float_rate: peak of the learning rate in them
        float_precision: in which layers compute in them
        average: what an average of the weights keeps of itself in a step; 0: no average
        device: where it runs; "auto" is a GPU if torch finds one
    """

    start: str = ""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    batch: Annotated[int, Field(ge=2)] = 64
    learning_rate: Annotated[float, Field(gt=0.0, le=1000.0)] = 0.005
    weight_decay: Annotated[float, Field(ge=0.0, le=1000.0)] = 0.0001
    seed: Seed = 0
    loss: Literal["joint", "binary"] | None = None
    exit_weights: tuple[Annotated[float, Field(gt=0.0, le=1e6)], ...] | None = None
    distill: Annotated[float, Field(ge=0.0, le=1e6)] = 0.5
    shift: Natural = 0
    flip: bool = False
    cutout: Natural = 0
    modify: tuple[Family, ...] = ()
    rules: str = ""
    label_smoothing: Fraction = 0.0
    float_epochs: Natural = 0
    float_rate: Annotated[float, Field(gt=0.0, le=1000.0)] = 0.01
    float_precision: Literal["float32", "bfloat16"] = "float32"
    average: Fraction = 0.0
    device: Literal["auto", "cpu", "cuda"] = "auto"


class Simulate(_Section):
    """Bulk simulation of the RTL.

    Attributes:
        images: test images, over all classes; 0: all
        processes: simulators side by side; 0: one for each core
        activity: test images over which `exeunt energy` counts toggles
    """

    images: Natural = 0
    processes: Annotated[int, Field(ge=0, le=1024)] = 0
    activity: Positive = 60


class Synth(_Section):
    """What `exeunt synth` counts for.

    Attributes:
        targets: families of devices
    """

    targets: Annotated[tuple[Literal["xc7", "xcup", "ecp5"], ...], Field(min_length=1)] = (
        "xc7",
        "xcup",
        "ecp5",
    )


class Bitstream(_Section):
    """What `exeunt bitstream` builds.

    Attributes:
        board: a shipped board, or the folder of your own; unset: the first one
        clock_mhz: of the design; unset: the board's own
    """

    board: str = ""
    clock_mhz: Annotated[float, Field(ge=0.001, le=1000.0)] | None = None


class Config(_Section):
    """A whole config file; see `exeunt/config/shipped/` for complete ones.

    Attributes:
        name: of the run; its folder is build/<name>
        data: which images
        model: the network
        train: joint training of all exits
        compress: passes that make the trained network smaller
        rules: modifications of images by rules, and further looks at exit 0
        calibrate: exit thresholds
        attach: early exits for a trained network that has none
        explain: heat maps and their faithfulness
        compile: from QONNX to RTL
        simulate: bulk simulation
        synth: counts of LUT, FF, DSP and BRAM
        bitstream: the board
        search: networks around this one; unset: as all its defaults say
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    data: Data
    model: Model
    train: Train = Train()
    compress: Compress | None = None
    rules: Rules | None = None
    calibrate: Calibrate = Calibrate()
    attach: Attach = Attach()
    explain: Explain = Explain()
    compile: Compile = Compile()
    simulate: Simulate = Simulate()
    synth: Synth = Synth()
    bitstream: Bitstream = Bitstream()
    search: Search | None = None

    @model_validator(mode="after")
    def _check(self) -> Config:
        agreement.check(self)
        return self


def shipped() -> tuple[str, ...]:
    """Names of the configs that come with the package, sorted."""
    folder = resources.files("exeunt.config.shipped")
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def zoo() -> tuple[str, ...]:
    """Names of the trained networks that come with the package, sorted."""
    folder = resources.files("exeunt.zoo")
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def load(name_or_path: str | Path) -> Config:
    """The config of that shipped name, of the trained network zoo:NAME, or in that TOML file.

    Relative paths to a user's files (`model.source`, `model.files`, `train.start`, `train.rules`,
    `compile.folding`, a `compile.board` with a "/") count from the folder of the config and are
    made absolute.

    Raises:
        InputError: no such config, not TOML, an unknown key or an impossible value.
    """
    text = str(name_or_path)
    if text in shipped():
        source = resources.files("exeunt.config.shipped").joinpath(f"{text}.toml")
        return parse(source.read_text(encoding="utf-8"), where=text)
    kind, colon, name = text.partition(":")
    if kind == "zoo" and colon:
        return _trained(name)
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(shipped())
        raise InputError(
            f"config {text!r} must be a shipped name ({known}) or a TOML file, got no such file: "
            f"check the path{did_you_mean(text, shipped())}"
        )
    try:
        content = path.read_text(encoding="utf-8-sig")  # Windows' editor writes a mark in front
    except OSError as error:
        raise InputError(
            f"config {text} must be readable, got {reason(error)}: change its permissions"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"config {text} must be UTF-8 text, got byte {error.object[error.start]:#04x} at "
            f"offset {error.start}: save it as UTF-8"
        ) from None
    return parse(content, where=text, folder=path.resolve().parent)


def _trained(name: str) -> Config:
    if name not in zoo():
        raise InputError(
            f"a trained network must be one of {', '.join(zoo())}, got {name!r}: change it"
            f"{did_you_mean(name, zoo())}"
        )
    with resources.as_file(resources.files("exeunt.zoo")) as folder:
        found = load(folder / f"{name}.toml")
    return found.model_copy(update={"name": f"zoo-{name}"})


def parse(text: str, *, where: str = "config", folder: Path | None = None) -> Config:
    """The config in `text`; `where` names it in messages, `folder` anchors its relative paths.

    Raises:
        InputError: not TOML, an unknown key or an impossible value.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        raise InputError(
            f"config {where} must be valid TOML, got {reason[:1].lower()}{reason[1:]}: "
            "correct that line"
        ) from None
    nul = with_nul(raw)
    if nul is not None:
        raise InputError(
            f"config {where}: {nul} must be text without the character \\u0000: take it out"
        )
    return made(_anchor(_tuples(raw), folder), where=where)


def made(tables: dict[str, Any], *, where: str = "config") -> Config:
    """The config of these tables; `where` names it in messages.

    Raises:
        InputError: an unknown key or an impossible value.
    """
    try:
        return Config.model_validate(_tuples(tables))
    except ValidationError as error:
        raise InputError(sentence(error, where, Config)) from None


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value


def _anchor(raw: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """Make the paths to a user's own files absolute."""
    if folder is None:
        return raw
    model, compile_, train = raw.get("model"), raw.get("compile"), raw.get("train")
    if isinstance(model, dict) and isinstance(model.get("source"), str):
        kind, colon, rest = model["source"].partition(":")
        if rest and kind in ("python", "qonnx"):
            model["source"] = f"{kind}{colon}{folder / rest}"
    if isinstance(model, dict) and isinstance(model.get("files"), list | tuple):
        files = (str(folder / f) if isinstance(f, str) else f for f in model["files"])
        model["files"] = tuple(files)
    if isinstance(compile_, dict) and isinstance(compile_.get("folding"), str):
        compile_["folding"] = str(folder / compile_["folding"])
    if isinstance(compile_, dict) and "/" in str(compile_.get("board")):  # a folder of the user's
        compile_["board"] = str(folder / compile_["board"])
    for key in ("start", "rules"):
        if isinstance(train, dict) and isinstance(train.get(key), str) and train[key]:
            train[key] = str(folder / train[key])
    return raw


def hash_of(config: Config, *sections: str) -> str:
    """Hex SHA-256 over the named sections (without name and search when none is named).

    Of a user's own files only the names count, so that a folder can be moved; what is in them is
    for whoever reads them.
    """
    names = sections or tuple(k for k in Config.model_fields if k not in ("name", "search"))
    whole = config.model_dump(mode="json")
    for key in ("files", "preset", "width"):  # the stages say what the last two mean
        del whole["model"][key]
    if config.model.file is not None:
        whole["model"]["source"] = config.model.source.replace(
            str(config.model.file), config.model.file.name
        )
    if config.compile.folding is not None:
        whole["compile"]["folding"] = Path(config.compile.folding).name
    if "/" in config.compile.board:
        whole["compile"]["board"] = Path(config.compile.board).name
    whole["train"]["start"] = Path(config.train.start).name
    whole["train"]["rules"] = Path(config.train.rules).name
    if whole["explain"]["hardware"] is None:  # as the next two
        del whole["explain"]["hardware"]
    for key in ("modify", "rules"):  # younger than checkpoints that do without
        if not whole["train"][key]:
            del whole["train"][key]
    whole["compile"] = hashed(whole["compile"])
    if whole["simulate"]["activity"] == Simulate().activity:
        del whole["simulate"]["activity"]
    return _digest({k: whole[k] for k in names})


def digest(section: _Section) -> str:
    """Hex SHA-256 over a part of a config."""
    return _digest(section.model_dump(mode="json"))


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
