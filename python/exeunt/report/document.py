"""report.html: the list of its sections, and the page that they make."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from exeunt.report import (
    attach,
    bench,
    beside,
    bitstreams,
    bursts,
    compared,
    compression,
    criteria,
    energy,
    equal,
    explanation,
    gallery,
    hold,
    kernels,
    maps,
    network,
    optimised,
    overview,
    rules,
    search,
)
from exeunt.report.page import Part, read_json
from exeunt.report.store import HTML, read, write_text


def sections(run_dir: Path, report: Mapping[str, Any]) -> list[Part]:
    """The sections that there is something to say in, in the order of the page."""
    manifest = read_json(run_dir / "manifest.json")
    manifest = manifest if isinstance(manifest, Mapping) else {}
    found = [
        overview.exits(report),
        network.network(report, manifest),
        gallery.gallery(run_dir),
        overview.cost(run_dir),
        criteria.criteria(report),
        overview.training(run_dir),
        compression.compression(run_dir, report),
        attach.attach(report),
        search.search(report),
        rules.rules(run_dir, report),
        compared.compared(report),
        explanation.explanation(run_dir),
        maps.maps(run_dir, report),
        overview.timeline(run_dir),
        optimised.optimised(report),
        kernels.kernels(report),
        beside.beside(report),
        bursts.latency(report),
        bursts.bursts(report),
        hold.hold(report),
        equal.equal(report),
        network.blocks(report, manifest),
        energy.energy(report),
        bitstreams.bitstreams(report),
        *bench.bench(run_dir, manifest),
        bench.packages(report),
        network.estimates(run_dir, manifest),
        overview.summary(report, manifest),
        overview.config(run_dir),
        overview.notes(report),
    ]
    return [s for s in found if s]


def write(run_dir: Path) -> Path:
    """Make `run_dir`/report.html, one self-contained page, of what is there; returns its path.

    The same files give the same page.

    Raises:
        InputError: report.json is not a report.
    """
    run_dir = Path(run_dir)
    report = read(run_dir)
    page = _page(
        name=report.get("name") or run_dir.name,
        lead=overview.lead(report),
        tiles=[*overview.tiles(report), *equal.tiles(report)],
        sections=sections(run_dir, report),
    )
    write_text(run_dir / HTML, page)
    return run_dir / HTML


def rendered(name: str, lead: str, *parts: Part) -> str:
    """A page of these sections alone."""
    return _page(name=name, lead=lead, tiles=[], sections=parts)


def _page(**values: Any) -> str:
    import jinja2

    source = resources.files("exeunt.report").joinpath("templates/report.html.j2")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source.read_text(encoding="utf-8")).render(**values) + "\n"
