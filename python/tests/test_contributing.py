"""What newcomers read first: CONTRIBUTING, the citation, the issue forms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from exeunt import __version__

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_what_contributing_names_is_there():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"(?:^|`|all )make ([a-z-]+)", TEXT, re.MULTILINE)
    assert {"test", "lint", "block", "mutants"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"\]\(([^)]+)\)|`([\w.]+/[\w/.]*)`", TEXT):
        name = path[0] or path[1]
        assert (ROOT / name).exists(), name


def test_limits_of_files_are_those_of_the_test():
    code = (ROOT / "python" / "tests" / "test_packaging.py").read_text()
    tests, others = re.findall(r"allowed = (\d+) if .* else (\d+)", code)[0]
    assert f"at most {others} lines, a test file {tests}" in " ".join(TEXT.split())


def test_citation_is_valid_and_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(cited)  # what the format demands
    assert cited["version"] == __version__
    assert cited["authors"] == [{"name": "Exeunt contributors"}]
    assert (cited["type"], cited["license"]) == ("software", "BSD-3-Clause")


@pytest.mark.parametrize("path", [p for p in FORMS if p.stem != "config"], ids=lambda p: p.stem)
def test_issue_form_can_be_shown(path):
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form)
    assert set(form) <= {"name", "description", "title", "labels", "body"}
    ids = [entry["id"] for entry in form["body"]]
    assert len(set(ids)) == len(ids)
    for entry in form["body"]:
        assert entry["type"] in ("textarea", "input", "dropdown")
        assert set(entry) <= {"type", "id", "attributes", "validations"}
        given = entry["attributes"]
        assert set(given) <= {"label", "description", "render", "options"}
        assert given["label"]
        assert (entry["type"] == "dropdown") == ("options" in given)
        assert "render" not in given or entry["type"] == "textarea"
    assert any(entry.get("validations", {}).get("required") for entry in form["body"])


def test_forms_are_for_bugs_features_and_boards():
    assert [path.stem for path in FORMS] == ["board", "bug", "config", "feature"]
    named = " ".join(path.read_text() for path in FORMS)
    from exeunt.command import cli

    commands = set(re.findall(r"`?exeunt ([a-z]+)", named))
    assert {"doctor", "simulate", "bench"} <= commands <= set(cli.cli.commands)
