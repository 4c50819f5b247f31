"""A small accelerator as a simulated device, and one that answers without a device."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from exeunt import samples
from exeunt.criteria import margin
from exeunt.graph import Accelerator as Graph
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest
from exeunt.reference import controller, network
from exeunt.runtime import Accelerator, Results
from exeunt.samples import Stage
from exeunt.simulate.simulated import Simulated

COUNT = 120


def _sibling(name: str):
    """Another file of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BOARD, NULL = _sibling("board"), _sibling("null")
MAPPING, EXPLAINED = _sibling("mapping"), _sibling("explained")


@pytest.fixture
def null():
    """The module with a transport that answers without a device."""
    return NULL


@pytest.fixture
def mapping():
    """The same with heat maps."""
    return MAPPING


@dataclass(frozen=True)
class Small:
    """A stitched accelerator, images whose exits vary, and the reference's answers.

    Its first exit takes frames of 64 cycles and the others of 288, so easy images overtake many.
    """

    graph: Graph
    manifest: Manifest
    images: npt.NDArray[np.uint8]
    logits: tuple[npt.NDArray[np.int64], ...]
    thresholds: tuple[int, ...]
    cache: Path

    @property
    def folder(self) -> Path:
        return self.manifest.folder

    def want(self, thresholds=None, images=slice(None)) -> controller.Decisions:
        limits = self.thresholds if thresholds is None else tuple(thresholds)
        return controller.decide([x[images] for x in self.logits], limits)

    def agree(self, got: Results, thresholds=None, images=slice(None)) -> None:
        """Every answer is the reference's."""
        want = self.want(thresholds, images)
        np.testing.assert_array_equal(got.classes, want.classes)
        np.testing.assert_array_equal(got.exits, want.exits)
        np.testing.assert_array_equal(got.scores, want.scores)
        assert not got.bad.any()


def small_design(folder: Path, cache: Path) -> Small:
    stages = (
        Stage(2, simd=9, pe=2, parallel=True),
        Stage(2, simd=2),
        Stage(4, pool=False, reduce=False, head_simd=4, head_pe=2),
    )
    graph = samples.accelerator(stages, size=8, classes=4)
    images = samples.images(COUNT, size=8, seed=2)
    logits = network.run(graph, images).logits
    scores = [margin.values(x).scores for x in logits]
    first = int(np.quantile(scores[0], 0.5))
    limits = [first, int(np.quantile(scores[1][scores[0] < first], 0.6)), None]
    manifest = stitch.write(graph, folder, thresholds=limits)
    return Small(graph, manifest, images, logits, manifest.thresholds, cache)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return small_design(tmp_path_factory.mktemp("small"), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def explained(tmp_path_factory: pytest.TempPathFactory):
    """A small design that explains its images."""
    folders = (tmp_path_factory.mktemp(name) for name in ("explained", "explained_models"))
    return EXPLAINED.design(*folders)


@pytest.fixture
def explaining(explained) -> Iterator[Simulated]:
    """Its RTL as a device."""
    transport = Simulated(explained.folder, cache=explained.cache)
    yield transport
    transport.close()


@pytest.fixture
def simulated(small: Small) -> Iterator[Simulated]:
    transport = Simulated(small.folder, cache=small.cache)
    yield transport
    transport.close()


@pytest.fixture
def device(small: Small, simulated: Simulated) -> Iterator[Accelerator]:
    with Accelerator(small.folder, simulated) as found:
        yield found


@pytest.fixture
def board(small: Small, simulated: Simulated, monkeypatch, tmp_path):
    """PYNQ's module over a board with the small design, and its bitstream's file."""
    return fake_board(simulated, monkeypatch, tmp_path)


@pytest.fixture
def mapping_board(explaining: Simulated, monkeypatch, tmp_path):
    """The same with the design that explains its images."""
    return fake_board(explaining, monkeypatch, tmp_path, maps=True)


def fake_board(simulated: Simulated, monkeypatch, tmp_path, *, maps: bool = False):
    found = BOARD.FakePynq(BOARD.Board(simulated.device, simulated.beat_bytes), maps=maps)
    monkeypatch.setitem(sys.modules, "pynq", found)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "exeunt.bit").touch()
    (tmp_path / "exeunt.hwh").touch()
    found.bitstream = tmp_path / "exeunt.bit"
    return found
