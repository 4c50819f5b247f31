"""Ratios measured in one run, of two ways to the same answers: `make bench`."""

from __future__ import annotations

import copy
import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from exeunt import manifest
from exeunt.command import run
from exeunt.config import tree
from exeunt.reference import network
from exeunt.reference.prepared import Prepared

pytestmark = [pytest.mark.bench, pytest.mark.slow]
BATCHES = (1, 16, 64, 256)
FRAMES = 256


def best(work: Callable[[], object], *, times: int = 5) -> float:
    """Shortest processor time of some, in seconds."""
    found = []
    for _ in range(times):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained digits network as far as its RTL."""
    text = tree.to_toml(tree.load("zoo:digits")).replace("baseline = true", "baseline = false")
    folder = tmp_path_factory.mktemp("bench") / "digits"
    context = run.Context(tree.parse(text), folder, Path("data"))
    for step in ("train", "calibrate", "export", "compile"):
        run.run_step(step, context)
    return folder


@pytest.fixture
def one_core() -> Iterator[None]:
    """Everything on one processor core, also the threads of ONNX Runtime."""
    from threadpoolctl import threadpool_limits

    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    with threadpool_limits(1):
        yield
    os.sched_setaffinity(0, allowed)


def batched(model: Any, frames: int) -> Any:
    """A model of one frame as one of many: shapes, vectors per call, and reshapes by constants."""
    import onnx
    from qonnx.core.modelwrapper import ModelWrapper

    copy = onnx.load_from_string(model.model.SerializeToString())
    constants = {c.name: c for c in copy.graph.initializer}
    for info in [*copy.graph.input, *copy.graph.output, *copy.graph.value_info]:
        if info.name not in constants:
            info.type.tensor_type.shape.dim[0].dim_value = frames
    for node in copy.graph.node:
        if node.op_type == "Reshape":
            shape = onnx.numpy_helper.to_array(constants[node.input[1]]).copy()
            shape[0] = frames
            name = node.input[1]
            constants[name].CopyFrom(onnx.numpy_helper.from_array(shape, name))
        for attribute in node.attribute:
            if attribute.name == "numInputVectors":
                attribute.ints[0] = frames
    return ModelWrapper(copy)


def chained(parts: Mapping[str, Any], images: npt.NDArray[np.float32]) -> list[npt.NDArray]:
    """Logits of every exit by the models seg0, head0, seg1, ... one behind the other."""
    from qonnx.core.onnx_exec import execute_onnx

    def execute(model: Any, x: npt.NDArray) -> npt.NDArray:
        return execute_onnx(model, {model.graph.input[0].name: x})[model.graph.output[0].name]

    x, logits = images, []
    for i in range(len(parts) // 2):
        first = parts[f"seg{i}"]
        if i == 0 and tuple(first.get_tensor_shape(first.graph.input[0].name)) != x.shape:
            x = x.transpose(0, 3, 1, 2)
        x = execute(first, x)
        logits.append(execute(parts[f"head{i}"], x))
    return logits


def compiled_graphs(folder: Path, images: npt.NDArray[np.uint8]) -> dict[str, dict[str, Any]]:
    """Every part of the network in FINN's integers, and as hardware layers."""
    from exeunt.hls.front import frontend
    from exeunt.hls.front import network as compiler

    streamlined = {}
    check = frontend.Checker.__call__

    def keep(self: frontend.Checker, model: Any, step: str) -> None:
        check(self, model, step)
        if step == "FinnGraph":  # the last one before hardware layers
            streamlined[self.part.name] = copy.deepcopy(model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frontend.Checker, "__call__", keep)
        found = compiler.read(folder / "model.onnx", images=images)
    layers = {part.name: part.model for part in found.parts}
    assert streamlined.keys() == layers.keys()  # else the bench would time nothing
    return {"integer graph": streamlined, "hardware-layer graph": layers}


