"""A built network through QONNX, the compiler and the RTL: what its tests compare."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from exeunt.config import tree
from exeunt.graph import Accelerator
from exeunt.hls import compile as compiler
from exeunt.hls.back import stitch
from exeunt.hls.front import finn_env, shadow
from exeunt.qonnx import file, meaning
from exeunt.reference import network as reference


def executed(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """What QONNX gives for images (N, H, W, C), by output."""
    with finn_env.quiet():
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        model = ModelWrapper(str(path)).transform(InferShapes())
        name = model.graph.input[0].name
        shape = model.get_tensor_shape(name)
        runs = [
            execute_onnx(model, {name: x.transpose(2, 0, 1).reshape(shape).astype(np.float32)})
            for x in images
        ]
    outputs = [o.name for o in model.graph.output]
    return {o: np.concatenate([r[o].reshape(1, -1) for r in runs]) for o in outputs}


def compiled(
    path: Path,
    shape: tuple[int, int, int],
    *,
    cycles: int = 200,
    frames: int = 12,
    ties: bool = False,
) -> tuple[Accelerator, np.ndarray, tree.Config]:
    """The accelerator, whose logits are those of the file, and the images that say so.

    With `ties` many values lie between two levels, where QONNX's float32 and the integers may
    differ: the file is then compared node by node, with room for that, as the compiler does.
    """
    found = meaning.integers(file.load(path, shape=shape))
    config = tree.parse(
        f'name = "n"\n[data]\ndataset = "digits"\n[model]\nsource = "qonnx:{path}"\n'
        f"input = {list(shape)}\nclasses = {found.exits[0].logits.elements}\n"
        f"[compile]\ntarget_cycles = {cycles}\nbaseline = false\n"
    )
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (frames, *shape)).astype(np.uint8)
    images //= random.choice([1, 2, 6], (frames, 1, 1, 1)).astype(np.uint8)
    integers = found.logits(images)
    if ties:
        graph = file.load(path)
        with finn_env.quiet():
            shadow.check(graph, found, found.tensors(images))
    wanted = {} if ties else executed(path, images)
    accelerator = compiler.with_fifos(compiler.compile_network(path, config=config))
    logits = reference.run(accelerator, images).logits
    for e, got, known in zip(found.exits, logits, integers, strict=True):
        assert np.array_equal(got, known), e.output
        want = known if ties else (wanted[e.output] - e.offset) / e.scale
        assert np.abs(got - want).max() <= 0.01 + 1e-5 * np.abs(want).max(), e.output
        assert np.ptp(got, axis=0).any(), "the test network answers always the same"
    return accelerator, images, config


def simulated(
    accelerator: Accelerator, images: np.ndarray, config: tree.Config, folder: Path
) -> None:
    """Every image through the RTL: answers, scores and cycles as the references say."""
    from exeunt.simulate import simulate

    stitch.write(accelerator, folder, extra={"clock_mhz": 100.0})
    labels = np.zeros(len(images), np.int64)
    np.savez(folder / "splits.npz", test_images=images, test_labels=labels)
    simulate(config, folder)
    report = json.loads((folder / "report.json").read_text())
    assert report["simulation"]["mismatches"] == 0
    assert report["simulation"]["images"] == len(images)
    assert report["cycle_reference"]["max_relative_error"] == 0
