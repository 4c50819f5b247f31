"""What passes are given: data, scores, exit weights, and a fine-tuning that can be interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from exeunt.config.compress import Compress, Pass
from exeunt.config.tree import Config
from exeunt.errors import InputError
from exeunt.progress import Progress, silent
from exeunt.quant import asked
from exeunt.quant.compress.criteria import Options, Scores, score
from exeunt.quant.compress.subject import Subject, from_blob
from exeunt.quant.data.augment import augmented
from exeunt.quant.data.datasets import Labelled, Splits
from exeunt.quant.exits import losses, moved
from exeunt.quant.exits.calibration import evaluate
from exeunt.quant.exits.calibration import scores as scores_of
from exeunt.quant.network.logits import as_tensor, grid_and_cost, integer_logits
from exeunt.quant.train import device_of, save_state

FOLDER = ".compress"  # of the stages of an unfinished compression
_RISE = 0.1  # part of the fine-tuning in which the learning rate rises


@dataclass
class Work:
    """The surroundings of a pass.

    `folder` keeps every fine-tuning, so that what was interrupted goes on; None keeps nothing.
    Nothing is chosen on the test images in `splits`, but `split` may ask to be told of them.
    """

    config: Config
    section: Compress
    splits: Splits
    folder: Path | None = None
    label: str = ""  # of the pass, in file names
    seed: int = 0
    split: str = "validation"  # what accuracies are told of
    device: torch.device = field(init=False)  # of fine-tuning, as train.device says
    progress: Progress = silent
    known: dict[str, list[float]] = field(default_factory=dict)  # exit weights, by network
    done: int = 0  # fine-tuning epochs of all passes
    total: int = 0

    def __post_init__(self) -> None:
        """Find the device.

        Raises:
            InputError: `train.device` is absent.
        """
        self.device = device_of(self.config.train.device)

    @property
    def scored(self) -> Labelled:
        """The training images that criteria look at: `section.images`, of all classes alike."""
        labels = self.splits.train.labels
        random = np.random.default_rng([self.seed, self.section.images])
        classes = np.unique(labels)
        each = max(1, self.section.images // len(classes))
        chosen = np.concatenate(
            [random.permutation(np.flatnonzero(labels == c))[:each] for c in classes]
        )
        chosen = random.permutation(chosen)
        return Labelled(self.splits.train.images[chosen], labels[chosen])

    def scores(self, subject: Subject, spec: Pass, *, weights: bool = True) -> Scores:
        """Scores of the subject's filters and weights by the criterion of a pass."""
        data = self.scored
        self.progress(self.done, self.total, f"{self.label}: {spec.criterion} of the weights")
        return score(
            spec.criterion,
            subject.network,
            data.images,
            data.labels,
            exit_weights=self.exit_weights(subject),
            seed=self.seed,
            options=Options(
                reference=spec.reference, aggregate=spec.aggregate, objective=spec.objective
            ),
            weights=weights,
        )

    def exit_weights(self, subject: Subject) -> list[float]:
        """How much every exit counts: the mean of the share of images that leaves there and 1/E.

        The share is that of validation images under provisional thresholds. It alone would leave
        later exits without a say where nearly all images leave at the first.
        """
        key = _digest(self, subject, 0)
        if key not in self.known:
            rates = np.asarray(self.accuracy(subject, "validation")["rates"])
            self.known[key] = [float(r) for r in (rates + 1 / len(rates)) / 2]
        return self.known[key]

    def accuracy(self, subject: Subject, split: str | None = None) -> dict[str, Any]:
        """Accuracy of every exit alone, of the last, and with early exit, fractions 0..1.

        The thresholds are calibrated on the validation images as [calibrate] says; `rates` are the
        fractions of the images that leave at each exit.
        """
        network = subject.network
        scales, macs = grid_and_cost(network, self.config)
        seen = self.splits.validation
        section = self.config.calibrate
        found = integer_logits(network, moved.copies(seen.images, section.shift), scales)
        made = asked.calibrated(
            section, found, seen.labels, macs=macs, scales=scales, seed=self.config.data.seed,
            points=1,
        )  # fmt: skip
        labels = seen.labels
        found = [x[: len(labels)] for x in found]
        if (split or self.split) != "validation":
            part: Labelled = getattr(self.splits, split or self.split)
            found, labels = integer_logits(network, part.images, scales), part.labels
        all_exits = scores_of(
            found, labels, criterion=section.criterion, scales=scales, offsets=made.offsets
        )
        point = evaluate(all_exits, made.chosen.thresholds, macs)
        alone = [float(r) for r in all_exits.right.mean(axis=1)]
        return {
            "exits": alone,
            "last": alone[-1],
            "early_exit": point.accuracy,
            "rates": list(point.rates),
            "macs_mean": point.macs,
            "images": len(labels),
        }

    def finetune(self, subject: Subject, epochs: int, stage: str) -> Subject:
        """Train the subject for some epochs with the loss, data and optimizer of the training.

        `stage` is a name unique within the pass. An interrupted fine-tuning goes on behind its
        last epoch; a finished one of the same subject is not done again.

        Raises:
            InputError: the loss does not stay finite.
        """
        if not epochs:
            return subject
        tuning = _Tuning(self, subject, epochs, stage)
        result = tuning.run()
        self.done += epochs
        return result


