"""QONNX to accelerator on tiny networks: the integers must be those of the QONNX network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt import cost
from exeunt.config import tree as configuration
from exeunt.errors import CheckFailed, InputError
from exeunt.graph import Node, from_json, to_json
from exeunt.hls import baseline
from exeunt.hls import compile as compiler
from exeunt.hls.front import finn_env
from exeunt.kernels import registry
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.reduce import Reduce
from exeunt.kernels.swg import Swg
from exeunt.kernels.threshold import Threshold

pytestmark = pytest.mark.usefixtures("finn")


def settings(shape: tuple[int, int, int], classes: int, **compile: Any) -> configuration.Config:
    lines = "\n".join(f"{k} = {json.dumps(v)}" for k, v in compile.items())
    return configuration.parse(
        f'name = "tiny"\n[data]\ndataset = "digits"\n[model]\nsource = "qonnx:x.onnx"\n'
        f"input = {list(shape)}\nclasses = {classes}\n[compile]\n{lines}\n"
    )


def logits(path: Path, images: np.ndarray) -> list[np.ndarray]:
    """What the QONNX file computes, exit by exit."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    with finn_env.quiet():
        model = ModelWrapper(str(path)).transform(InferShapes())
        runs = [
            execute_onnx(model, {"image": x.transpose(2, 0, 1)[None].astype(np.float32)})
            for x in images
        ]
    return [np.concatenate([r[o.name] for r in runs]) for o in model.graph.output]


def plain(b: Any) -> Any:
    x = b.pool(b.conv("image", 4, pad=1))
    b.exit(b.linear(x, 5))
    x = b.conv(x, 6)
    b.exit(b.linear(x, 5))
    return b


def averages(b: Any) -> Any:
    """Average pools: in a segment, requantized, over non-square windows, global, by mean."""
    x = b.pool(b.conv("image", 4, pad=1), "AveragePool")
    b.exit(b.linear(b.pool(x, "AveragePool", size=(1, 2)), 5))
    x = b.quant(b.pool(b.conv(x, 3, 1), "AveragePool", size=2), 3, scale=0.41)
    x = b.conv(x, 6, 1, bits=3)
    b.exit(b.linear(b.mean(x), 5))
    x = b.conv(x, 4, (2, 1), pad=(1, 0, 0, 0))
    x = b.linear(b.quant(b.mean(x, 0), 4, scale=0.17), 7, act=True, bias=True)
    b.exit(b.linear(x, 5))
    return b


def overlaps(b: Any) -> Any:
    """Padded and overlapping pools, max and average; a pool in front of its quantizer."""
    x = b.conv("image", 4, 3, pad=1, act=False)
    x = b.pool(x, size=3, stride=2, pad=1)
    x = b.quant(b.node("Relu", x, shape=b.shapes[x]))
    b.variance[x] = 1.0
    b.exit(b.linear(x, 5))
    x = b.pool(b.conv(x, 4, bias=True, norm=False), size=2, stride=1)
    b.exit(b.linear(b.pool(x, "AveragePool", size=2, stride=1, pad=1, count_include_pad=1), 5))
    return b


def signs(b: Any) -> Any:
    """Signed activations, 2 to 8 bits, strides, non-square kernels, a quantized flat map."""
    x = b.conv("image", 4, (3, 1), pad=(1, 0, 1, 0), stride=2, signed=True, bits=8, weight_bits=8)
    b.exit(b.linear(b.quant(b.flatten(x), 3, scale=0.31, signed=True), 5))
    x = b.pool(b.conv(x, 6, pad=1, signed=True, bits=3))
    x = b.conv(x, 6, 1, bits=2, weight_bits=2)
    b.exit(b.linear(b.conv(x, 3, 1), 5, weight_bits=8))
    return b


