"""The examples of the README and of docs/ are executed, and what they name exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from exeunt.boards import targets
from exeunt.command import cli
from exeunt.config import tree
from exeunt.hls.back.kernels import registry as backends

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / room / "README.md" for room in ("quant", "hls", "boards")),
]
ROOMS = "\n".join(page.read_text() for page in PAGES)
BLOCKS = re.findall(r"^```([^\n]*)\n(.*?)^```$", TEXT + ROOMS, re.MULTILINE | re.DOTALL)


def of(language: str) -> list[str]:
    return [body for kind, body in BLOCKS if kind == language]


@pytest.mark.parametrize("code", of("python"))
def test_python_examples_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("text", [text for text in of("toml") if "part =" not in text])
def test_toml_examples_are_configs(text):
    if "name =" not in text:  # a section alone
        section = re.escape(text.partition("\n")[0])
        base = tree.load("mnist" if "rules" in section else "digits")  # shifted copies do not go
        text = re.sub(rf"^{section}\n(?:(?!\[).*\n)*", "", tree.to_toml(base), flags=re.M) + text
    loaded = tree.parse(text)
    assert tree.parse(tree.to_toml(loaded)) == loaded


def test_toml_example_of_a_board_is_one(tmp_path):
    (text,) = [text for text in of("toml") if "part =" in text]
    (tmp_path / "board.toml").write_text(text)
    (tmp_path / "preset.tcl").write_text("set preset {}\n")
    board = targets.load(str(tmp_path))
    assert (board.title, board.flow) == ("My board", "vivado")


@pytest.mark.parametrize("text", of("console"))
def test_console_examples_print_what_they_show(text):
    command, _, expected = text.removeprefix("$ ").partition("\n")
    program, *arguments = shlex.split(command)
    assert program == "exeunt"
    done = subprocess.run(
        [sys.executable, "-m", "exeunt.command.cli", *arguments], capture_output=True, text=True
    )
    assert done.stdout == expected


def test_commands_and_targets_exist():
    plain = "\n".join(body for kind, body in BLOCKS if not kind) + TEXT + ROOMS
    for step in set(re.findall(r"^exeunt ([a-z]+)", plain, re.MULTILINE)):
        assert step in cli.cli.commands, step
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", plain, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_tree_names_what_is_there():
    (tree,) = [body for kind, body in BLOCKS if body.startswith("python/exeunt/")]
    folder = ROOT
    for line in tree.splitlines():
        names = re.match(r"( *)(\S+(?: \S+)*)", line)
        for name in re.split(r" +", names.group(2).split("  ")[0]):
            if name == "build/":
                continue
            inside = folder if names.group(1) else ROOT
            assert (inside / name).exists(), f"{inside / name}"
            if not names.group(1):
                folder = ROOT / name


def test_every_path_in_the_text_exists():
    folders = "boards|docs|hls|python|quant|rtl_tests|examples"
    named = re.findall(rf"`((?:{folders})/[\w./]*)`", TEXT + ROOMS)
    inline = set(named)
    assert inline
    for name in inline:
        assert (ROOT / name).exists(), name


def test_every_link_leads_somewhere():
    for page in (ROOT / "README.md", *PAGES):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_the_readme_is_one_page():
    lines = TEXT.splitlines()
    assert len(lines) <= 110
    prose = [line for line in lines if not line.startswith(("|", " ", "`"))]
    assert max(map(len, prose)) <= 100


def test_table_of_blocks_is_what_the_files_say():
    table = (ROOT / "hls" / "rtl" / "README.md").read_text()
    rows = {
        cells[1].strip(" `"): cells
        for line in table.splitlines()
        if line.startswith("| `ex_")
        for cells in [line.split("|")]
    }
    files = {path.stem: path.read_text() for path in (ROOT / "hls" / "rtl").glob("ex_*.sv")}
    printed = {m for b in backends.backends().values() for m in b.modules}  # by the table of kinds
    assert set(files) - printed <= set(rows) <= set(files)
    for name, cells in rows.items():
        header = files[name].partition(") (")[0]
        said = re.findall(r"`([A-Z]\w*)`", cells[3])
        found = re.findall(r"^ *parameter\b.*?(\w+) *=", header, re.MULTILINE)
        assert said == [p for p in found if "registers" not in name or p[:2] != "A_"], name
        for test in re.findall(r"`(\w+)`", cells[4]):
            assert (ROOT / "rtl_tests" / test / f"test_{test}.py").is_file(), test
        for reference in re.findall(r"`([\w/]+\.py)`", cells[5]):
            assert (ROOT / "python" / "exeunt" / reference).is_file(), reference