class _Tuning:
    """One fine-tuning: everything that changes while it runs."""

    def __init__(self, work: Work, subject: Subject, epochs: int, stage: str) -> None:
        self.work, self.epochs, self.stage = work, epochs, stage
        self.stamp = _digest(work, subject, epochs)
        self.subject = subject.copy()
        self.epoch = 0
        self.random = torch.Generator().manual_seed(work.seed)
        train = work.config.train
        labels = work.splits.train.labels
        self.batch = min(train.batch, len(labels))
        self.batches = len(labels) // self.batch
        self._begin()

    @property
    def path(self) -> Path | None:
        folder = self.work.folder
        name = f"{self.work.label} {self.stage}".strip().replace(" ", "-")
        return None if folder is None else folder / f"{name}.pt"

    def _begin(self) -> None:
        train = self.work.config.train
        rate = self.work.section.learning_rate
        self.subject.network.to(self.work.device)
        self.optimizer = torch.optim.AdamW(
            self.subject.network.parameters(), lr=rate, weight_decay=train.weight_decay
        )
        steps = self.epochs * self.batches + 1
        rising = min(1.0, max(_RISE, 2.5 / steps))  # at least two steps of it
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, rate, total_steps=steps, pct_start=rising
        )

    def run(self) -> Subject:
        self._restore()
        work = self.work
        splits = work.splits.train
        images = as_tensor(splits.images).to(work.device)
        labels = torch.from_numpy(splits.labels).to(work.device)
        while self.epoch < self.epochs:
            text = f"{work.label}: fine-tuning, {self.stage}"
            work.progress(work.done + self.epoch, work.total, text)
            self.subject.network.train()
            order = torch.randperm(len(labels), generator=self.random)
            loss = 0.0
            for number in range(self.batches):
                index = order[number * self.batch : (number + 1) * self.batch].to(work.device)
                loss += self._step(images[index], labels[index])
            if not np.isfinite(loss):
                raise InputError(
                    f"fine-tuning must keep a finite loss, got {loss} in {work.label}, "
                    f"{self.stage}: lower compress.learning_rate"
                )
            self.epoch += 1
            self._keep()
        self.subject.network.cpu().eval()
        return self.subject

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        train = self.work.config.train
        images = augmented(
            images, self.random, shift=train.shift, flip=train.flip, cut=train.cutout
        )
        loss = losses.of(self.work.config.train.loss)(
            self.subject.network(images.float()),
            labels,
            weights=train.exit_weights,
            distill=train.distill,
            smoothing=train.label_smoothing,
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.subject.project()
        return float(loss.detach())

    def _keep(self) -> None:
        if self.path is None:
            return
        state = {
            "stamp": self.stamp,
            "epoch": self.epoch,
            "subject": self.subject.blob(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": self.random.get_state(),
            "torch": torch.get_rng_state(),
        }
        save_state(self.path, state)

    def _restore(self) -> None:
        if self.path is None or not self.path.is_file():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            if state["stamp"] != self.stamp:
                return
        except Exception:  # it was made to be thrown away: start again
            return
        self.epoch = state["epoch"]
        self.subject = from_blob(state["subject"])
        self._begin()
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.random.set_state(state["random"])
        torch.set_rng_state(state["torch"])


def _digest(work: Work, subject: Subject, epochs: int) -> str:
    """What a fine-tuning starts from: settings, images, weights, masks."""
    config, rate = work.config, work.section.learning_rate
    settings = (config.train, config.data, work.splits.fingerprint, rate, epochs, subject.model)
    total = hashlib.sha256(repr(settings).encode())
    tables: Sequence[Mapping[str, torch.Tensor]] = (subject.network.state_dict(), subject.masks)
    for table in tables:
        for name, value in sorted(table.items()):
            total.update(name.encode())
            total.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return total.hexdigest()


def weight_bits(network: nn.Module, masks: Mapping[str, torch.Tensor] | None = None) -> int:
    """Bits of all weights that are not masked, each at the width of its layer."""
    total = 0
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        quantizer = getattr(module, "weight_quant", None)
        width = quantizer.bit_width() if quantizer is not None else None
        bits = int(width) if width is not None else 32
        mask = (masks or {}).get(f"{name}.weight")
        total += bits * (module.weight.numel() if mask is None else int(mask.sum()))
    return total
