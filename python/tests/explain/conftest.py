"""What the tests of explanations share: graphs, and the same graphs for autograd."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def graphs() -> ModuleType:
    """`test_walk.py`: GRAPHS, `straight`, `frames`."""
    spec = importlib.util.spec_from_file_location(
        "walked", Path(__file__).with_name("test_walk.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
