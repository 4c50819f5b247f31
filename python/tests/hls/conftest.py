"""What tests of the compiler share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from exeunt.hls.front import finn_env

HERE = Path(__file__).parent


def _loaded(path: Path) -> ModuleType:
    """A module of its own, whatever else has the name of its file."""
    spec = importlib.util.spec_from_file_location(f"hls_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def through() -> ModuleType:
    """A built network through QONNX, the compiler and the RTL: `through.py`."""
    return _loaded(HERE / "through.py")


@pytest.fixture(scope="session")
def graphs() -> ModuleType:
    """Networks of every kind: GRAPHS, `straight`, `frames`."""
    return _loaded(HERE.parent / "explain" / "explained_graphs.py")


@pytest.fixture(scope="session")
def finn() -> None:
    """FINN's import, once, with its warnings about itself kept away."""
    finn_env.prepare()
    with finn_env.quiet():
        import exeunt.hls.front.network  # noqa: F401 - only for its import of FINN


@pytest.fixture(scope="session")
def two_exits(builder: type) -> Callable[..., Path]:
    """What saves a network with an exit behind each of two convolutions."""

    def saved(folder: Path, shape: tuple[int, int, int], *filters: int) -> Path:
        b = builder(shape)
        x = b.conv("image", filters[0])
        b.exit(b.linear(x, 3))
        b.exit(b.linear(b.conv(x, filters[1]), 3))
        path: Path = b.save(folder / "model.onnx")
        return path

    return saved
