"""What tests of the compiler share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def through() -> ModuleType:
    """A built network through QONNX, the compiler and the RTL: `through.py`."""
    spec = importlib.util.spec_from_file_location("through", Path(__file__).with_name("through.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
