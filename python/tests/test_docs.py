"""The site: what is made from the code is whole, and its pages can be found."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from exeunt import registers
from exeunt.command import cli
from exeunt.config import manual, tree
from exeunt.runtime import framing, results

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def module(name: str):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "_ext" / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


reference, links, waves = module("reference"), module("links"), module("waves")


def rows(text: str) -> set[str]:
    """The first cells of all tables."""
    return set(re.findall(r"^\| (\S.*?) \|", text, re.MULTILINE))


def tables(root: type[BaseModel]) -> set[type[BaseModel]]:
    inner = {m for f in root.model_fields.values() for m in manual.models(f.annotation)}
    return {root, *(deeper for m in inner for deeper in tables(m))}


def test_every_key_of_the_config_is_told_with_its_meaning():
    text = reference.config()
    for table in tables(tree.Config):
        for key, meaning in manual.meanings(table).items():
            if table is tree.Config and key != "name":
                assert f"\n## [{key}]\n" in text
                continue
            assert f"| `{key}` | {meaning.replace('<', chr(92) + '<')} | " in text, key


def test_every_register_is_told_at_its_address():
    text = reference.register_map()
    for register in registers.BY_NAME.values():
        (line,) = [t for t in text.splitlines() if re.search(rf"\| `{register.name}`[ ,]", t)]
        assert line.startswith(f"| `0x{register.address:03X}`")
        assert all(f"`{name}`" in line for name in register.fields)
        assert register.per_exit == ("one per exit" in line)
    assert {str(code) for code in registers.criteria_codes().values()} <= rows(text)


def test_every_field_of_a_result_and_every_packet_is_told():
    text = reference.packets()
    for name, _ in results.FIELDS:
        assert re.search(rf"^\| {results.RESULT.fields[name][1]} \| `{name}` \|", text, re.M)
    kinds = {*framing.to_device(64, maps=True), *framing.FROM_DEVICE}
    named = {getattr(framing, kind) for kind in re.findall(r"^- ([A-Z_]+): ", text, re.MULTILINE)}
    assert kinds == named


def test_every_command_is_on_its_page():
    text = (DOCS / "reference" / "commands.md").read_text()
    assert ".. click:: exeunt.command.cli:cli\n   :prog: exeunt\n   :nested: full\n" in text
    assert all(command.help for command in cli.cli.commands.values())


def test_what_pages_ask_for_can_be_made():
    asked = [
        found
        for page in DOCS.rglob("*.md")
        for found in re.findall(r"^<!-- made: (\w+) -->$", page.read_text(), re.MULTILINE)
    ]
    assert sorted(asked) == sorted(reference.PARTS)


def test_the_table_of_contents_has_every_page_once():
    contents = re.findall(
        r":::\{toctree\}\n(.*?)^:::$", (DOCS / "index.md").read_text(), re.M | re.S
    )
    listed = [line for block in contents for line in block.split("\n") if line and line[0] != ":"]
    assert len(set(listed)) == len(listed)
    pages = {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.md")}
    assert {line for line in listed if not line.startswith("../")} == pages - {"index"}
    for line in listed:
        assert (DOCS / f"{line}.md").is_file(), line


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('<a href="b.html#here">', ""),
        ('<a href="https://example.org">', ""),
        ('<img src="data:image/png;base64,AAAA">', ""),
        ('<a href="#there"><p id="there">', ""),
        ('<a href="c.html">', "a link must lead to a file of the site, got c.html"),
        ('<a href="b.html#gone">', "a link must lead to an anchor, got b.html#gone"),
        ('<a href="#gone">', "a link must lead to an anchor, got #gone"),
        ('<img src="gone.png">', "a link must lead to a file of the site, got gone.png"),
        (
            '<script src="https://example.org/x.js"></script>',
            "a page must load nothing from elsewhere, got https://example.org/x.js",
        ),
        (
            '<link rel="stylesheet" href="//example.org/x.css">',
            "a page must load nothing from elsewhere, got //example.org/x.css",
        ),
    ],
)
def test_a_broken_link_is_told(tmp_path, text, fault):
    (tmp_path / "a.html").write_text(text)
    (tmp_path / "b.html").write_text('<p id="here">')
    assert links.faults(tmp_path) == ([f"a.html: {fault}"] if fault else [])


def test_a_wave_is_what_registers_see():
    clock = [(t, t // 5 % 2) for t in range(0, 100, 5)]  # rises at 5, 15, 25, ...
    signals = {"valid": [(0, 0), (15, 1), (35, 0)], "data": [(0, 3), (25, 10)]}
    assert waves.edges(clock)[:3] == [5, 15, 25]
    assert [waves.at(signals["valid"], t) for t in (14, 15, 34, 35)] == [0, 1, 1, 0]
    drawn = waves.draw(signals, clock, first=0, cycles=4, caption="a & b", wide=["data"])
    low, high = 22 + waves.HIGH, 22
    steps = [f"V{y}h{waves.STEP}" for y in (low, high, high, low)]  # before 15, 25, 35, 45
    assert "".join(steps) in drawn
    assert re.findall(r'class="wave-value">(\w+)<', drawn) == ["3", "a"]
    assert "a &amp; b" in drawn


def slug(heading: str) -> str:
    """The anchor of a heading, as the site and other viewers of Markdown make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_every_link_between_pages_leads_to_a_file_and_a_heading():
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("*/README.md")]
    pages.append(ROOT / "hls" / "rtl" / "README.md")
    seen = 0
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if ":" in link:
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), f"{page.relative_to(ROOT)}: {link}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                assert anchor in {slug(h) for h in headings}, f"{page.relative_to(ROOT)}: {link}"
            seen += 1
    assert seen > 50


def text_of(node: ast.AST) -> str:
    """The text that an expression gives, with a mark for what is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return "\0"


def said() -> list[str]:
    """Every text in the program."""
    found = []
    for room in ("python/exeunt", "quant", "hls", "boards"):
        for path in sorted((ROOT / room).rglob("*.py")):
            tree_ = ast.parse(path.read_text())
            kinds = (ast.Constant, ast.JoinedStr, ast.BinOp)
            found += [text_of(node) for node in ast.walk(tree_) if isinstance(node, kinds)]
    return [text for text in found if " " in text]


def is_said(sentence: str, texts: list[str]) -> bool:
    # what is computed may be any words, and a text of the program may be computed in part
    pieces = [re.escape(piece) for piece in sentence.split("...")]
    pattern = re.compile("[^.]*?".join(pieces).replace("\0", ".*?"), re.DOTALL)
    return any(pattern.search(text) for text in texts)


def test_sentences_of_troubleshooting_are_those_of_the_program():
    texts = said()
    sentences = re.findall(r"^> (.*)$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(sentences) > 30
    assert [s for s in sentences if not is_said(s, texts)] == []
    assert not is_said("key ... must be a nown one, got ...", texts)
    assert not is_said("train.exit_weights must have one entry for each of ... heads", texts)
