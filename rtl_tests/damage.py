"""Damaged QONNX files: each is taken, or refused with one sentence.

`damaged` changes a random file of `random_files` in one to three places: inputs, attributes,
constants, operators, shapes, outputs. `python rtl_tests/damage.py 500 --first 0` tries many, and
with `--compare` also whether QONNX and ONNX Runtime take what is taken here, and give the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import random_files
from onnx import helper, numpy_helper

from exeunt.errors import InputError
from exeunt.hls.front import limits
from exeunt.qonnx import file, meaning, operators

_INTEGERS = (-3, -1, 0, 1, 2, 3, 7, 100, 1 << 40)
_REALS = (0.0, -1.0, 0.3, 1e-40, 1e30, float("inf"), float("nan"))
_TEXTS = (b"", b"FLOOR", b"SAME_UPPER", b"reflect", b"\xff?")
_TYPES = (np.float16, np.float64, np.int64, np.uint8, np.bool_)


@dataclass(frozen=True)
class Outcome:
    """What became of a seed: "taken", "refused", "other" (than QONNX gives) or "error"."""

    seed: int
    verdict: str
    said: str
    done: tuple[str, ...]  # the damage

    @property
    def fault(self) -> bool:
        """Whether something is wrong."""
        return self.verdict not in ("taken", "refused")


class _Damage:
    def __init__(self, model: onnx.ModelProto, random: np.random.Generator) -> None:
        self.graph, self.model, self.random = model.graph, model, random

    def pick(self, values: Any) -> Any:
        return values[int(self.random.integers(len(values)))]

    def node(self) -> onnx.NodeProto:
        return self.pick(self.graph.node)

    def names(self) -> list[str]:
        """Every tensor, and one that is none."""
        made = [name for node in self.graph.node for name in node.output]
        return [*made, *(c.name for c in self.graph.initializer), "nothing"]

    # Each of these changes one place and says which ----------------------------------------------

    def input(self) -> str:
        node = self.node()
        if not node.input:
            return "nothing"
        k = int(self.random.integers(len(node.input)))
        how = self.pick(("less", "more", "none", "other", "other", "swap"))
        if how == "less":
            del node.input[k]
        elif how == "more":
            node.input.append(self.pick(self.names()))
        elif how == "swap":
            node.input[0], node.input[k] = node.input[k], node.input[0]
        else:
            node.input[k] = "" if how == "none" else self.pick(self.names())
        return f"{how} input {k} of {node.name}"

    def attribute(self) -> str:
        node = self.pick([n for n in self.graph.node if n.attribute] or self.graph.node)
        if not node.attribute or self.random.random() < 0.05:
            key = self.pick(("axis", "alpha", "group", "keepdims", "ceil_mode", "made_up"))
            node.attribute.append(helper.make_attribute(key, self.pick(_INTEGERS)))
            return f"{key} for {node.name}"
        attribute = self.pick(node.attribute)
        key, value = attribute.name, helper.get_attribute_value(attribute)
        node.attribute.remove(attribute)
        if self.random.random() < 0.2:
            return f"no {key} of {node.name}"
        if isinstance(value, bytes):
            value = self.pick(_TEXTS)
        elif isinstance(value, float):
            value = float(self.pick(_REALS))
        elif isinstance(value, int):
            value = self.pick((*_INTEGERS, *_REALS[:1]))
        elif isinstance(value, onnx.TensorProto):
            value = self.tensor(value)
        else:
            value = self.pick((value[:-1], [*value, 1], value[::-1], self.changed(list(value))))
            if not value:
                return f"no {key} of {node.name}"
        node.attribute.append(helper.make_attribute(key, value))
        return f"{key} of {node.name}: {str(value)[:40]!r}"

    def changed(self, values: list[int]) -> list[int]:
        if values:
            values[int(self.random.integers(len(values)))] = self.pick(_INTEGERS)
        return values

    def constant(self) -> str:
        if not self.graph.initializer:
            return "nothing"
        made = self.pick(self.graph.initializer)
        made.CopyFrom(self.tensor(made))
        return f"the constant {made.name}"

    def tensor(self, made: onnx.TensorProto) -> onnx.TensorProto:
        value = np.array(numpy_helper.to_array(made))
        how = self.pick(("shape", "shape", "value", "value", "type", "text", "bytes"))
        if how == "text":
            return numpy_helper.from_array(np.array(["a"], object), made.name)
        if how == "bytes":
            result = numpy_helper.from_array(value, made.name)
            result.raw_data = result.raw_data[:-1]
            return result
        if how == "type":
            value = value.astype(self.pick(_TYPES))
        elif how == "value" and value.size:
            flat = value.reshape(-1)
            places = slice(None) if self.random.random() < 0.3 else int(
                self.random.integers(flat.size))  # fmt: skip
            flat[places] = np.asarray(
                self.pick(_REALS if value.dtype.kind == "f" else _INTEGERS[:-1])
            ).astype(value.dtype)
        else:
            axis = int(self.random.integers(value.ndim)) if value.ndim else 0
            value = self.pick((
                value.reshape(-1), value[None], value[..., None], value.reshape(-1)[:0],
                value.reshape(-1)[:1], np.concatenate([value[None]] * 2) if not value.ndim else
                np.concatenate([value, value], axis=axis), np.swapaxes(value, 0, axis)
                if value.ndim else value, value.take(range(value.shape[axis] - 1), axis)
                if value.ndim else value,
            ))  # fmt: skip
        return numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), made.name)

    def operator(self) -> str:
        node = self.node()
        before = node.op_type
        node.op_type = self.pick(sorted({*operators.NAMES, *operators.CONSTANT, "Loop", "Sin"}))
        if self.random.random() < 0.5:
            node.domain = self.pick(("", "qonnx.custom_op.general", "somebody"))
        return f"{before} {node.name} is {node.domain} {node.op_type}"

    def nodes(self) -> str:
        node = self.node()
        how = self.pick(("gone", "twice", "last", "no name"))
        if how == "gone":
            self.graph.node.remove(node)
        elif how == "twice":
            self.graph.node.append(node)
        elif how == "no name":
            node.name = ""
            del node.output[:]
        else:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            self.graph.node.remove(node)
            self.graph.node.append(copy)
        return f"{node.name} {how}"

    def ends(self) -> str:
        how = self.pick(("input", "input", "rank", "output", "output", "opset", "form"))
        if how in ("input", "rank"):
            dims = self.pick(self.graph.input).type.tensor_type.shape.dim
            if how == "rank" and dims:
                del dims[-1]
            elif dims:
                self.pick(dims).dim_value = self.pick(_INTEGERS)
        elif how == "output":
            output = self.pick(self.graph.output)
            output.name = self.pick([*self.names(), self.graph.input[0].name])
        elif how == "opset":
            self.pick(self.model.opset_import).version = self.pick((1, 7, 9, 11, 12, 13, 18, 99))
        else:
            self.model.ir_version = self.pick((1, 3, 8, 10, 99))
        return how


def damaged(model: onnx.ModelProto, seed: int) -> tuple[str, ...]:
    """Change a model in one to three places, by seed; what was done."""
    random = np.random.default_rng([11, seed])
    damage = _Damage(model, random)
    kinds: tuple[Callable[[], str], ...] = (
        damage.input, damage.input, damage.attribute, damage.attribute, damage.attribute,
        damage.constant, damage.constant, damage.constant, damage.operator, damage.nodes,
        damage.ends,
    )  # fmt: skip
    return tuple(damage.pick(kinds)() for _ in range(int(random.choice([1, 1, 1, 2, 3]))))


def attempt(seed: int, folder: Path, *, compared: bool = False) -> Outcome:
    """A damaged file: taken or refused."""
    case = random_files.Random(seed).save(folder)
    model = onnx.load(str(case.path))
    done = damaged(model, seed)
    case = replace(case, path=folder / "damaged.onnx")
    case.path.write_bytes(model.SerializeToString())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            graph = file.load(
                case.path, preprocess=case.preprocess, exits=case.exits, shape=case.shape
            )
            network = meaning.integers(graph)
            limits.parts(network)
            images = np.random.default_rng(seed).integers(0, 256, (2, *network.image.shape))
            logits = network.logits(images.astype(np.uint8))
        assert all(np.isfinite(x).all() for x in logits)
    except InputError as error:
        said = str(error)
        good = "\n" not in said and said.startswith(f"{case.path}: ") and error.exit_code == 2
        return Outcome(seed, "refused" if good else "error", said, done)
    except Exception:
        return Outcome(seed, "error", traceback.format_exc(), done)
    if compared:
        import against_qonnx

        try:
            different, _ = against_qonnx.compare(case, network, images.astype(np.uint8))
        except Exception as error:  # the other side may raise anything
            return Outcome(seed, "other", f"{type(error).__name__}: {str(error)[:300]}", done)
        if different:
            return Outcome(seed, "other", different, done)
    return Outcome(seed, "taken", f"{len(network.exits)} exits", done)


def main(arguments: list[str]) -> int:
    """Try seeds; 1 when one of them shows a fault."""
    parser = argparse.ArgumentParser(prog="damage.py", description=__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--compare", action="store_true", help="with QONNX's execution")
    parser.add_argument("--quiet", action="store_true", help="faults alone")
    asked = parser.parse_args(arguments)
    faults = 0
    for seed in range(asked.first, asked.first + asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            outcome = attempt(seed, Path(folder), compared=asked.compare)
        faults += outcome.fault
        if outcome.fault or not asked.quiet:
            print(f"seed {seed}: {outcome.verdict}: {outcome.said} {outcome.done}", flush=True)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
