"""`exeunt search`: from a config to networks that went through the RTL, and a page."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from exeunt.command.cli import cli
from exeunt.config import tree
from exeunt.config.explain import Hardware
from exeunt.errors import InputError
from exeunt.hls.compile import compile
from exeunt.optimise import Budget
from exeunt.quant.export import export
from exeunt.report import search as told
from exeunt.report import store
from exeunt.search import step
from exeunt.search.front import Point, spread
from exeunt.search.front import front as best
from exeunt.search.trial import calibrated
from exeunt.search.wish import wish

PAGE = "search/front.html"

TEXT = """
name = "s"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
weight_bits = 4
activation_bits = 4
[[model.stages]]
blocks = [{ conv = 4, kernel = 3, padding = 1, stride = 2 }]
[[model.stages]]
blocks = [{ conv = 8, kernel = 3, padding = 1 }, { pool = "max", size = 2 }]
[train]
epochs = 3
learning_rate = 0.02
[compile]
objective = "area"
target_cycles = 512
resources = { lut = 30000 }
[simulate]
images = 60
[search]
trials = 6
finalists = 2
widths = [0.5, 1.0]
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run folder and what the command printed."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "s.toml").write_text(TEXT)
    result = CliRunner().invoke(
        cli, ["search", str(folder / "s.toml"), "--out", str(folder / "run")],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder / "run", result.output


@pytest.mark.sim
def test_every_network_that_is_shown_as_final_went_through_the_rtl(searched: tuple[Path, str]):
    run, printed = searched
    found = store.read(run)["search"]
    front = [row for row in found["networks"] if row["front"]]
    assert found["trials"] == 6
    points = [Point(r["trial"], r["accuracy"], r["lut"]) for r in found["networks"]]
    assert [r["trial"] for r in front] == sorted(p.number for p in best(points))
    final = {row["trial"]: row for row in found["networks"] if row["rtl"]}
    gain = found["gain"] or {}
    rivals = {gain[name] for name in ("trial", "single") if name in gain}
    assert set(final) == {p.number for p in spread(best(points), 2)} | rivals
    for row in final.values():
        assert (row["rtl"]["mismatches"], row["rtl"]["images"]) == (0, 60)
        assert (run / "search" / row["rtl"]["report"]).is_file()
        foreseen, seen = row["rtl"]["cycles_foreseen"], row["rtl"]["cycles_per_image"]
        assert foreseen == pytest.approx(seen), "cycles of the same images"
        compiled = store.read((run / "search" / row["rtl"]["report"]).parent)["compile"][
            "optimiser"
        ]
        assert {name: row[name] for name in ("lut", "dsp", "bram18")} == compiled["predicted"]
        assert row["nanojoules"] == pytest.approx(compiled["nanojoules"])
        assert row["cycles"] == row["rtl"]["cycles_compiled"] == compiled["cycles_per_image"]
        assert row["throughput_fps"] == pytest.approx(1e8 / row["cycles"])
    assert "60 images through the RTL, 0 mismatches" in printed
    for row in front:
        path = run / "search" / row["config"]
        config = tree.load(path)
        assert config.compile.objective == "area"
        assert not config.compile.baseline
        assert f"trial {row['trial']:4d}: " in printed
    costs = sorted((row["lut"], row["accuracy"]) for row in front)
    assert costs == sorted(costs, key=lambda pair: pair[1]), "dearer ones are more accurate"


@pytest.mark.sim
def test_the_page_has_every_point_and_leads_to_the_front(searched: tuple[Path, str]):
    run, printed = searched
    page = (run / PAGE).read_text()
    found = store.read(run)["search"]
    for row in found["networks"]:
        assert f"<title>trial {row['trial']}: {100 * row['accuracy']:.2f}%" in page
    links = re.findall(r'<a href="(front/[^"]*)">', page)
    assert sorted(links) == sorted(r["config"] for r in found["networks"] if r["front"])
    assert all((run / "search" / link).is_file() for link in links)
    assert "http" not in page.replace("http://www.w3.org", "")
    report = (run / "report.html").read_text()
    assert f'<a href="search/{links[0]}">' in report
    assert str(run / PAGE) in printed


def row(trial: int, accuracy: float, latency: float, exits: int, rtl: float | None = None) -> dict:
    """A network as report.json has it, searched for latency."""
    measured = {
        "images": 60, "mismatches": 0, "cycles_per_image": 70.0, "cycles_foreseen": 71.4,
        "cycles_compiled": 64.5, "latency_us": rtl,
        "test_accuracy": 0.9, "lut_counted": None, "report": "trials/0000/report.html",
    }  # fmt: skip
    return {
        "trial": trial, "front": True, "config": f"front/{trial}.toml",
        "choices": {"stages": exits},
        "accuracy": accuracy, "accuracy_last": accuracy, "rates": [1 / exits] * exits,
        "single_exit": exits == 1, "cycles": 64.25, "throughput_fps": 1562500.0,
        "latency_us": latency, "nanojoules": 40 * latency, "lut": 5000, "dsp": 0, "bram18": 2,
        "rtl": measured if rtl else None,
    }  # fmt: skip


def other(found: dict) -> dict:
    """The search without networks that went through the RTL."""
    return {**found, "networks": [{**network, "rtl": None} for network in found["networks"]]}


def compared(cost: str) -> dict:
    """Two networks, compared by `cost`; the one with two exits went through the RTL."""
    networks = [row(3, 0.97, 4.5, 1), row(7, 0.96, 1.25, 2, rtl=1.5)]
    gain = {
        "factor": 4.5 / 1.25,
        "accuracy": 0.96,
        "accuracy_single": 0.97,
        "trial": 7,
        "single": 3,
    }
    return {
        "trials": 9, "stopped": 7, "sampler": "tpe", "seed": 0, "least_accuracy": 0.9,
        "cost": cost, "percentile": 95, "budget": {"lut": 30000}, "hypervolume": 3.0,
        "gain": gain, "networks": networks,
    }  # fmt: skip


def test_the_page_of_a_search_for_latency():
    found = compared("latency_us")
    lines = told.lines({"search": found})
    assert [line.split(":")[0].split()[-1] for line in lines[:2]] == ["7", "3"]  # shortest first
    assert "1.25 us of latency (95% of the frames), 5,000 LUT, 2 exits, 60 images" in lines[0]
    assert "has 0.28 times the latency of trial 3" in lines[-1]
    part = told.search({"search": found})
    svg = part["parts"][0]["svg"]
    assert "latency in us (predicted)" in svg
    cells = dict(zip(told.HEAD, part["parts"][1]["rows"][0], strict=True))
    assert (cells["latency (us)"], cells["latency in RTL (us)"]) == ("1.25", "1.50")
    names = ("cycles", "cycles of test images", "cycles in RTL")
    assert [cells[name] for name in names] == ["64.2", "71.4", "70.0"]
    assert "the exits that they took, at most 2.00% off those in the RTL." in part["text"]
    assert all("off those in the RTL" not in line for line in told.lines({"search": other(found)}))


def test_the_page_of_a_search_for_energy():
    found = compared("nanojoules")
    lines = told.lines({"search": found})
    assert "50.0 nJ an image, 5,000 LUT, 2 exits, 60 images" in lines[0]
    assert "180.0 nJ an image, 5,000 LUT, 1 exit" in lines[1]
    assert "has 0.28 times the energy of an image of trial 3" in lines[-1]
    part = told.search({"search": found})
    assert "energy of an image in nJ (an estimate)" in part["parts"][0]["svg"]
    cells = dict(zip(told.HEAD, part["parts"][1]["rows"][0], strict=True))
    assert cells["nJ an image"] == "50.0"


@pytest.mark.sim
@pytest.mark.slow
def test_a_search_for_little_latency_tells_what_the_rtl_has(tmp_path: Path):
    text = TEXT.replace('objective = "area"\ntarget_cycles = 512', 'objective = "latency"')
    text = text.replace("trials = 6\nfinalists = 2", "trials = 3\nfinalists = 1")
    (tmp_path / "s.toml").write_text(text)
    result = CliRunner().invoke(
        cli, ["search", str(tmp_path / "s.toml"), "--out", str(tmp_path / "run")],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = store.read(tmp_path / "run")["search"]
    assert (found["cost"], found["percentile"]) == ("latency_us", 99)
    points = [Point(r["trial"], r["accuracy"], r["latency_us"]) for r in found["networks"]]
    front = {row["trial"] for row in found["networks"] if row["front"]}
    assert front == {p.number for p in best(points)}
    final = [row for row in found["networks"] if row["rtl"]]
    assert final
    for row in final:
        assert row["rtl"]["mismatches"] == 0
        ratio = row["rtl"]["latency_us"] / row["latency_us"]
        assert 0.98 < ratio < 1.02, f"predicted {row['latency_us']}, in RTL {row['rtl']}"
    row = min((r for r in found["networks"] if r["front"]), key=lambda r: r["latency_us"])
    assert f" {row['latency_us']:.2f} us of latency (99% of the frames), " in result.output
    page = (tmp_path / "run" / PAGE).read_text()
    assert "latency in us (predicted)" in page
    assert "latency in RTL (us)" in page


@pytest.mark.sim
def test_a_compressed_network_is_priced_as_what_is_left_of_it(tmp_path: Path):
    passes = """passes = [
      { kind = "filters", budget = 0.5, multiple = 1, epochs = 1 },
      { kind = "blocks", sparsity = 0.75, block = 2, epochs = 1 },
      { kind = "sharing", centroids = 4, epochs = 1 },
    ]
    images = 64"""
    text = TEXT.replace("[simulate]", f"[compress]\n{passes}\n[simulate]")
    text = text.replace("trials = 6\nfinalists = 2", "trials = 3\nfinalists = 2")
    text = text.replace("widths = [0.5, 1.0]", "widths = []\nbudgets = [0.75]\npools = []")
    config = tree.parse(f"{text}weight_bits = []\nactivation_bits = []\n")
    step.search(config, tmp_path, tmp_path / "data")
    networks = store.read(tmp_path)["search"]["networks"]
    own = next(row for row in networks if row["trial"] == 0)
    choices = {name: own["choices"][name] for name in ("filters0", "blocks1", "sharing2")}
    assert choices == {"filters0": 0.5, "blocks1": 0.25, "sharing2": 4.0}
    folder = tmp_path / "search" / "trials" / "0000"
    made = tree.load(folder / "config.toml")
    assert made.compress is not None
    assert [spec.budget for spec in made.compress.passes] == [0.5, 0.25, 4.0]
    asks = wish(config.compile, Budget(lut=30000))
    model, exits, left, _ = calibrated(made, folder)
    whole, narrow = asks.price(config.model, exits), asks.price(model, exits)
    assert own["lut"] == asks.price(model, exits, left).size.lut < narrow.size.lut < whole.size.lut
    final = [row for row in networks if row["rtl"]]
    assert final
    for row in final:
        compiled = store.read((tmp_path / "search" / row["rtl"]["report"]).parent)["compile"]
        assert row["rtl"]["mismatches"] == 0
        assert row["lut"] == compiled["optimiser"]["predicted"]["lut"]
    for row in networks:
        if row["front"] and row["choices"]["filters0"] < 1.0:
            assert tree.load(tmp_path / "search" / row["config"]).compress is not None


@pytest.mark.sim
def test_explanations_are_in_the_price(searched: tuple[Path, str], tmp_path: Path):
    """The engine takes of the same resources, as much as the compiler predicts."""
    trial = searched[0] / "search" / "trials" / "0000"
    for name in ("checkpoint.pt", "exits.json", "splits.npz", "training.json", "calibration.npz"):
        shutil.copy(trial / name, tmp_path)
    config = tree.load(trial / "config.toml")
    explain = config.explain.model_copy(update={"hardware": Hardware(methods=("saliency",))})
    explained = config.model_copy(update={"explain": explain})
    asks = wish(config.compile, Budget(lut=30000))
    plain = asks.price(*calibrated(config, tmp_path))
    price = asks.price(*calibrated(explained, tmp_path))
    assert price.size.lut > plain.size.lut + 500
    export(explained, tmp_path)
    compile(explained, tmp_path)
    found = store.read(tmp_path)["compile"]["optimiser"]
    assert found["predicted"] == dataclasses.asdict(price.size)
    assert found["beside"]["explanations"]["lut"] > 500


def asked(old: str, new: str) -> tree.Config:
    assert old in TEXT
    return tree.parse(TEXT.replace(old, new))


REFUSED: dict[str, tuple[str, str, str]] = {
    "no board": (
        'objective = "area"\ntarget_cycles = 512\nresources = { lut = 30000 }', "",
        "a search must have compile.board or compile.resources",
    ),
    "a criterion": (
        "widths =", 'criteria = ["margins"]\nwidths =',
        "search.criteria must be some of .*, got 'margins': change it",
    ),
    "stages": (
        "widths =", "stages = 3\nwidths =",
        "search.stages must be at most the 2 of model.stages, got 3: lower it",
    ),
    "nothing to choose": (
        "widths = [0.5, 1.0]",
        "stages = 2\nexits = false\nwidths = []\npools = []\nweight_bits = []\n"
        "activation_bits = []",
        "a search must have something to choose, got a .search. table whose lists are all empty",
    ),
    "budgets of nothing": (
        "widths = [0.5, 1.0]", "budgets = [0.5]",
        "search.budgets must be of the passes of .compress., got a config without the table: give "
        'passes = .{ kind = "filters" }., say',
    ),
    "a pass that no layer allows": (
        "[compile]", '[compress]\npasses = [{ kind = "filters", budget = 0.001 }]\n[compile]',
        "budget of a filters pass must leave every layer its floor of filters, got 6 multiplies "
        "where the narrowest network has 3,680: raise budget or lower floor",
    ),
    "rules": (
        "[compile]", "[rules]\n[compile]",
        "a search must be of networks without .rules., which is for one network, got the table: "
        "leave it out, and use it on a network of the front",
    ),
    "nothing fits": (
        "lut = 30000", "lut = 900",
        "a search must find a network that fits, got 6 trials without one; of the first: "
        "the resources must hold the network",
    ),
    "no such accuracy": (
        "trials = 6\nfinalists = 2", "trials = 2\nfinalists = 2\naccuracy = 0.9999",
        "search.accuracy must be within reach, got 0.9999 where the best of 2 networks, trial .*: "
        "lower it, or let the search try more",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_search(name: str, tmp_path: Path):
    old, new, sentence = REFUSED[name]
    config = asked(old, new)
    with pytest.raises(InputError, match=f"^{sentence}"):
        step.search(config, tmp_path, tmp_path / "data")
    assert not (tmp_path / "search" / "front").exists()


def test_a_network_that_no_config_describes(tmp_path: Path, builder: Callable[..., object]):
    text = TEXT[: TEXT.index("[[model.stages]]")] + TEXT[TEXT.index("[train]") :]
    config = tree.parse(text.replace("[model]", '[model]\nsource = "python:net.py:Net"'))
    sentence = r'^a search must have a network that the config describes by stages, got "python:'
    with pytest.raises(InputError, match=sentence):
        step.search(config, tmp_path, tmp_path / "data")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trials = 0", "search.trials must be at least 1, got 0"),
        ('sampler = "grid"', 'search.sampler must be "tpe", "nsga2" or "random", got "grid"'),
        ("widths = [1.0, 1.0]", "search.widths must have no value twice"),
        ("weight_bits = [9]", "search.weight_bits.* must be at most 8, got 9"),
        ("accuracy = 1.0", "search.accuracy must be below 1"),
        ("trails = 3", "search.trails is unknown|unknown key.*trails|trails"),
    ],
)
def test_values_that_the_table_refuses(text: str, sentence: str):
    base = TEXT[: TEXT.index("[search]")]
    with pytest.raises(InputError, match=sentence):
        tree.parse(f"{base}[search]\n{text}\n")
