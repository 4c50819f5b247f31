"""A pipeline whose steps do nothing but leave files."""

from __future__ import annotations

from pathlib import Path

import pytest

from exeunt.command import run
from exeunt.config import tree
from exeunt.report import store


class World:
    """Stands in for the steps: each writes its outputs from its inputs, and is counted."""

    def __init__(self, monkeypatch, folder: Path) -> None:
        self.folder, self.data = folder, folder.parent / "data"
        self.did: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.texts: dict[str, str] = {}
        monkeypatch.setattr(run.Step, "__call__", lambda step, context: self.call(step, context))
        monkeypatch.setattr(run.Step, "expected", lambda step, context: None)

    def call(self, step, context):
        self.did.append(step.name)
        for name in step.outputs:
            path = context.run_dir / name
            text = self.texts.get(step.name, step.name)
            if name in ("rtl", "report"):
                path.mkdir(exist_ok=True)
                path = path / "a.sv"
            path.write_text(text)
            if step.name in self.fails:
                raise self.fails.pop(step.name)
        if step.name == "simulate":
            store.update(context.run_dir, {"simulation": {"by": step.name}})
        context.progress(1, 1, "x")

    def context(self, text: str | None = None) -> run.Context:
        loaded = tree.parse(text) if text else tree.load("digits")
        return run.Context(loaded, self.folder, self.data)

    def run(self, text: str | None = None) -> list[str]:
        self.did = []
        run.run_all(self.context(text))
        return self.did


@pytest.fixture
def world(monkeypatch, tmp_path):
    return World(monkeypatch, tmp_path / "out")
