"""What the tests of explanations share: graphs, and the same graphs for autograd."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)


@pytest.fixture(scope="session")
def graphs() -> ModuleType:
    """`explained_graphs.py`: GRAPHS, `straight`, `frames`."""
    return importlib.import_module("explained_graphs")
