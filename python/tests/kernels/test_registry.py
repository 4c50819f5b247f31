"""The registry of kernel kinds: what there is, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from exeunt import samples
from exeunt.errors import InputError
from exeunt.graph import Node, from_json, to_json
from exeunt.kernels import registry
from exeunt.kernels.pool import Pool


def test_every_kind_is_found_without_being_named():
    code = (
        "import sys; from exeunt.kernels import registry; print(*registry.kinds());"
        "sys.exit(any(m in sys.modules for m in ('torch', 'finn', 'qonnx', 'pydantic')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "add", "concat", "duplicate", "logic", "mvu", "pool", "reduce", "sparse", "swg",
        "threshold", "width",
    ]  # fmt: skip


def test_a_node_leads_to_its_kind_and_backend():
    mvus = [n for c in samples.accelerator(sized=False).chains for n in c.nodes if n.kind == "mvu"]
    assert all(registry.of(n) is registry.kinds()["mvu"] for n in mvus)
    finn = dataclasses.replace(mvus[0], backend="finn")
    assert registry.resume(mvus[0]) is registry.of(finn).resume
    assert registry.resume(finn) is not registry.of(finn).resume


def test_a_graph_survives_json():
    for accelerator in (samples.accelerator(sized=False), samples.pooling()):
        data = json.loads(json.dumps(to_json(accelerator)))
        again = from_json(data, accelerator.arrays, registry.nodes())
        assert again.chains == accelerator.chains


def test_a_kind_that_is_not_installed_is_one_sentence():
    data = to_json(samples.pooling())
    data["heads"][1]["nodes"][0]["kind"] = "median"
    with pytest.raises(InputError) as error:
        from_json(data, {}, registry.nodes())
    assert str(error.value) == (
        "the kernel kind of head1_reduce0 must be one of add, concat, duplicate, logic, mvu, pool, "
        "reduce, sparse, swg, threshold, width, got median: use the Exeunt that compiled it, or "
        "compile again"
    )


def test_two_kinds_of_one_name():
    @dataclasses.dataclass(frozen=True)
    class Another(Node):
        kind = "pool"

    found = registry.kinds()["pool"]
    with pytest.raises(ValueError, match=r"got pool from .* and exeunt\.kernels\.pool: rename one"):
        registry.register(dataclasses.replace(found, node=Another))
    assert registry.kinds()["pool"].node is Pool