@pytest.mark.filterwarnings("ignore")  # QONNX's own
def test_reference_against_qonnx(compiled: Path, one_core: None) -> None:
    """The same graph is the compiled one; QONNX's time is that of its best batch.

    QONNX's Im2Col, which both forms of the compiled graph use, mixes the frames of a batch: there
    its values are compared frame by frame, and the time of larger batches counts all the same.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.change_batchsize import ChangeBatchSize
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.util.cleanup import cleanup_model

    from exeunt.hls.front.register import registered

    accelerator = manifest.read(compiled).accelerator()
    with np.load(compiled / "splits.npz") as splits:
        images = np.resize(splits["test_images"], (FRAMES, *splits["test_images"].shape[1:]))
    graphs = compiled_graphs(compiled, images)
    prepared = Prepared(accelerator)
    logits = network.run(accelerator, images, streams=True).logits
    for mine, again in zip(prepared.logits(images, batch=FRAMES), logits, strict=True):
        np.testing.assert_array_equal(mine, again)
    ours = FRAMES / best(lambda: prepared.logits(images, batch=FRAMES), times=50)

    theirs: dict[str, dict[int, float]] = {"exported graph": {}}
    for batch in BATCHES:
        model = cleanup_model(ModelWrapper(str(compiled / "model.onnx")))
        model = model.transform(ChangeBatchSize(batch)).transform(InferShapes())
        name = model.graph.input[0].name
        x = {name: images[:batch].transpose(0, 3, 1, 2).astype(np.float32)}
        outputs = execute_onnx(model, x)
        for i, scale in enumerate(accelerator.logit_scales):
            real = outputs[model.graph.output[i].name]
            np.testing.assert_allclose(real / scale, logits[i][:batch], atol=0.05)
        theirs["exported graph"][batch] = batch / best(lambda m=model, x=x: execute_onnx(m, x))
    with registered():
        for name, parts in graphs.items():
            for n in range(4):
                found = chained(parts, images[n : n + 1].astype(np.float32))
                for i, x in enumerate(found):
                    np.testing.assert_array_equal(x.reshape(-1), logits[i][n], name)
            theirs[name] = {}
            for batch in BATCHES:
                many = {part: batched(model, batch) for part, model in parts.items()}
                x = images[:batch].astype(np.float32)
                theirs[name][batch] = batch / best(lambda m=many, x=x: chained(m, x))

    print(f"\nreference {ours:,.0f} images/s on one core, all exits; QONNX on the")
    for name, rates in theirs.items():
        batch = max(rates, key=rates.__getitem__)
        print(
            f"  {name}: {rates[batch]:,.0f} images/s at its best batch {batch} "
            f"({ours / rates[batch]:.1f} x), {rates[1]:,.0f} at batch 1 ({ours / rates[1]:,.0f} x)"
        )
    for name in graphs:
        assert ours / max(theirs[name].values()) >= 50, name
    assert ours / max(theirs["exported graph"].values()) >= 5


@pytest.mark.filterwarnings("ignore")  # QONNX's own
@pytest.mark.parametrize("name", ["CNV_1W1A", "CNV_2W2A"])
def test_reference_against_the_exported_file(name: str, tmp_path: Path, one_core: None) -> None:
    """A network of bnn_pynq as Brevitas exports it, one image at a time, and made for more."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.change_batchsize import ChangeBatchSize
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.util.cleanup import cleanup_model

    from exeunt.hls import compile as compiler

    place = Path(__file__).parent / "hls" / "bnn_pynq.py"
    spec = importlib.util.spec_from_file_location("bnn", place)
    bnn = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bnn)
    path, size = bnn.export(name, tmp_path), bnn.shape(name)
    text = bnn.CONFIG.format(name=name, shape=list(size), cycles=200_000)
    config = tree.parse(text.replace("qonnx:", f"qonnx:{tmp_path}/"))
    images = bnn.pictures(size, FRAMES)
    accelerator = compiler.compile_network(path, config=config, images=images)
    prepared = Prepared(accelerator)
    (logits,) = prepared.logits(images, batch=64)
    ours = FRAMES / best(lambda: prepared.logits(images, batch=64), times=10)
    model = cleanup_model(ModelWrapper(str(path)))
    source = model.graph.input[0].name
    rates = {}
    for batch in BATCHES[:3]:
        model = model.transform(ChangeBatchSize(batch)).transform(InferShapes())
        x = {source: images[:batch].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)}
        (real,) = execute_onnx(model, x).values()
        steps = real / accelerator.logit_scales[0]
        steps -= np.median(steps - logits[:batch])  # the bias of the last norm
        np.testing.assert_allclose(steps, logits[:batch], atol=0.05)
        rates[batch] = batch / best(lambda m=model, x=x: execute_onnx(m, x), times=3)
    print(f"\n{name}: reference {ours:,.0f} images/s on one core; QONNX on the exported file")
    for batch, rate in rates.items():
        print(f"  {rate:,.1f} images/s at batch {batch} ({ours / rate:.1f} x)")
    assert ours / rates[1] >= 40
    assert ours / max(rates.values()) >= 2
