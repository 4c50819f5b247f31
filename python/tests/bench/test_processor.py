"""The processor runs the same network: integers exactly, the float graph within its rounding."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt import registers, samples
from exeunt.bench import floats, processor
from exeunt.criteria import margin
from exeunt.errors import InputError
from exeunt.qonnx.quantizer import ROUNDING, limits
from exeunt.reference import controller, network


@pytest.fixture(scope="module")
def accelerator():
    return samples.accelerator(seed=3)


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_leaving_early_answers_as_the_controller_decides(accelerator, batch):
    images = samples.images(40, seed=1)
    logits = network.run(accelerator, images).logits
    scores = [margin.values(values).scores for values in logits]
    sets = [
        [int(np.median(scores[0])), int(np.median(scores[1]))],
        [registers.NEVER, int(np.median(scores[1]))],
        [registers.NEVER, registers.NEVER],
        [registers.ALWAYS, 0],
    ]
    engine = processor.Reference(accelerator)
    for thresholds in sets:
        want = controller.decide(logits, thresholds)
        for first in range(0, len(images), batch):
            part = slice(first, first + batch)
            classes, exits = engine.classify(images[part], thresholds)
            np.testing.assert_array_equal(classes, want.classes[part])
            np.testing.assert_array_equal(exits, want.exits[part])


def test_frames_that_left_are_not_computed():
    seen = []

    def stage(index, x):
        seen.append(len(x))
        return x, np.stack([x[:, 0], np.zeros(len(x))], axis=1)

    x = np.array([[9.0], [1.0], [5.0], [0.0]])
    classes, exits = processor.leave(stage, x, [4.0, None, 1.0])
    assert seen == [4, 2, 2, 1]
    assert exits.tolist() == [0, 2, 0, 3]
    assert classes.tolist() == [0, 0, 0, 0]
    seen.clear()
    processor.leave(stage, x, [0.0, None, 1.0])
    assert seen == [4]


def test_figures(accelerator):
    images = samples.images(20, seed=2)
    engine = processor.Reference(accelerator)
    classes, _ = engine.classify(images, (5, 5))
    labels = classes.copy()
    labels[:5] += 1
    found = processor.measure(
        engine, images, (5, 5), expected=classes, labels=labels, seconds=0.01
    ).to_json()
    assert (found["agreement"], found["accuracy"]) == (1.0, 0.75)
    assert found["batch"] in (1, 16)
    assert found["images_per_second"] > 0
    assert found["latency"]["count"] == 20
    assert found["unit"] == "seconds"


def quant(x, scale, signed, bits, narrow=0):
    low, high = limits(bits, signed=signed, narrow=bool(narrow))
    return scale * np.clip(np.round(x / scale), low, high)


@pytest.fixture(scope="module")
def model():
    """Two exits, weights and activations quantized, a batch of one written into the shapes."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    arrays = {
        "w0": random.normal(size=(4, 1, 3, 3)),
        "w1": random.normal(size=(3, 64)),
        "w2": random.normal(size=(3, 64)),
        "s": np.array(0.1),
        "a": np.array(0.25),
        "zero": np.array(0.0),
        "bits": np.array(4.0),
    }
    constants = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in arrays.items()]
    constants.append(numpy_helper.from_array(np.array([1, 64]), "shape"))
    domain = {"domain": "qonnx.custom_op.general", "rounding_mode": "ROUND"}
    weights = {**domain, "signed": 1, "narrow": 1}
    nodes = [
        helper.make_node("Quant", [f"w{i}", "s", "zero", "bits"], [f"q{i}"], **weights)
        for i in range(3)
    ]
    activation = {**domain, "signed": 0, "narrow": 0}
    nodes += [
        helper.make_node("Conv", ["images", "q0"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Quant", ["r", "a", "zero", "bits"], ["x"], **activation),
        helper.make_node("Reshape", ["x", "shape"], ["f0"]),
        helper.make_node("Gemm", ["f0", "q1"], ["exit0"], transB=1),
        helper.make_node("Neg", ["x"], ["n"]),
        helper.make_node("Reshape", ["n", "shape"], ["f1"]),
        helper.make_node("Gemm", ["f1", "q2"], ["exit1"], transB=1),
    ]
    make = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "two",
        [make("images", TensorProto.FLOAT, [1, 1, 6, 6])],
        [make(f"exit{i}", TensorProto.FLOAT, [1, 3]) for i in range(2)],
        constants,
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("qonnx.custom_op.general", 2)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), arrays


def by_hand(arrays, images):
    windows = np.lib.stride_tricks.sliding_window_view(images[:, :, :, 0], (3, 3), axis=(1, 2))
    weights = [quant(arrays[f"w{i}"], 0.1, True, 4, 1) for i in range(3)]
    c = np.einsum("nhwij,oij->nohw", windows, weights[0][:, 0])
    x = quant(np.maximum(c, 0), 0.25, False, 4).reshape(len(images), -1)
    return x @ weights[1].T, -x @ weights[2].T


@pytest.mark.parametrize("count", [1, 5])
def test_float_graph_with_quantizers_kept(model, count):
    found, arrays = model
    images = np.random.default_rng(1).integers(0, 8, (count, 6, 6, 1), dtype=np.uint8)
    cut = [p.model for p in floats.pieces(floats.plain(found, "kept"))]
    engine = processor.OnnxRuntime(cut, "kept", (1.0, 1.0), threads=1)
    want = by_hand(arrays, images.astype(np.float64))
    first, second = np.sort(want[0])[:, ::-1][:, :2].T
    limit = float(np.median(first - second)) + 1e-3
    classes, exits = engine.classify(images, [limit + 0.5])
    early = first - second >= limit
    np.testing.assert_array_equal(exits, np.where(early, 0, 1))
    np.testing.assert_array_equal(classes, np.where(early, *(w.argmax(axis=1) for w in want)))
    x, logits = engine._stage(0, images.transpose(0, 3, 1, 2).astype(np.float32))
    np.testing.assert_allclose(logits, want[0], atol=1e-4)
    np.testing.assert_allclose(engine._stage(1, x)[1], want[1], atol=1e-4)


def test_float_graph_with_quantizers_dropped_still_clips(model):
    found, _ = model
    plain = floats.plain(found, "dropped")
    kinds = [node.op_type for node in plain.graph.node]
    assert "Round" not in kinds
    assert kinds.count("Clip") == 1
    assert "Quant" not in kinds
    high = next(i for i in plain.graph.initializer if i.name == "x_high")
    assert np.frombuffer(high.raw_data, np.float32) == pytest.approx([15 * 0.25])


@pytest.mark.parametrize("mode", [m for m in ROUNDING if m != "ROUND_TO_ZERO"])
def test_rounding_modes_in_plain_operators(model, mode):
    import onnx
    import onnxruntime
    from onnx import ModelProto

    other = ModelProto()
    other.CopyFrom(model[0])
    node = next(n for n in other.graph.node if n.output[0] == "x")
    attributes = {a.name: a for a in node.attribute}
    attributes["rounding_mode"].s = mode.encode()
    attributes["signed"].i = 1
    node.input[0] = "c"
    plain = floats.plain(other, "kept")
    plain.graph.output.append(onnx.ValueInfoProto(name="x"))
    plain.graph.output.append(onnx.ValueInfoProto(name="c"))
    session = onnxruntime.InferenceSession(plain.SerializeToString())
    images = np.random.default_rng(1).integers(0, 8, (4, 1, 6, 6)).astype(np.float32)
    got, sums = session.run(["x", "c"], {"images": images})
    want = 0.25 * ROUNDING[mode](np.clip(sums / np.float32(0.25), -8, 7))
    np.testing.assert_array_equal(got, want)


def test_pieces_are_the_same_bytes_each_time(model):
    found, _ = model
    cuts = [[p.model for p in floats.pieces(floats.plain(found, "kept"))] for _ in range(2)]
    assert cuts[0] == cuts[1]
    assert len(cuts[0]) == 2


def test_pieces_from_files_need_no_onnx(model, accelerator, tmp_path, monkeypatch):
    (tmp_path / "onnx").mkdir()
    for quantizers in processor.MEANING:
        for i, piece in enumerate(floats.pieces(floats.plain(model[0], quantizers))):
            (tmp_path / "onnx" / f"{quantizers}-{i}.onnx").write_bytes(piece.model)
    monkeypatch.setattr(floats, "read", None)
    found, why = processor.engines(accelerator, tmp_path, scales=(1.0, 1.0), threads=1)
    assert why == ""
    assert [(e.name, e.graph) for e in found[1:]] == [
        ("onnxruntime", meaning) for meaning in processor.MEANING.values()
    ]
    images = np.random.default_rng(2).integers(0, 8, (4, 6, 6, 1), dtype=np.uint8)
    classes, exits = found[1].classify(images, [registers.NEVER])
    assert exits.tolist() == [1] * 4
    want = by_hand(model[1], images.astype(np.float64))[1].argmax(axis=1)
    np.testing.assert_array_equal(classes, want)


def test_operators_that_onnxruntime_does_not_have(model):
    from onnx import ModelProto

    other = ModelProto()
    other.CopyFrom(model[0])
    other.graph.node[0].op_type = "Trunc"
    with pytest.raises(InputError, match=r"operator Trunc of .* must be plain ONNX or a quantizer"):
        floats.plain(other, "kept")
    other.CopyFrom(model[0])
    other.graph.node[5].input[1] = "r"
    with pytest.raises(InputError, match=r"quantizer .* must have a constant scale, .* computes"):
        floats.plain(other, "kept")


def test_two_tensors_behind_an_exit_are_refused(model):
    from onnx import ModelProto

    other = ModelProto()
    other.CopyFrom(model[0])
    node = next(n for n in other.graph.node if n.op_type == "Neg")
    node.op_type = "Add"
    node.input.append("r")
    with pytest.raises(InputError, match=r"must go on behind exit 0 with one tensor, got 2: "):
        floats.pieces(floats.plain(other, "kept"))


def test_without_onnxruntime_the_reference_is_left(accelerator, tmp_path, monkeypatch):
    found, why = processor.engines(accelerator, tmp_path)
    assert [e.name for e in found] == ["numpy"]
    assert why == "there is no model.onnx here"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found, why = processor.engines(accelerator, tmp_path)
    assert why == "onnxruntime is not installed here"
