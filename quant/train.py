"""Joint training of all exits, resumable; for the loss see exeunt.quant.exits."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from exeunt.config.tree import Config, hash_of
from exeunt.errors import InputError
from exeunt.files import code_files, writing
from exeunt.progress import Progress, silent
from exeunt.quant.data.augment import augmented
from exeunt.quant.data.datasets import Splits, load, save_splits
from exeunt.quant.exits import losses
from exeunt.quant.modified.batches import Modifier
from exeunt.quant.network.brevitas import QuantIdentity, QuantReLU
from exeunt.quant.network.logits import as_tensor, logits
from exeunt.quant.network.model import CLIP, quantizers_disabled
from exeunt.quant.network.source import build
from exeunt.report import store
from exeunt.splits import SPLITS, chance, read_fingerprint, stratified

CHECKPOINT = "checkpoint.pt"
RESUME = "resume.pt"  # an unfinished training, removed at its end
HISTORY = "training.json"
SCHEMA = 1
_FITTED = 1024  # training images by which scales are set
_NARROW = 32  # an eighth of 0..255: images below are told of


Watch = Callable[[Sequence[Mapping[str, Any]]], None]  # is shown the history after each epoch


def _unwatched(history: Sequence[Mapping[str, Any]]) -> None:
    del history


def train(
    config: Config,
    run_dir: Path,
    data_dir: Path,
    *,
    watch: Watch = _unwatched,
    progress: Progress = silent,
) -> nn.Module:
    """Train the network of `config`; leaves checkpoint.pt, splits.npz and training.json.

    `watch` may raise to end the training early; it can go on later.

    An interrupted training of the same config goes on behind its last epoch, to the same result on
    a CPU. A network that comes as a QONNX file is taken as it is, only the splits are made.

    Raises:
        InputError: the data, the network or `train.start` cannot be used, or `train.device` is
            absent.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    device = device_of(config.train.device)
    splits = load(config.data, data_dir, shape=config.model.input, classes=config.model.classes)
    if config.simulate.images > len(splits.test.labels):
        raise InputError(
            f"simulate.images must be 0 (all) to {len(splits.test.labels)}, the test images there "
            f"are, got {config.simulate.images}: lower it"
        )
    with one_thread(config.train.seed):
        network = build(config.model)
        if config.train.start:
            _start(network, Path(config.train.start))
        save_splits(run_dir / SPLITS, splits)
        history: list[dict[str, Any]] = []
        if config.model.kind != "qonnx":
            history = _Training(config, network, splits, device).run(
                run_dir / RESUME, progress, watch
            )
    network.eval()
    found = {"history": history, "schema": SCHEMA, "seed": config.train.seed}
    store.write_text(run_dir / HISTORY, json.dumps(found, indent=1, sort_keys=True) + "\n")
    state = {
        "schema": SCHEMA,
        "hash": fingerprint(config),
        "data": splits.fingerprint,
        "model": network.state_dict(),
    }
    save_state(run_dir / CHECKPOINT, state)
    (run_dir / RESUME).unlink(missing_ok=True)
    figures: dict[str, Any] = {
        "training": {
            "epochs": len(history),
            "images": len(splits.train.labels),
            "validation_images": len(splits.validation.labels),
            "chance": chance(splits.validation.labels),
            **_last(history),
        },
        "data": {
            "dataset": config.data.dataset,
            "classes": splits.classes,
            "images": {
                name: len(getattr(splits, name).labels) for name in ("train", "validation", "test")
            },
            "notes": [*splits.notes, *_range_notes(config, splits)],
        },
    }
    if config.model.kind == "qonnx" and config.model.file is not None:
        figures["training"]["source"] = config.model.file.name
        progress(1, 1, f"network and weights as in {config.model.file.name}, only images split")
    if config.model.kind != "qonnx":
        figures["accuracy"] = {
            "float": _float_accuracy(network, splits, device),
            "images": len(splits.test.labels),
        }
        figures["training"]["float"] = (
            "the trained weights without quantizers, batch norms measured anew"
        )
    store.update(run_dir, figures)
    return network.cpu()


def fingerprint(config: Config) -> str:
    """What a checkpoint must have been trained with: hash of [data], [model], [train]."""
    return hash_of(config, "data", "model", "train")


