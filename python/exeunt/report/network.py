"""The compiled network in report.html: its picture, its kernels, FINN's estimates of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exeunt.graph import node_from_json
from exeunt.kernels import registry
from exeunt.report import figures
from exeunt.report.page import KINDS, Part, counted, number, percent, read_json, section, table

SHOWN_BLOCKS = 14
INDENT = "\u2003"


def network(report: Mapping[str, Any], manifest: Mapping[str, Any]) -> Part | None:
    """Stages and exits as a picture: shapes, folding, and where the cycles go."""
    graph = manifest.get("graph") or {}
    pairs = list(zip(graph.get("segments", []), graph.get("heads", []), strict=False))
    if not pairs:
        return None
    rows = report.get("exits", [])
    reached = [_exit(rows, i).get("reach", 1.0) for i in range(len(pairs))]
    busiest = max(
        (cycles(n) * reach for pair, reach in zip(pairs, reached, strict=True) for c in pair
         for n in c["nodes"]), default=1.0,
    )  # fmt: skip
    stages = [
        {
            "title": f"stage {i}",
            "reach": f"reached by {percent(reached[i])} of the images",
            "colour": figures.colour(i),
            "chains": [
                {"name": name, "kernels": _kernels(chain, reached[i], busiest)}
                for name, chain in zip(("segment", "head"), pair, strict=True)
            ],
            "exit": f"exit {i}",
            "leaves": f"{percent(rate)} leave here" if (rate := _exit(rows, i).get("rate")) else "",
        }
        for i, pair in enumerate(pairs)
    ]
    return section(
        "network",
        "The network",
        {
            "stages": stages,
            "caption": "Every box is one kernel: its kind, what it gives out per frame (height x "
            "width x channels), SIMD and PE (elements in and out per cycle), and its cycles per "
            "frame at full rate; where streams part or meet, also which kernels it takes from. The "
            "bar is the load: cycles per frame times the share of the "
            "images that get there, against the busiest kernel. Where it is full, the pace is set.",
        },
    )


def _exit(rows: list[Mapping[str, Any]], index: int) -> Mapping[str, Any]:
    return rows[index] if index < len(rows) else {}


def _kernels(chain: Mapping[str, Any], reach: float, busiest: float) -> list[dict[str, Any]]:
    """The kernels of a segment or head, with those that feed one where it is not the one before."""
    given = [node["kind"] + node["name"].rpartition(node["kind"])[2] for node in chain["nodes"]]
    writers = [k for k, count in enumerate(_outputs(chain)) for _ in range(count)]
    found = []
    for k, node in enumerate(chain["nodes"]):
        takes = [writers[s] if s >= 0 else s for s in _reads(chain, k)]
        names = [given[i] if i >= 0 else "what enters" for i in takes]
        told = "" if takes == [k - 1] else f"from {' and '.join(names)}"
        label = given[k] if _joins(chain) else node["kind"]
        found.append({**_kernel(node, reach, busiest), "label": label, "from": told})
    return found


def _outputs(chain: Mapping[str, Any]) -> list[int]:
    """How many streams each kernel gives."""
    return [len(node_from_json(n, registry.nodes()).outputs) for n in chain["nodes"]]


def _reads(chain: Mapping[str, Any], index: int) -> list[int]:
    """Numbers of the streams that a kernel takes."""
    reads = chain.get("reads")
    return list(reads[index]) if reads else [index - 1]


def _joins(chain: Mapping[str, Any]) -> bool:
    return any(len(sources) > 1 for sources in chain.get("reads", ()))


def _fifos(chain: Mapping[str, Any], index: int) -> str:
    """Depths of the FIFOs behind a kernel."""
    outputs = _outputs(chain)
    first = sum(outputs[:index])
    depths = chain["fifos"][first : first + outputs[index]]
    return ", ".join(map(str, depths)) or "-"


def _kernel(node: Mapping[str, Any], reach: float, busiest: float) -> dict[str, Any]:
    spent = cycles(node)
    return {
        "name": node["name"],
        "kind": node["kind"],
        "shape": "\u00d7".join(map(str, node["output"]["shape"])),
        "lanes": f"SIMD {node['input']['lanes']}, PE {node['output']['lanes']}",
        "cycles": number(spent),
        "load": round(100 * spent * reach / max(busiest, 1e-9), 1),
    }


def chains(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Segments and heads in the order of the pipeline, as the manifest has them."""
    graph = manifest.get("graph") or {}
    for pair in zip(graph.get("segments", []), graph.get("heads", []), strict=False):
        yield from pair