def flat(b: Any) -> Any:
    """Linear layers alone, behind an image quantizer that changes nothing."""
    x = b.node("Div", "image", b.constant(255.0), shape=b.shapes["image"])
    b.variance[x] = 1 / 3
    x = b.linear(b.flatten(b.quant(x, 8, scale=1 / 255)), 12, act=True)
    b.exit(b.linear(x, 5))
    x = b.linear(b.linear(x, 9, act=True), 6, act=True, bias=True, per_channel=True)
    b.exit(b.linear(x, 5))
    return b


# image shape and a seed with which every exit's answers vary
NETWORKS: dict[Callable[[Any], Any], tuple[tuple[int, int, int], int]] = {
    plain: ((8, 6, 1), 0),
    averages: ((8, 8, 2), 1),
    overlaps: ((9, 8, 1), 0),
    signs: ((9, 6, 3), 2),
    flat: ((3, 4, 2), 0),
}


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_the_integers_are_those_of_qonnx(
    network: Callable[[Any], Any], builder: type, tmp_path: Path
) -> None:
    shape, seed = NETWORKS[network]
    path = network(builder(shape, seed)).save(tmp_path / "model.onnx")
    accelerator = compiler.compile_network(path, config=settings(shape, 5, target_cycles=90))
    darker = np.array([1, 2, 5, 20]).reshape(4, 1, 1, 1)
    images = (np.random.default_rng(1).integers(0, 256, (4, *shape)) // darker).astype(np.uint8)
    expected = logits(path, images)
    from exeunt.reference import network as reference

    got = reference.run(accelerator, images).logits
    for i, scale in enumerate(accelerator.logit_scales):
        exact = expected[i] / scale
        assert np.abs(exact - np.rint(exact)).max() < 0.01, "logits off the grid"
        assert (got[i] == np.rint(exact)).all(), f"exit {i}: {got[i]} expected {exact}"
        assert np.ptp(got[i], axis=0).any(), "the test network answers always the same"
    check_graph(accelerator)


def check_graph(accelerator: Any) -> None:
    names: set[str] = set()
    for chain in accelerator.chains:
        stream = chain.input
        for node in chain.nodes:
            assert node.name not in names
            names.add(node.name)
            assert stream.carries(node.input), node
            assert node.finn, node
            stream = node.output
            check_node(node, accelerator.of(node))
        assert len(chain.fifos) == len(chain.nodes)
    for i, head in enumerate(accelerator.heads):
        assert head.input == accelerator.segments[i].output
        if i:
            assert accelerator.segments[i].input == accelerator.segments[i - 1].output
    again = from_json(
        json.loads(json.dumps(to_json(accelerator))), accelerator.arrays, registry.nodes()
    )
    assert again == accelerator


def check_node(node: Node, arrays: dict[str, np.ndarray]) -> None:
    if isinstance(node, Mvu):
        weights = arrays["weights"]
        assert weights.shape == (node.output.shape[2], node.input.shape[2])
        assert abs(weights).max() <= 1 << (node.weight_bits - 1)
        low = (weights * np.where(weights > 0, node.input.dtype.min, node.input.dtype.max)).sum(1)
        high = (weights * np.where(weights > 0, node.input.dtype.max, node.input.dtype.min)).sum(1)
        needed = [low.min(), high.max()]
        if node.levels:
            needed += [arrays["thresholds"].min(), arrays["thresholds"].max()]
        assert node.accumulator.min <= min(needed)
        assert max(needed) <= node.accumulator.max
        halved = 1 << (node.accumulator.bits - 2)
        assert min(needed) < -halved or max(needed) >= halved or node.accumulator.bits == 2
        assert node.signs == (abs(weights).max() <= 1)
        assert (node.weight_bits == 1) == (node.signs and bool(weights.all()))
        assert (high - low).max() < 1 << node.accumulator.bits  # the span of a row fits
    if isinstance(node, Mvu | Threshold) and node.levels:
        thresholds = arrays["thresholds"]
        assert thresholds.shape == (node.output.shape[2], node.levels)
        assert (np.diff(thresholds, axis=1) >= 0).all()
        assert node.output.dtype.min <= node.bias
        assert node.bias + node.levels <= node.output.dtype.max


def test_eight_exits_and_overlapping_windows_have_their_kernels(
    builder: type, tmp_path: Path
) -> None:
    b, x = builder((5, 5, 1)), "image"
    for _ in range(8):
        x = b.conv(x, 2, pad=1)
        b.exit(b.linear(b.pool(x, size=3, stride=2), 3))
    path = b.save(tmp_path / "model.onnx")
    accelerator = compiler.compile_network(path, config=settings((5, 5, 1), 3))
    assert len(accelerator.heads) == 8
    kinds = [n.kind for n in accelerator.heads[0].nodes if n.kind != "width"]
    assert kinds == [Swg.kind, Reduce.kind, Mvu.kind]


@pytest.fixture(scope="module")
def network(builder: type, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = plain(builder((8, 6, 1))).save(tmp_path_factory.mktemp("plain") / "model.onnx")
    return compiler.read_network(path, config=settings((8, 6, 1), 5))


def test_later_parts_fold_for_fewer_frames(network: Any) -> None:
    config = settings((8, 6, 1), 5, target_cycles=100, headroom=1.5)
    rare = compiler.build(network, config=config, reach=[1.0, 0.1])
    often = compiler.build(network, config=config, reach=[1.0, 0.9])
    assert rare.foldings["seg1"].target == 666
    assert often.foldings["seg1"].target == 100
    assert rare.multipliers < often.multipliers
    assert rare.foldings["seg0"] == often.foldings["seg0"]


def test_targets_stop_somewhere() -> None:
    assert compiler.targets(3, target=10, headroom=1.0, reach=[1.0, 0.5, 0.0]) == [10, 20, 640]
    assert compiler.targets(2, target=10, headroom=1.5, reach=None) == [10, 10]
    with pytest.raises(InputError) as error:
        compiler.targets(3, target=10, headroom=1.0, reach=[1.0])
    assert str(error.value) == (
        "reach must have one fraction for each of 3 exits but has 1; calibrate again"
    )


def test_the_baseline_spends_the_same_multipliers(network: Any) -> None:
    for cycles in (30, 100, 1000):
        compiled = compiler.build(network, config=settings((8, 6, 1), 5, target_cycles=cycles))
        base = baseline.baseline(network, name="base", multipliers=compiled.multipliers)
        assert base.multipliers <= compiled.multipliers
        assert [c.name for c in base.accelerator.chains] == ["seg0", "head0"]
        period = max(f.period for f in base.foldings.values())
        tighter = compiler.assemble(
            "tighter",
            [network.layers[0] + network.layers[2]],
            [network.layers[3]],
            scales=[1.0],
            cycles=[int(period * 0.95)],
        )
        faster = max(f.period for f in tighter.foldings.values()) < period
        assert not faster or tighter.multipliers > compiled.multipliers


@pytest.mark.parametrize("lut", [900, 2500, 6000])
def test_the_ladder_stands_around_the_lut(network: Any, lut: int) -> None:
    rungs = baseline.ladder(network, name="base", lut=lut)
    sizes = [cost.network(rung.accelerator, dsp=False) for rung in rungs]
    luts = [size.lut + size.control for size in sizes]
    cycles = [max(f.period for f in rung.foldings.values()) for rung in rungs]
    assert len(rungs) > 1
    assert luts == sorted(set(luts))  # a faster one has more, or the slower one were of no use
    assert cycles == sorted(set(cycles), reverse=True)
    assert sum(x <= lut for x in luts) <= baseline.RUNGS
    assert sum(x > lut for x in luts) <= baseline.RUNGS
    # nothing that fits between two rungs is left out
    for target in range(cycles[-1], cycles[0] + 1):
        found = compiler.assemble(
            "other",
            [network.layers[0] + network.layers[2]],
            [network.layers[3]],
            scales=[1.0],
            cycles=[target],
        )
        size = cost.network(found.accelerator, dsp=False)
        period = max(f.period for f in found.foldings.values())
        beaten = [y for x, y in zip(luts, cycles, strict=True) if x <= size.lut + size.control]
        assert min(beaten, default=period) <= period
    assert all([c.name for c in rung.accelerator.chains] == ["seg0", "head0"] for rung in rungs)


def test_a_finn_folding_file_is_followed_and_written(network: Any, tmp_path: Path) -> None:
    from exeunt.hls.back import reports

    config = settings((8, 6, 1), 5, target_cycles=200)
    compiled = compiler.build(network, config=config)
    with finn_env.quiet():
        reports.write(network, compiled.foldings, tmp_path, clock_mhz=100.0)
    written = json.loads((tmp_path / "auto_folding_config.json").read_text())
    for part in ("seg0", "head0", "seg1", "head1"):
        performance = json.loads(
            (tmp_path / part / "estimate_network_performance.json").read_text()
        )
        assert performance["max_cycles"] == compiled.foldings[part].period
        assert performance["estimated_throughput_fps"] == 1e8 / performance["max_cycles"]
        for name in (
            "op_and_param_counts",
            "estimate_layer_cycles",
            "estimate_layer_resources",
            "estimate_layer_config_alternatives",
        ):
            assert json.loads((tmp_path / part / f"{name}.json").read_text())
    written["seg0_MVAU_rtl_0"] |= {"PE": 4, "SIMD": 9}
    chosen = tmp_path / "folding.json"
    chosen.write_text(json.dumps(written))
    again = compiler.build(
        network, config=settings((8, 6, 1), 5, target_cycles=200, folding=str(chosen))
    )
    mvu = next(n for n in again.accelerator.segments[0].nodes if isinstance(n, Mvu))
    assert (mvu.output.lanes, mvu.input.lanes) == (4, 9)
    assert again.foldings["seg1"].folds == compiled.foldings["seg1"].folds


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            None,
            "the folding file {path} cannot be read (No such file or directory); give another path",
        ),
        (
            "{",
            "the folding file {path} must be JSON but is not (Expecting property name enclosed "
            "in double quotes: line 1 column 2 (char 1)); start from "
            "report/auto_folding_config.json",
        ),
        (
            "[1]",
            "the folding file {path} must map FINN node names to tables of attributes; "
            "start from report/auto_folding_config.json",
        ),
    ],
)
def test_a_folding_file_that_is_none(content: str | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "folding.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as error:
        compiler.read_folding(path)
    assert str(error.value) == sentence.format(path=path)


def test_specialize_layers_sees_our_kernels_only_while_registered(network: Any) -> None:
    from finn.custom_op.fpgadataflow.rtl import custom_op as variants
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.custom_op.registry import getCustomOp

    from exeunt.hls.front import register

    before = dict(variants)
    assert "Pool_rtl" not in before
    node = network.parts[0].model.graph.node[-1]
    with register.registered():
        assert variants["MVAU_rtl"] is register.VARIANTS["MVAU_rtl"]
        assert isinstance(getCustomOp(node), register.VARIANTS["Pool_rtl"])
        assert SpecializeLayers  # what consults the dictionary
    assert variants == before
    assert [n.op_type for n in network.parts[0].model.graph.node] == [
        "FMPadding_rtl",
        "ConvolutionInputGenerator_rtl",
        "MVAU_rtl",
        "ConvolutionInputGenerator_rtl",
        "Pool_rtl",
    ]


def test_finns_own_folding_works_on_our_kernels(network: Any) -> None:
    from finn.transformation.fpgadataflow.set_folding import SetFolding
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.custom_op.registry import getCustomOp

    from exeunt.hls.front import register

    with finn_env.quiet(), register.registered():
        model = ModelWrapper(network.parts[2].model.model, make_deepcopy=True)
        model = model.transform(SetFolding(60))
        cycles = {n.name: getCustomOp(n).get_exp_cycles() for n in model.graph.node}
    assert list(cycles) == ["ConvolutionInputGenerator_rtl_0", "MVAU_rtl_0"]
    assert max(cycles.values()) <= 60


def test_files_of_the_registered_variants_exist() -> None:
    from exeunt.hls.front import register

    for variant in register.VARIANTS.values():
        for module in variant.modules:
            assert (Path(register.__file__).parents[1] / "rtl" / f"{module}.sv").is_file(), module


@pytest.mark.parametrize("cycles", [60, 400])
def test_finns_kernels_where_they_exist(network: Any, cycles: int) -> None:
    config = settings((8, 6, 1), 5, target_cycles=cycles, kernels="finn")
    accelerator = compiler.build(network, config=config).accelerator  # values are checked in it
    check_graph(accelerator)
    for chain in accelerator.chains:
        for node in chain.nodes:
            assert node.backend == ("finn" if backend(node) else "exeunt"), node
            assert not isinstance(node, Mvu) or node.levels == 0
    assert any(isinstance(n, Threshold) and n.backend == "finn" for n in nodes(accelerator))
    assert any(isinstance(n, Mvu) and n.backend == "finn" for n in nodes(accelerator))


def nodes(accelerator: Any) -> list[Node]:
    return [node for chain in accelerator.chains for node in chain.nodes]


def backend(node: Node) -> bool:
    from exeunt.hls.back.kernels import registry as backends

    return backends.unsupported(node, "finn") is None


def test_a_pass_that_changes_values_is_named(
    builder: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exeunt.hls.front import frontend

    real = frontend.passes

    class Damage(frontend.Transformation):
        def apply(self, model: Any) -> tuple[Any, bool]:
            node = next(n for n in model.graph.node if n.op_type == "MVAU")
            model.set_initializer(node.input[1], -model.get_initializer(node.input[1]))
            return model, False

    def damaged() -> list[Any]:
        steps = real()
        return [*steps[:-1], (steps[-1][0], [*steps[-1][1], Damage()])]

    monkeypatch.setattr(frontend, "passes", damaged)
    path = plain(builder((8, 6, 1))).save(tmp_path / "model.onnx")
    with pytest.raises(CheckFailed) as error:
        compiler.compile_network(path, config=settings((8, 6, 1), 5))
    assert str(error.value).startswith(
        "pass MinimizeWidths changed the values of seg0: frame 0 at (0, 0, "
    )
    assert str(error.value).endswith("; please report the network")


def test_lowering_that_changes_values_is_named(network: Any) -> None:
    compiled = compiler.build(network, config=settings((8, 6, 1), 5))
    name = next(k for k in compiled.accelerator.arrays if k == "head1_mvu0.weights")
    arrays = dict(compiled.accelerator.arrays)
    arrays[name] = arrays[name] + np.eye(*arrays[name].shape, dtype=np.int64)
    damaged = from_json(to_json(compiled.accelerator), arrays, registry.nodes())
    with pytest.raises(CheckFailed) as error:
        compiler.check_values(damaged, network)
    assert str(error.value).startswith("pass lower changed the values of head1: frame 0 at (")


def test_thresholds_of_one_and_zero(builder: type, through: Any, tmp_path: Path) -> None:
    """FINN takes thresholds from -1 up for bipolar ones, which have no zero."""
    b = builder((4, 4, 1))
    x = b.quant(b.conv("image", 4, 1, act=False), 4, signed=True, scale=0.25)
    x = b.node("Add", x, b.constant(0.25), shape=b.shapes[x])
    x = b.quant(x, 2, signed=True, narrow=1, scale=0.25, mode="FLOOR")
    b.variance[x] = 1.0
    b.exit(b.linear(x, 3))
    path = b.save(tmp_path / "model.onnx")
    accelerator, _, _ = through.compiled(path, (4, 4, 1), frames=6, ties=True)
    assert any([-1, 0] in v.tolist() for v in accelerator.arrays.values() if v.ndim == 2)