def stamp(config: Config, data: str) -> str:
    """What an unfinished training goes on for: config, fingerprint of the splits, user's files."""
    total = hashlib.sha256(f"{fingerprint(config)} {data}".encode())
    own = code_files(config.model.file) if config.model.kind == "python" else []  # type: ignore[arg-type]
    given = [*config.model.files, config.train.start, config.train.rules]
    for path in [*own, *map(Path, given)]:
        total.update(path.read_bytes() if path.is_file() else b"")
    return total.hexdigest()


def is_trained(config: Config, run_dir: Path, data: str) -> bool:
    """Whether there is a checkpoint of this config and of splits with this fingerprint."""
    try:
        state = _load(run_dir / CHECKPOINT)
    except InputError:
        return False
    return bool(state["hash"] == fingerprint(config) and state.get("data") == data)


def load_checkpoint(config: Config, run_dir: Path) -> nn.Module:
    """The trained network of `config`, in evaluation mode on the CPU.

    Raises:
        InputError: there is no checkpoint, it is damaged, or it is from another config or other
            images than those in splits.npz.
    """
    path = run_dir / CHECKPOINT
    state = _load(path)
    if (run_dir / SPLITS).is_file() and state.get("data") != read_fingerprint(run_dir / SPLITS):
        raise InputError(
            f"checkpoint {path} must be from the images in {SPLITS}, got one from others: train "
            "again"
        )
    if state["hash"] != fingerprint(config):
        raise InputError(
            f"checkpoint {path} must be from this config ({fingerprint(config)[:12]}), got one "
            f"from another ({state['hash'][:12]}): train again or choose another --out"
        )
    network = build(config.model)
    try:
        network.load_state_dict(state["model"])
    except RuntimeError:  # a user's own file can change without the config
        raise InputError(
            f"checkpoint {path} must have the weights of {config.model.source}, got those of other "
            "layers: train again"
        ) from None
    return network.eval()


