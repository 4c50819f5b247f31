"""`exeunt doctor`: what it finds, and how it says that something is missing."""

from __future__ import annotations

import io
import stat

import pytest

from exeunt.command import doctor
from exeunt.errors import ToolError


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
        doctor.Finding("g++", None, "simulate", "apt-get install g++", True),
        doctor.Finding("make", None, "simulate", "apt-get install make", True),
        doctor.Finding("Vivado", None, "no step", "AMD", False),
    ]
    monkeypatch.setattr(doctor, "findings", lambda: items)
    stream = io.StringIO()
    sentence = (
        r"^`exeunt run` must find g\+\+, make, got no such tools: "
        r"apt-get install g\+\+; apt-get install make$"
    )
    with pytest.raises(ToolError, match=sentence):
        doctor.show(stream)
    assert "Vivado" in stream.getvalue()
    items[:] = items[2:]
    doctor.show(io.StringIO())