def blocks(report: Mapping[str, Any], manifest: Mapping[str, Any]) -> Part | None:
    """Every kernel with its folding, and what Yosys counts for it."""
    rows = []
    for chain in chains(manifest):
        for i, node in enumerate(chain["nodes"]):
            dtype = node["output"]["dtype"]
            rows.append(
                (
                    node["name"],
                    node["kind"],
                    "\u00d7".join(map(str, node["output"]["shape"])),
                    node["input"]["lanes"],
                    node["output"]["lanes"],
                    f"{'signed' if dtype['signed'] else 'unsigned'} {dtype['bits']}",
                    number(cycles(node)),
                    _fifos(chain, i),
                )
            )
    if not rows:
        return None
    head = ("kernel", "kind", "output", "SIMD", "PE", "output bits", "cycles", "FIFO")
    parts: list[Part | None] = [table(head, rows, title="Kernels")]
    for entry in counted(report)[:1]:
        top = [(b["name"], b["lut"]) for b in entry.get("blocks", []) if b["level"] == 1]
        top = sorted(top, key=lambda pair: (-pair[1], pair[0]))[:SHOWN_BLOCKS]
        caption = f"LUT of the {len(top)} largest blocks, {entry['target']}."
        if top:
            parts.append({"svg": figures.resources(top, "LUT"), "caption": caption})
    parts += [_utilisation(entry) for entry in counted(report)]
    return section(
        "blocks",
        "Blocks",
        *parts,
        text="Cycles are those of one frame at full rate; the slowest kernel sets the pace.",
    )


def cycles(node: Mapping[str, Any]) -> int:
    """Cycles of one frame through a kernel at full rate."""
    found = node_from_json(node, registry.nodes())
    return registry.of(found).effort(found).period


def _utilisation(entry: Mapping[str, Any]) -> Part:
    head = ("block", "module", *KINDS.values())
    rows = [
        (
            INDENT * (block["level"] - 1) + block["name"],
            block["module"],
            *(number(block.get(kind)) for kind in KINDS),
        )
        for block in entry.get("blocks", [])
    ]
    total = entry.get("resources", {})
    rows.append(("all", "", *(number(total.get(kind)) for kind in KINDS)))
    title = f"Resources, {entry.get('target', '?')} ({entry.get('tool', 'Yosys')})"
    return {"fold": title, "parts": [table(head, rows, total=True)]}


def estimates(run_dir: Path, manifest: Mapping[str, Any]) -> Part | None:
    """FINN's own reports, as they are, under one fold."""
    folder = run_dir / "report"
    parts: list[Part | None] = []
    rows = []
    for path in sorted(folder.rglob("estimate_network_performance.json")):
        found = read_json(path)
        if isinstance(found, Mapping):
            name = path.parent.name if path.parent != folder else "all"
            keys = ("max_cycles", "max_cycles_node_name", "critical_path_cycles")
            slowest = [found.get(key, "-") for key in keys]
            rows.append((name, *(number(v) if isinstance(v, int) else v for v in slowest)))
    if rows:
        parts.append(table(("part", "cycles per frame", "slowest node", "critical path"), rows))
    made = [
        (node["name"], ", ".join(node["finn"]))
        for chain in chains(manifest)
        for node in chain["nodes"]
        if node.get("finn")
    ]
    if made:
        inner = table(("kernel", "FINN's nodes"), made)
        parts.append({"fold": "Which of FINN's nodes each kernel implements", "parts": [inner]})
    files: list[Part] = []
    for path in sorted(folder.rglob("*.json")) if folder.is_dir() else []:
        data = read_json(path)
        if isinstance(data, Mapping):
            text = json.dumps(data, indent=2, sort_keys=True)
            name = path.relative_to(run_dir).as_posix()
            files.append({"fold": name, "parts": [{"raw": text[:20000]}]})
    if files:
        parts.append({"fold": f"FINN's {len(files)} files", "parts": files})
    if not parts:
        return None
    return section(
        "finn", "FINN's estimates", *parts, text="Estimates, not measurements, of FINN's kernels."
    )
