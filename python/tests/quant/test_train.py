"""Training: the loss, the seeds, the resume, and what a checkpoint is refused for."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant import train as training
from exeunt.quant.exits import losses
from exeunt.quant.network.logits import logits
from exeunt.quant.train import fit_scales, is_trained, load_checkpoint, train
from exeunt.report import store
from exeunt.splits import read_fingerprint, read_split


def with_train(whole: tree.Config, **values) -> tree.Config:
    return whole.model_copy(update={"train": whole.train.model_copy(update=values)})


def weights(folder) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["model"]


def test_leaves_checkpoint_splits_history_and_report(trained, tiny):
    names = sorted(p.name for p in trained.iterdir())
    assert names == ["checkpoint.pt", "report.json", "splits.npz", "training.json"]
    history = json.loads((trained / "training.json").read_text())["history"]
    assert [h["epoch"] for h in history] == [1, 2]
    assert history[1]["loss"] < history[0]["loss"]
    assert len(history[0]["accuracy"]) == 2
    found = store.read(trained)
    assert found["training"]["epochs"] == 2
    assert 0.1 < found["accuracy"]["float"] <= 1
    images = read_split(trained / "splits.npz", "test").images
    assert images.shape == (359, 8, 8, 1)


@pytest.mark.parametrize("epochs", [1, 2, 4, 5])
def test_few_images_are_trained_too(tiny, tmp_path, epochs):
    """One batch an epoch: so short a schedule has hardly a step on the way up."""
    train(with_train(tiny, epochs=epochs, batch=4096), tmp_path, tmp_path)
    history = json.loads((tmp_path / "training.json").read_text())["history"]
    assert [entry["epoch"] for entry in history] == list(range(1, epochs + 1))
    assert all(np.isfinite(entry["learning_rate"]) for entry in history)


def test_it_learns(trained, tiny):
    test = read_split(trained / "splits.npz", "test")
    found = training.accuracies(logits(load_checkpoint(tiny, trained), test.images), test.labels)
    assert max(found) > 0.3  # two epochs at three bits; chance is 0.1


def test_measuring_in_floating_point_leaves_the_network_alone(tiny, tmp_path):
    network = train(with_train(tiny, epochs=1), tmp_path, tmp_path)
    for name, value in network.state_dict().items():
        assert torch.equal(value, weights(tmp_path)[name]), name


def test_same_seed_same_weights(trained, tiny, tmp_path):
    train(tiny, tmp_path, tmp_path)
    for name, value in weights(trained).items():
        assert torch.equal(value, weights(tmp_path)[name]), name
    assert (tmp_path / "training.json").read_bytes() == (trained / "training.json").read_bytes()


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_phases_and_averages_resume_to_the_same_weights(tiny, tmp_path, monkeypatch, cut):
    """Two epochs in floating point, two with quantizers and averaged weights."""
    config = with_train(
        tiny, epochs=4, float_epochs=2, float_precision="bfloat16", average=0.5, flip=True, cutout=3
    )
    train(config, tmp_path / "whole", tmp_path)
    real = training._Training._keep

    def stop(self, path):
        real(self, path)
        if len(self.history) == cut:
            raise KeyboardInterrupt

    monkeypatch.setattr(training._Training, "_keep", stop)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "cut", tmp_path)
    monkeypatch.undo()
    train(config, tmp_path / "cut", tmp_path)
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(tmp_path / "cut")[name]), name
    rates = [h["learning_rate"] for h in store_history(tmp_path / "cut")]
    assert rates[1] < 1e-4
    assert rates[3] < 1e-4
    assert rates[2] > 1e-3


def store_history(folder: Path) -> list[dict]:
    return json.loads((folder / "training.json").read_text())["history"]


def test_the_average_of_the_weights_is_what_is_kept(tiny, tmp_path, monkeypatch):
    states: list[dict[str, torch.Tensor]] = []
    real = training._Training._add

    def add(self, kept):
        states.append({k: v.clone() for k, v in self.network.state_dict().items()})
        real(self, kept)

    monkeypatch.setattr(training._Training, "_add", add)
    train(with_train(tiny, epochs=1, average=0.75, batch=600), tmp_path, tmp_path)
    assert len(states) == 2
    for name, value in weights(tmp_path).items():
        first, second = (s[name] for s in states)
        if value.is_floating_point():
            assert torch.allclose(value, 0.75 * first + 0.25 * second), name
        else:
            assert torch.equal(value, second), name


def test_scales_fit_what_a_float_network_gives(tiny):
    network = training.build(tiny.model)
    images = torch.randint(0, 256, (64, 1, 8, 8)).float()
    network.train()
    with training.quantizers_disabled(network):
        network(images)
    fit_scales(network, images)
    quantizer = network.segments[0][2]
    seen = []
    quantizer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with training.quantizers_disabled(network), torch.no_grad():
        network(images)
    clip = quantizer.act_quant.scale().item() * 7
    assert clip == pytest.approx(2.4 * float(seen[0].square().mean().sqrt()), rel=0.02)


def test_other_seed_other_weights(trained, tiny, tmp_path):
    train(with_train(tiny, seed=1, epochs=1), tmp_path, tmp_path)
    name = "segments.0.0.weight"
    assert not torch.equal(weights(trained)[name], weights(tmp_path)[name])


def test_an_interrupted_training_resumes_to_the_same_weights(trained, tiny, tmp_path):
    class Interrupted(Exception):
        pass

    def interrupt(done: int, total: int, text: str = "") -> None:
        if text:  # figures of the first epoch: the second begins
            raise Interrupted

    with pytest.raises(Interrupted):
        train(tiny, tmp_path, tmp_path, progress=interrupt)
    assert (tmp_path / "resume.pt").exists()
    assert not (tmp_path / "checkpoint.pt").exists()
    seen: list[int] = []
    train(tiny, tmp_path, tmp_path, progress=lambda done, total, text="": seen.append(done))
    assert min(seen) == seen[-1] // 2  # the first epoch is not done again
    assert not (tmp_path / "resume.pt").exists()
    for name, value in weights(trained).items():
        assert torch.equal(value, weights(tmp_path)[name]), name


def test_an_interrupted_training_on_other_images_starts_again(tiny, tmp_path):
    other = tiny.model_copy(update={"data": tiny.data.model_copy(update={"dataset": "own"})})
    images = np.random.default_rng(0).integers(0, 16, (2, 200, 8, 8)).astype(np.uint8)
    for label in range(10):
        (tmp_path / "own" / str(label)).mkdir(parents=True)

    def write(kind: int) -> None:
        for k, image in enumerate(images[kind]):
            Image.fromarray(image).save(tmp_path / "own" / str(k % 10) / f"{k}.png")

    def begun() -> bool:
        seen: list[int] = []

        def interrupt(done: int, total: int, text: str = "") -> None:
            seen.append(done)
            if text:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(other, tmp_path / "run", tmp_path, progress=interrupt)
        return min(seen) == 0

    write(0)
    assert begun()
    assert not begun(), "goes on"
    write(1)
    assert begun(), "starts again"


def own_set(folder: Path, top: int, classes: int = 2) -> None:
    random = np.random.default_rng(0)
    for label in range(classes):
        (folder / "own" / f"class{label}").mkdir(parents=True)
        for k in range(20):
            image = random.integers(0, top + 1, (8, 8)).astype(np.uint8)
            image[0, 0] = top
            Image.fromarray(image).save(folder / "own" / f"class{label}" / f"{k}.png")


def of_own_set(tiny, **more) -> tree.Config:
    model = tiny.model.model_copy(update={"classes": 2, "stages": tiny.model.stages[:1], **more})
    data = tiny.data.model_copy(update={"dataset": "own"})
    return with_train(tiny, epochs=1).model_copy(update={"model": model, "data": data})


@pytest.mark.parametrize(
    ("top", "notes"),
    [(16, ["pixels of dataset own are 0 to 16 of 0..255: multiply them by 15"]), (32, [])],
)
def test_images_that_use_a_small_part_of_the_range(tiny, tmp_path, top, notes):
    own_set(tmp_path, top)
    train(of_own_set(tiny), tmp_path / "run", tmp_path)
    found = store.read(tmp_path / "run")["data"]
    assert found["notes"] == notes
    assert found["classes"] == ["class0", "class1"]
    assert found["images"] == {"train": 28, "validation": 4, "test": 8}


def test_nothing_is_said_of_the_shipped_digits(trained):
    report = store.read(trained)
    assert report["data"]["notes"] == []
    assert report["training"]["chance"] == pytest.approx(0.1, abs=0.02)


def test_more_simulated_images_than_there_are(tiny, tmp_path):
    section = tiny.simulate.model_copy(update={"images": 10_000})
    with pytest.raises(InputError) as caught:
        train(tiny.model_copy(update={"simulate": section}), tmp_path / "run", tmp_path)
    assert str(caught.value) == (
        "simulate.images must be 0 (all) to 359, the test images there are, got 10000: lower it"
    )
    assert not list((tmp_path / "run").iterdir())


def test_whether_there_is_a_checkpoint_of_these_images(trained, tiny, tmp_path):
    images = read_fingerprint(trained / "splits.npz")
    assert is_trained(tiny, trained, images)
    assert not is_trained(tiny, trained, "0" * 64)
    assert not is_trained(with_train(tiny, seed=5), trained, images)
    assert not is_trained(tiny, tmp_path, images)


def test_checkpoint_of_other_images(trained, tiny, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "splits.npz"
    with np.load(path) as old:
        arrays = dict(old)
    np.savez(path, **{**arrays, "fingerprint": np.array("0" * 64)})
    sentence = (
        f"checkpoint {tmp_path}/run/checkpoint.pt must be from the images in splits.npz, got one "
        "from others: train again"
    )
    with pytest.raises(InputError) as caught:
        load_checkpoint(tiny, tmp_path / "run")
    assert str(caught.value) == sentence


def test_refused_network_leaves_the_run_as_it_was(trained, tiny, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    (tmp_path / "net.py").write_text("")
    source = f"python:{tmp_path}/net.py:Net"
    model = tiny.model.model_copy(update={"source": source, "stages": ()})
    with pytest.raises(InputError, match=r"must name a torch\.nn\.Module"):
        train(tiny.model_copy(update={"model": model}), tmp_path / "run", tmp_path)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"half a file"])
def test_a_damaged_or_foreign_resume_file_starts_again(trained, tiny, tmp_path, content):
    (tmp_path / "resume.pt").write_bytes(content)
    train(tiny, tmp_path, tmp_path)
    assert torch.equal(
        weights(trained)["segments.0.0.weight"], weights(tmp_path)["segments.0.0.weight"]
    )


def test_progress_counts_batches_and_tells_the_figures(tiny, tmp_path):
    seen: list[tuple[int, int, str]] = []
    train(
        with_train(tiny, epochs=2),
        tmp_path,
        tmp_path,
        progress=lambda done, total, text="": seen.append((done, total, text)),
    )
    assert seen[-1][0] == seen[-1][1]
    assert seen[-2][2].startswith("loss ")
    assert seen[-2][2].endswith("%")
    assert re.fullmatch(
        r"2 epochs; of [\d,]+ validation images the exits answer [\d.]+, [\d.]+% right", seen[-1][2]
    )
    assert [s[0] for s in seen] == sorted(s[0] for s in seen)


def test_random_state_of_the_caller_is_left_alone(tiny, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(with_train(tiny, epochs=1), tmp_path, tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_checkpoint_of_another_config_is_refused(trained, tiny):
    other = with_train(tiny, epochs=3)
    with pytest.raises(InputError) as caught:
        load_checkpoint(other, trained)
    assert str(caught.value) == (
        f"checkpoint {trained}/checkpoint.pt must be from this config "
        f"({training.fingerprint(other)[:12]}), got one from another "
        f"({training.fingerprint(tiny)[:12]}): train again or choose another --out"
    )


def test_missing_and_damaged_checkpoint(trained, tiny, tmp_path):
    with pytest.raises(InputError) as caught:
        load_checkpoint(tiny, tmp_path)
    path = tmp_path / "checkpoint.pt"
    assert str(caught.value) == (
        f"checkpoint {path} must exist, got no such file: run `exeunt train`"
    )
    whole = (trained / "checkpoint.pt").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as caught:
        load_checkpoint(tiny, tmp_path)
    assert str(caught.value) == (
        f"checkpoint {path} must be a whole one of schema 1, got one that cannot be read: run "
        "`exeunt train` again"
    )


def test_checkpoint_of_other_layers(trained, tiny, tmp_path):
    state = torch.load(trained / "checkpoint.pt", weights_only=True)
    del state["model"]["segments.0.0.weight"]
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError) as caught:
        load_checkpoint(tiny, tmp_path)
    assert str(caught.value) == (
        f"checkpoint {tmp_path}/checkpoint.pt must have the weights of config, got those of other "
        "layers: train again"
    )


def test_gpu_that_is_not_there(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError) as caught:
        train(with_train(tiny, device="cuda"), tmp_path, tmp_path)
    assert str(caught.value) == (
        'train.device "cuda" must find a GPU that torch can use, got none: use "auto" or "cpu"'
    )


def test_loss_that_is_not_finite(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        losses, "joint", lambda *a, **k: torch.tensor(float("nan"), requires_grad=True)
    )
    with pytest.raises(InputError) as caught:
        train(tiny, tmp_path, tmp_path)
    assert str(caught.value) == (
        "training must keep a finite loss, got nan in epoch 1: lower train.learning_rate"
    )


def test_copied_run_folder_works(trained, tiny, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    first = logits(load_checkpoint(tiny, trained), np.zeros((3, 8, 8, 1), np.uint8))
    second = logits(load_checkpoint(tiny, tmp_path / "copy"), np.zeros((3, 8, 8, 1), np.uint8))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_training_that_starts_with_the_weights_of_another_run(trained, tiny, tmp_path):
    """With a rate of next to nothing they stay what they were."""
    start = str(trained / "checkpoint.pt")
    section = tiny.train.model_copy(update={"start": start, "epochs": 1, "learning_rate": 1e-9})
    config = tiny.model_copy(update={"train": section})
    found = train(config, tmp_path, tmp_path).state_dict()
    begun = torch.load(start, weights_only=True)["model"]
    weights = [name for name in found if name.endswith("weight")]
    assert len(weights) > 5
    for name in weights:
        assert torch.allclose(found[name], begun[name], atol=1e-6), name
    assert load_checkpoint(config, tmp_path) is not None
    with pytest.raises(InputError, match="must be from this config"):
        load_checkpoint(tiny, tmp_path)


def test_what_training_cannot_start_with(trained, tiny, tmp_path):
    def refused(config, start, sentence):
        section = config.train.model_copy(update={"start": str(start)})
        with pytest.raises(InputError) as caught:
            train(config.model_copy(update={"train": section}), tmp_path / "run", tmp_path)
        assert str(caught.value) == sentence

    absent = tmp_path / "none.pt"
    refused(
        tiny,
        absent,
        f"train.start must be a checkpoint.pt of another run, got {absent}, where no file is: "
        "train that one first or correct the path",
    )
    whole = trained / "checkpoint.pt"
    first = tiny.model.stages[0]
    wider = first.model_copy(update={"blocks": (first.blocks[0].model_copy(update={"conv": 5}),)})
    stages = (wider, *tiny.model.stages[1:])
    other = tiny.model_copy(update={"model": tiny.model.model_copy(update={"stages": stages})})
    refused(
        other,
        whole,
        f"train.start must be of a network with the same layers, got {whole}, which has others: "
        "name another checkpoint, or leave it out",
    )
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(whole.read_bytes()[:100])
    refused(
        tiny,
        damaged,
        f"checkpoint {damaged} must be a whole one of schema 1, got one that cannot be read: run "
        "`exeunt train` again",
    )
