"""The notebook runs from the first cell to the last, on the model and on the simulated RTL."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from exeunt.bench.network import load
from exeunt.deploy import contents
from exeunt.reference import controller, network

NOTEBOOK = json.loads(contents.notebook())


def code(device: str, folder: Path) -> list[str]:
    """The code cells, told where to run as a user would."""
    cells = ["".join(c["source"]) for c in NOTEBOOK["cells"] if c["cell_type"] == "code"]
    settings = cells[0]
    cells[0] = settings.replace('DEVICE = "board"', f"DEVICE = {device!r}").replace(
        'FOLDER = "network"', f"FOLDER = {str(folder)!r}"
    )
    assert cells[0].count(repr(device)) == cells[0].count(repr(str(folder))) == 1
    return cells


def test_it_carries_no_outputs_and_no_machine():
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
        assert cell["metadata"] == {}
    assert set(NOTEBOOK["metadata"]) == {"kernelspec", "language_info"}
    assert len(contents.notebook()) < 20_000


def test_cells_answer_as_the_reference(compiled, monkeypatch, capsys):
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    monkeypatch.setattr("matplotlib.get_backend", lambda: "agg")
    plt.switch_backend("agg")
    space: dict = {}
    for cell in code("modelled", compiled):
        exec(compile(cell, "cell", "exec"), space)
    said = capsys.readouterr().out
    found = load(compiled)
    logits = network.run(found.accelerator, found.images).logits
    want = controller.decide(logits, found.thresholds)
    np.testing.assert_array_equal(space["results"].classes, want.classes)
    np.testing.assert_array_equal(space["results"].exits, want.exits)
    right = 100 * (want.classes == found.labels).mean()
    assert f"60 images, {right:.2f}% right" in said
    assert "nobody leaves early  100.00% right" in said  # the labels are the last exit's answers
    assert "modelled has no power sensors" in said
    assert "this device gives no heat maps" in said
    taken = space["curve"][:, 0]
    assert taken[0] == max(taken)  # nobody leaves early
    assert space["calibrated"] == list(found.thresholds)


@pytest.fixture
def figures(monkeypatch):
    """What the notebook has drawn."""
    import matplotlib.pyplot as plt

    drawn: list = []

    def show() -> None:
        drawn.append([len(axes.images) for axes in plt.gcf().axes])
        plt.close("all")

    monkeypatch.setattr(plt, "show", show)
    monkeypatch.setattr("matplotlib.get_backend", lambda: "agg")
    plt.switch_backend("agg")
    return drawn


@pytest.mark.sim
def test_heat_maps_of_the_simulated_rtl(explained, figures, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(explained.folder, folder)
    (folder / ".sim").symlink_to(explained.cache)
    labels = explained.logits[-1].argmax(axis=1)
    np.savez(folder / "splits.npz", test_images=explained.images, test_labels=labels)
    space: dict = {}
    cells = [c for c in code("simulated", folder) if "sets = {" not in c]  # they take long
    for cell in cells:
        exec(compile(cell, "cell", "exec"), space)
    explained.agree(space["explained"], slice(12))
    assert sorted(space["explained"].maps) == list(range(12))
    assert [1] * 24 in figures
    assert "12 heat maps by saliency" in capsys.readouterr().out


@pytest.mark.sim
def test_it_is_executed_against_the_simulated_rtl(small, tmp_path, monkeypatch):
    """By a kernel, as Jupyter does it."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    folder = tmp_path / "run"
    shutil.copytree(small.folder, folder)
    (folder / ".sim").symlink_to(small.cache)  # the compiled model
    labels = small.logits[-1].argmax(axis=1)
    np.savez(folder / "splits.npz", test_images=small.images, test_labels=labels)
    limits = list(small.thresholds[:-1])
    (folder / "exits.json").write_text(json.dumps({"curve": [{"thresholds": limits}]}))
    data = json.loads((folder / "manifest.json").read_text())
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(cell) for cell in code("simulated", folder)]
    made.cells.append(nbformat.v4.new_code_cell("print(results.classes.tolist())"))
    client = nbclient.NotebookClient(made, timeout=300, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    said = ["".join(o.get("text", "") for o in c.outputs) for c in made.cells]
    want = controller.decide(small.logits, limits)
    assert json.loads(said[-1]) == want.classes.tolist()
    assert f"{data['name']} on simulated: 3 exits, 4 classes" in said[1]
    assert "Selftest(images=64" in said[2]
