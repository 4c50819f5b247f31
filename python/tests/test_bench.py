"""Ratios measured in one run, of two ways to the same answers: `make bench`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exeunt import config, manifest, run
from exeunt.reference import network

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
    """The digits network, hardly trained, as far as its RTL."""
    text = config.to_toml(config.load("digits")).replace("baseline = true", "baseline = false")
    lines = [line if not line.startswith("epochs") else "epochs = 2" for line in text.splitlines()]
    folder = tmp_path_factory.mktemp("bench") / "digits"
    context = run.Context(config.parse("\n".join(lines)), folder, Path("data"))
    for step in ("train", "calibrate", "export", "compile"):
        run.run_step(step, context)
    return folder


@pytest.mark.filterwarnings("ignore")  # QONNX's own
def test_reference_against_qonnx(compiled: Path) -> None:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.change_batchsize import ChangeBatchSize
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.util.cleanup import cleanup_model
    from threadpoolctl import threadpool_limits

    accelerator = manifest.read(compiled).accelerator()
    with np.load(compiled / "splits.npz") as splits:
        images = np.resize(splits["test_images"], (FRAMES, *splits["test_images"].shape[1:]))
    with threadpool_limits(1):
        logits = network.run(accelerator, images, batch=256).logits
        ours = FRAMES / best(lambda: network.run(accelerator, images, batch=256))

    theirs = {}
    for batch in BATCHES:
        model = cleanup_model(ModelWrapper(str(compiled / "model.onnx")))
        model = model.transform(ChangeBatchSize(batch)).transform(InferShapes())
        name = model.graph.input[0].name
        x = {name: images[:batch].transpose(0, 3, 1, 2).astype(np.float32)}
        outputs = execute_onnx(model, x)
        for i, scale in enumerate(accelerator.logit_scales):
            real = outputs[model.graph.output[i].name]
            np.testing.assert_allclose(real / scale, logits[i][:batch], atol=0.05)
        theirs[batch] = batch / best(lambda m=model, x=x: execute_onnx(m, x), times=3)
    batch = max(theirs, key=theirs.__getitem__)
    print(
        f"\nreference {ours:,.0f} images/s; QONNX as exported {theirs[1]:,.0f} "
        f"({ours / theirs[1]:,.0f} x), at its best batch {batch} {theirs[batch]:,.0f} "
        f"({ours / theirs[batch]:.1f} x); of processor time"
    )
    assert ours / theirs[1] >= 50
    assert ours / theirs[batch] >= 2
