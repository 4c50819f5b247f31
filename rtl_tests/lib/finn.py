"""Corners and builds of FINN's kernels: sources are made at build time, not kept in hls/rtl."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.bench import BUILD, Corner, run_bench, stream_ports

from exeunt.graph import IntArray, Node
from exeunt.hls.back.kernels import registry


def finn_corner(node: Node, arrays: Mapping[str, IntArray] | None = None) -> Corner:
    """The corner of a kernel kind, on FINN's RTL."""
    node = dataclasses.replace(node, backend="finn")
    backend = registry.of(node)
    arrays = {} if arrays is None else dict(arrays)
    return Corner(
        name=node.name,
        module=backend.module(node),
        parameters=backend.parameters(node),
        ports=stream_ports(node.input.width, node.output.width),
        memories=backend.memories(node, arrays),
        node=node,
        arrays=arrays,
    )


def finn_sources(corners: Sequence[Corner], folder: Path) -> list[Path]:
    """The corners' SystemVerilog, written into `folder`."""
    files: dict[str, str] = {}
    for corner in corners:
        assert corner.node is not None, f"corner {corner.name} carries no node"
        files |= registry.of(corner.node).sources(corner.node, corner.arrays)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="ascii")
    return [folder / name for name in files]


def check_finn_block(
    block: str, corners: Sequence[Corner], *, frames: int = 3, leads: bool = False, seed: int = 1
) -> None:
    """What `lib.bench.check_stream_block` does, for FINN's kernels; cycles exact under stalls."""
    __tracebackhide__ = True
    options = {"frames": frames, "stalled_slack": 0, "leads": leads, "seed": seed}
    sources = finn_sources(corners, BUILD / f"{block}_sources")
    run_bench(block, corners, "lib.stream_block", streams=True, sources=sources, data=options)