class _Training:
    """Everything that changes while a network is trained."""

    def __init__(
        self, config: Config, network: nn.Module, splits: Splits, device: torch.device
    ) -> None:
        self.config, self.device, self.splits = config, device, splits
        section = config.train
        self.network = network.to(device)
        if section.float_epochs:  # a third faster; sums in another order, so not for all
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.images = as_tensor(splits.train.images).to(device)
        self.labels = torch.from_numpy(splits.train.labels).to(device)
        self.batch = min(section.batch, len(self.labels))
        self.batches = len(self.labels) // self.batch
        self.random = torch.Generator().manual_seed(section.seed)
        self.modifier = Modifier(config.model.input, families=section.modify, rules=section.rules)
        self.history: list[dict[str, Any]] = []
        self.loss = losses.of(section.loss)
        self.average: dict[str, Tensor] = {}  # of the weights, where train.average asks for it
        self._begin()

    def _begin(self, epoch: int = 0) -> None:
        """Make the optimizer and the schedule of an epoch's phase, for the parameters there are.

        The phases are the epochs in floating point, and those with quantizers.
        """
        section = self.config.train
        self.floating = epoch < section.float_epochs
        epochs = section.float_epochs if self.floating else section.epochs - section.float_epochs
        rate = section.float_rate if self.floating else section.learning_rate
        steps = epochs * self.batches + 1
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=rate, weight_decay=section.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            rate,
            total_steps=steps,
            pct_start=min(1.0, max(0.2, 2 / steps)),  # one step up at least
        )
        self.average = {}

    def run(
        self, resume: Path, progress: Progress, watch: Watch = _unwatched
    ) -> list[dict[str, Any]]:
        """Train to the end, from what `resume` holds when it is of the same config."""
        self._restore(resume)
        epochs = self.config.train.epochs
        total = epochs * self.batches
        for epoch in range(len(self.history), epochs):
            if epoch and epoch == self.config.train.float_epochs:
                fit_scales(self.network, self.images[:_FITTED].float())
                self._begin(epoch)
            text = self._text()
            progress(epoch * self.batches, total, text)
            loss = 0.0
            self.network.train()
            order = torch.randperm(len(self.labels), generator=self.random)
            with quantizers_disabled(self.network) if self.floating else nullcontext():
                for number in range(self.batches):
                    loss += self._step(order[number * self.batch : (number + 1) * self.batch])
                    if number % 10 == 9:
                        progress(epoch * self.batches + number + 1, total, text)
            if not np.isfinite(loss):
                raise InputError(
                    f"training must keep a finite loss, got {loss} in epoch {epoch + 1}: lower "
                    "train.learning_rate"
                )
            with (
                self._averaged(),
                quantizers_disabled(self.network) if self.floating else nullcontext(),
            ):
                found = logits(self.network, self.splits.validation.images, device=self.device)
            self.history.append(
                {
                    "epoch": epoch + 1,
                    "loss": loss / self.batches,
                    "accuracy": accuracies(found, self.splits.validation.labels),
                    "learning_rate": float(self.schedule.get_last_lr()[0]),
                }
            )
            self._keep(resume)
            watch(self.history)
        if self.average:
            self.network.load_state_dict(self.average)
        right = ", ".join(f"{100 * a:.1f}" for a in self.history[-1]["accuracy"])
        progress(
            total,
            total,
            f"{epochs} epochs; of {len(self.splits.validation.labels):,} validation images the "
            f"exits answer {right}% right",
        )
        return self.history

    def _step(self, index: Tensor) -> float:
        index, section = index.to(self.device), self.config.train
        coarse = self.floating and section.float_precision == "bfloat16"
        images = augmented(
            self.modifier(self.images[index], self.random),
            self.random,
            shift=section.shift,
            flip=section.flip,
            cut=section.cutout,
        )
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=coarse):
            outputs = self.network(images.float())
        loss = self.loss(
            [out.float() for out in outputs],
            self.labels[index],
            weights=section.exit_weights,
            distill=section.distill,
            smoothing=section.label_smoothing,
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        if section.average and not self.floating:
            self._add(section.average)
        return float(loss.detach())

    def _add(self, kept: float) -> None:
        """Let the average forget all but `kept` of itself and take the weights as they are."""
        state = self.network.state_dict()
        if not self.average:
            self.average = {name: value.clone() for name, value in state.items()}
        for name, value in state.items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1.0 - kept)
            else:
                self.average[name].copy_(value)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averaged weights in the network, inside the block."""
        if not self.average:
            yield
            return
        kept = {name: value.clone() for name, value in self.network.state_dict().items()}
        self._put(self.average)
        yield
        self._put(kept)

    def _put(self, state: Mapping[str, Tensor]) -> None:
        """Write weights into the tensors that the optimizer knows."""
        with torch.no_grad():
            for name, value in self.network.state_dict(keep_vars=True).items():
                value.copy_(state[name])

    def _text(self) -> str:
        if not self.history:
            return ""
        last = self.history[-1]
        found = " ".join(f"{100 * a:.1f}" for a in last["accuracy"])
        return f"loss {last['loss']:.3f}, validation {found}%"

    def _keep(self, path: Path) -> None:
        state = {
            "schema": SCHEMA,
            "hash": stamp(self.config, self.splits.fingerprint),
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": self.random.get_state(),
            "torch": torch.get_rng_state(),
            "history": self.history,
            "average": self.average,
        }
        save_state(path, state)

    def _restore(self, path: Path) -> None:
        if not path.exists():
            return
        try:
            state = _load(path)
        except InputError:  # it was made to be thrown away: start again
            return
        if state["hash"] != stamp(self.config, self.splits.fingerprint):
            return
        self.network.load_state_dict(state["model"])
        # Brevitas replaces its scale parameters when it loads them
        self._begin(len(state["history"]) - 1)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.random.set_state(state["random"])
        torch.set_rng_state(state["torch"])
        self.history, self.average = state["history"], state["average"]


def fit_scales(network: nn.Module, images: Tensor) -> None:
    """Let every quantizer of activations clip where it fits what a float network gives it.

    Scales that are parameters are set to the clip for unit variance times the root mean square of
    what comes in; others are left alone.

    Args:
        network: Brevitas layers, trained in floating point.
        images: float (N, C, H, W) integers 0..255.
    """
    seen: dict[nn.Module, Tensor] = {}

    def see(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen[module] = torch.as_tensor(inputs[0]).detach().square().mean().sqrt()

    found = [m for m in network.modules() if isinstance(m, QuantReLU | QuantIdentity)]
    hooks = [m.register_forward_pre_hook(see) for m in found]
    network.eval()
    with quantizers_disabled(network), torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    for module, size in seen.items():
        proxy: Any = module.act_quant
        bits = int(proxy.bit_width())
        for name, value in module.named_parameters():
            if name.endswith("scaling_impl.value") and bits in CLIP:
                with torch.no_grad():
                    value.fill_(CLIP[bits] * float(size.clamp_min(1e-6)))


def accuracies(found: Sequence[np.ndarray], labels: np.ndarray) -> list[float]:
    """Fraction of right answers of every exit by itself."""
    return [float((out.argmax(axis=1) == labels).mean()) for out in found]


def _range_notes(config: Config, splits: Splits) -> list[str]:
    """That the images use a small part of 0..255, where somebody may have thought otherwise.

    Scikit-learn's digits do by nature: told only for a network that was made elsewhere.
    """
    top = int(splits.train.images.max(initial=0))
    ours = config.data.dataset == "digits" and config.data.format in (None, "digits")
    if top >= _NARROW or (ours and config.model.file is None):
        return []
    if config.model.file is not None:
        advice = f"see that {config.model.file.name} is for such pixels"
    else:
        advice = f"multiply them by {255 // max(top, 1)}"
    return [f"pixels of dataset {config.data.dataset} are 0 to {top} of 0..255: {advice}"]


def _last(history: list[dict[str, Any]]) -> dict[str, Any]:
    return {"validation_accuracy": history[-1]["accuracy"]} if history else {}


def _float_accuracy(network: nn.Module, splits: Splits, device: torch.device) -> float:
    """Accuracy of the last exit on the test images without any quantizer.

    The means and variances of the batch norms are taken anew from training images, since those of
    the quantized network do not fit; they are put back afterwards.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    kept = [({k: v.clone() for k, v in m.state_dict().items()}, m.momentum) for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    with quantizers_disabled(network):
        network.train()
        with torch.no_grad():
            some = stratified(splits.train.labels, 4096)
            some = np.random.default_rng(0).permutation(some)  # batches of all classes
            for batch in np.array_split(some, -(-len(some) // 256)):
                if len(batch) > 1:
                    network(as_tensor(splits.train.images[batch]).to(device).float())
        found = logits(network, splits.test.images, device=device)
    for norm, (state, momentum) in zip(norms, kept, strict=True):
        norm.load_state_dict(state)
        norm.momentum = momentum
    return accuracies(found, splits.test.labels)[-1]


def device_of(name: str) -> torch.device:
    """The device that a `train.device` names: "auto" is a GPU where torch finds one.

    Raises:
        InputError: "cuda" without one.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError(
            'train.device "cuda" must find a GPU that torch can use, got none: use "auto" or "cpu"'
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")


@contextmanager
def one_thread(seed: int) -> Iterator[None]:
    """Seed weights and dropout inside the block, and use one thread, which small layers like."""
    threads, state, python = torch.get_num_threads(), torch.get_rng_state(), random.getstate()
    torch.manual_seed(seed)
    random.seed(seed)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
        random.setstate(python)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state as `torch.save` does, whole or not at all."""
    buffer = io.BytesIO()  # writing itself, torch says nothing of a disk that is full
    torch.save(state, buffer)
    with writing(path) as stream:
        stream.write(buffer.getbuffer())


def _start(network: nn.Module, path: Path) -> None:
    """Take the weights of another run's checkpoint."""
    if not path.is_file():
        raise InputError(
            f"train.start must be a checkpoint.pt of another run, got {path}, where no file is: "
            "train that one first or correct the path"
        )
    try:
        network.load_state_dict(_load(path)["model"])
    except RuntimeError:
        raise InputError(
            f"train.start must be of a network with the same layers, got {path}, which has others: "
            "name another checkpoint, or leave it out"
        ) from None


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"checkpoint {path} must exist, got no such file: run `exeunt train`")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a damaged archive may raise anything
        state = None
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise InputError(
            f"checkpoint {path} must be a whole one of schema {SCHEMA}, got one that cannot be "
            "read: run `exeunt train` again"
        )
    return state
