"""Weight sharing: optimal codebooks, tied training, frozen scales, the file beside the model."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from exeunt.config import compress as passes
from exeunt.config import tree
from exeunt.errors import CheckFailed, InputError
from exeunt.graph import Accelerator, Dataflow, Integer, Stream
from exeunt.hls.back import codebooks
from exeunt.kernels.mvu import Mvu
from exeunt.quant.compress import codebook, sharing, step, subject
from exeunt.quant.compress.subject import Subject, from_blob
from exeunt.quant.compress.work import Work
from exeunt.quant.data.datasets import load
from exeunt.quant.export import export
from exeunt.quant.network.logits import logits
from exeunt.quant.train import load_checkpoint

SPEC = {"kind": "sharing", "criterion": "taylor", "centroids": 3, "centroid_bits": 4, "epochs": 1}


def spec(**changes) -> passes.Sharing:
    return passes.Sharing.model_validate({**SPEC, **changes})


def with_pass(whole: tree.Config, one: passes.Sharing) -> tree.Config:
    section = passes.Compress(passes=(one,), images=40)
    return whole.model_copy(update={"compress": section})


@pytest.fixture
def work(tiny: tree.Config, trained: Path) -> Work:
    whole = with_pass(tiny, spec())
    assert whole.compress is not None
    splits = load(tiny.data, trained, shape=tiny.model.input, classes=10)
    return Work(whole, whole.compress, splits)


@pytest.fixture
def whole(tiny: tree.Config, trained: Path) -> Subject:
    return Subject(load_checkpoint(tiny, trained), tiny.model)


@pytest.mark.parametrize("seed", range(6))
def test_codebooks_are_the_best_of_all(seed: int):
    random = np.random.default_rng(seed)
    values = random.integers(-7, 8, 30)
    weights = random.uniform(0, 1, 30) ** 4
    for k in (1, 2, 3):
        found = codebook.optimal(values, weights, k)
        best = min(
            codebook.distortion(values, weights, np.array(c))
            for c in itertools.combinations(range(-7, 8), k)
        )
        assert len(found) <= k
        assert codebook.distortion(values, weights, found) == pytest.approx(best)


def test_a_codebook_of_all_values_is_exact():
    values = np.array([[3, -4, 3], [0, 7, -4]])
    assert codebook.optimal(values, np.ones(values.shape), 5).tolist() == [-4, 0, 3, 7]


def test_weights_pull_the_centroids():
    values = np.array([-3, -2, 2, 3])
    assert codebook.optimal(values, np.array([1.0, 9, 9, 1]), 2).tolist() == [-2, 2]
    assert codebook.optimal(values, np.array([9.0, 1, 1, 9]), 2).tolist() == [-3, 3]
    assert codebook.assign(np.array([-3, 0, 1, 3]), np.array([-2, 2])).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("criterion", ["uniform", "taylor"])
def test_every_layer_keeps_its_codebook(criterion: str, whole: Subject, work: Work):
    shared, data = sharing.apply(spec(criterion=criterion), whole, work)
    for name, module in sharing.matrices(shared.network).items():
        values = sharing.integers(module)[0]
        book = shared.extras["sharing"][name]["codebook"]
        assert len(torch.unique(values)) <= 3
        assert torch.equal(values, book[shared.extras["sharing"][name]["index"].long()])
        assert sharing.width(module) == 4
    assert (
        data["weight_bits"]
        == sharing.stored_bits(shared)
        < 2.2 * sum(m.weight.numel() for m in sharing.matrices(shared.network).values())
    )
    again = from_blob(shared.blob())
    images = work.splits.validation.images[:20]
    for a, b in zip(logits(shared.network, images), logits(again.network, images), strict=True):
        assert np.array_equal(a, b)


def test_training_moves_the_clusters_as_one(whole: Subject, work: Work):
    one = spec(epochs=0)
    before, _ = sharing.apply(one, whole, work)
    after = work.finetune(before, 1, "check")
    moved = 0
    for name, module in sharing.matrices(after.network).items():
        index = after.extras["sharing"][name]["index"].long()
        scale = sharing.integers(module)[1]
        latent = (module.weight.detach() / scale).flatten()
        for k in range(int(index.max()) + 1):
            cluster = latent[index.flatten() == k]
            if len(cluster):
                assert float(cluster.max() - cluster.min()) < 1e-4
        moved += int((latent - latent.round()).abs().max() > 1e-3)
        assert torch.equal(scale, sharing.integers(dict(sharing.matrices(before.network))[name])[1])
    assert moved


def test_the_gradient_of_a_centroid_is_the_sum(whole: Subject, work: Work):
    shared, _ = sharing.apply(spec(epochs=0), whole, work)
    name, module = next(iter(sharing.matrices(shared.network).items()))
    entry = shared.extras["sharing"][name]
    steps = entry["scale"].expand_as(module.weight)
    factor = torch.randn_like(module.weight)
    (module.weight * factor).sum().backward()
    assert module.weight.grad is not None
    for k in range(len(entry["codebook"])):
        chosen = entry["index"] == k
        if chosen.any():
            got = (module.weight.grad / steps)[chosen]
            expected = (factor * steps)[chosen].sum() / (steps[chosen] ** 2).sum()
            assert got.allclose(expected.expand_as(got), rtol=1e-4)


def test_pruned_weights_stay_zero(whole: Subject, work: Work):
    name = "segments.1.0.weight"
    mask = torch.ones_like(dict(whole.network.named_parameters())[name], dtype=torch.bool)
    mask[:, 0] = False
    whole.masks[name] = mask
    whole.project()
    shared, _ = sharing.apply(spec(), whole, work)
    values = sharing.integers(dict(sharing.matrices(shared.network))["segments.1.0"])[0]
    assert int(values[:, 0].abs().max()) == 0
    assert int(values.abs().max()) > 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"centroids": 50, "centroid_bits": 8},
            "a codebook must not be larger than its layer, got 50 centroids for the 36 weights of "
            "segments.0.0: lower centroids",
        ),
        (
            {"centroids": 8, "centroid_bits": None},
            "a codebook must have at most the 3 integers of 2-bit weights, got 8 centroids for "
            "segments.0.0: lower centroids or raise centroid_bits",
        ),
    ],
)
def test_codebooks_that_do_not_fit(changes, sentence, whole: Subject, work: Work):
    with pytest.raises(InputError) as error:
        sharing.apply(spec(**changes), whole, work)
    assert str(error.value) == sentence


def test_a_codebook_of_one():
    with pytest.raises(InputError) as error:
        codebook.check(1, weights=10, bits=4, layer="x")
    assert str(error.value) == ("a codebook must have at least 2 centroids, got 1: raise centroids")
    with pytest.raises(InputError) as error:
        tree.parse(
            'name = "x"\n[data]\ndataset = "digits"\n[model]\ninput = [8, 8, 1]\nclasses = 10\n'
            "[[model.stages]]\nblocks = [{ conv = 4 }]\n[compress]\n"
            'passes = [{ kind = "sharing", centroids = 1 }]\n'
        )
    assert "centroids must be at least 2, got 1" in str(error.value)


def test_sharing_twice(whole: Subject, work: Work):
    shared, _ = sharing.apply(spec(epochs=0), whole, work)
    with pytest.raises(InputError) as error:
        sharing.apply(spec(), shared, work)
    assert str(error.value) == (
        'passes of kind "sharing" must come once, got weights that are shared already: remove one '
        "from compress.passes"
    )


def test_the_file_beside_the_model(tiny: tree.Config, trained: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    whole = with_pass(tiny, spec())
    network = step.compress(whole, run, run)
    export(whole, run)
    first = (run / codebooks.NAME).read_bytes()
    kept = subject.load_subject(whole, run)
    sharing.write(run, kept.network, kept.extras["sharing"])
    assert (run / codebooks.NAME).read_bytes() == first
    order = sharing.in_pipeline_order(network)
    assert order == ["segments.0.0", "heads.0.1", "segments.1.0", "heads.1.3", "heads.1.6"]
    with np.load(run / codebooks.NAME) as stored:
        for number, name in enumerate(order):
            values = sharing.integers(dict(sharing.matrices(network))[name])[0].numpy()
            assert np.array_equal(stored[f"{number}.codebook"][stored[f"{number}.indices"]], values)


def accelerator(weights: np.ndarray) -> Accelerator:
    mvu = Mvu(
        "head0_mvu0", Stream((1, 1, weights.shape[1]), Integer(4), 1),
        Stream((1, 1, weights.shape[0]), Integer(12, True), 1), accumulator=Integer(12, True),
    )  # fmt: skip
    source = Stream((2, 3, weights.shape[1] // 6), Integer(4), 1)
    chain = Dataflow("head0", source, (mvu,), (2,))
    empty = Dataflow("seg0", source, ())
    return Accelerator("a", (empty,), (chain,), (1.0,), {"head0_mvu0.weights": weights})


def test_compiled_weights_are_reconstructed(tmp_path: Path):
    random = np.random.default_rng(0)
    indices = random.integers(0, 3, (4, 12)).astype(np.uint8)  # (out, (c, y, x))
    book = np.array([-5, 0, 3], np.int8)
    compiled = book.astype(np.int64)[indices].reshape(4, 2, 2, 3).transpose(0, 2, 3, 1)
    compiled = compiled.reshape(4, 12)
    compiled[2] *= -1  # a batch norm with a negative factor
    path = tmp_path / codebooks.NAME
    np.savez(path, **{"0.codebook": book, "0.indices": indices})
    found = codebooks.attach(accelerator(compiled), path)
    node = found.heads[0].nodes[0]
    assert isinstance(node, Mvu)
    assert (node.codebook, node.index_bits) == ((-5, 0, 3), 2)
    assert np.array_equal(found.of(node)["weights"], compiled)
    bare = {k: v for k, v in found.arrays.items() if not k.endswith(".weights")}
    alone = Accelerator("a", found.segments, found.heads, (1.0,), bare)
    assert np.array_equal(alone.of(node)["weights"], compiled)
    assert codebooks.summary(found)["head0_mvu0"]["index_bits"] == 2
    assert codebooks.attach(accelerator(compiled), tmp_path / "none.npz").arrays.keys() == {
        "head0_mvu0.weights"
    }
    found.arrays["head0_mvu0.indices"][1, 1] ^= 1  # type: ignore[index]
    with pytest.raises(CheckFailed) as error:
        found.of(node)
    assert str(error.value).startswith("the codebook of head0_mvu0 must give its weights, got ")
    assert str(error.value).endswith("at (1, 1): compile again")


def test_columns_that_see_padding_alone_are_not_compiled(tmp_path: Path):
    random = np.random.default_rng(1)
    indices = random.integers(0, 3, (4, 2, 3, 3)).astype(np.uint8)
    book = np.array([-5, 0, 3], np.int8)
    compiled = book.astype(np.int64)[indices[:, :, 1:, 1]].reshape(4, 4)
    compiled[1] *= -1
    compiled[1, 0] = -3
    path = tmp_path / codebooks.NAME
    np.savez(path, **{"0.codebook": book, "0.indices": indices})
    wide = np.pad(compiled, ((0, 0), (0, 2)))  # the graph of this test wants a multiple of six
    found = codebooks.attach(accelerator(wide), path)
    node = found.heads[0].nodes[0]
    assert np.array_equal(found.of(node)["weights"], wide)
    assert found.arrays["head0_mvu0.signs"].tolist()[1] == -1
    wide[3, 3] = 4
    with pytest.raises(CheckFailed, match="got others for head0_mvu0 of 4 x 6 weights"):
        codebooks.attach(accelerator(wide), path)


def test_codebooks_of_another_network(tmp_path: Path):
    weights = np.arange(24).reshape(2, 12) % 5
    path = tmp_path / codebooks.NAME
    book, indices = np.unique(weights, return_inverse=True)
    np.savez(path, **{"1.codebook": book, "1.indices": indices.reshape(2, 12)})
    with pytest.raises(InputError) as error:
        codebooks.attach(accelerator(weights), path)
    assert str(error.value) == (
        f"{path} must be of the compiled network with 1 layers of weights, got a codebook of layer "
        "1: export it again"
    )
    np.savez(path, **{"0.codebook": book, "0.indices": (indices.reshape(2, 12) + 1) % 5})
    with pytest.raises(CheckFailed) as failed:
        codebooks.attach(accelerator(weights), path)
    assert str(failed.value) == (
        f"{path} must stand for the compiled weights, got others for head0_mvu0 of 2 x 12 weights: "
        "export it again"
    )
    np.savez(path, **{"0.codebook": book[:2], "0.indices": indices.reshape(2, 12)})
    with pytest.raises(InputError) as error:
        codebooks.attach(accelerator(weights), path)
    assert str(error.value) == (
        f"{path} must have indices below the size of each codebook, got one of 2 entries with the "
        "index 4 in layer 0: export it again"
    )
    path.write_bytes(b"no archive")
    with pytest.raises(InputError) as error:
        codebooks.attach(accelerator(weights), path)
    assert str(error.value).startswith(
        f"{path} must hold a codebook and indices for each layer that shares weights, got "
    )


def test_relevance_of_one_unit():
    weight = torch.tensor([[0.5, -0.25, 0.01], [0.1, 0.2, 0.4]])
    values = torch.tensor([[4, -2, 0], [1, 2, 4]])
    scores = torch.tensor([[1.0, 0.25, 0.0], [0.1, 0.2, 0.4]])
    found = sharing.importance(scores, weight, values, blend=0.0)
    units = np.array([[2.0, 1.0, 1.5], [1.0, 1.0, 1.0]])
    assert found == pytest.approx(units / units.mean())
    blended = sharing.importance(scores, weight, values, blend=0.5)
    assert blended == pytest.approx(units / units.mean() + 0.5)
    assert (sharing.importance(None, weight, values, blend=0.5) == 1).all()
    nothing = sharing.importance(torch.zeros_like(scores), weight, values, blend=0.0)
    assert (nothing == 1).all()
