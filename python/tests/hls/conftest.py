"""What tests of the compiler share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

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
