"""Shell completion: commands, configs and boards, in a real bash, fast."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exeunt.command import cli, completion
from exeunt.config import tree

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def completed(line: str, folder: Path, breaks: str = "") -> list[str]:
    """What bash offers at the end of `line`."""
    body = f"""
    {breaks}
    eval "$(exeunt completion bash)"
    COMP_LINE="$1"; COMP_POINT=${{#COMP_LINE}}
    _exeunt_completion exeunt
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", body, "bash", line], cwd=folder,
        env={**os.environ, "PATH": PATH}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path):
    for name in ("mine.toml", "digit.toml", "notes.txt", ".hidden.toml", "sub/inner.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("exeunt si", ["simulate"]),
        ("exeunt run dig", ["digits", "digit.toml"]),
        ("exeunt run m", ["mnist", "mine.toml"]),
        ("exeunt config ./", ["./digit.toml", "./mine.toml", "./sub/"]),
        ("exeunt run sub/", ["sub/inner.toml"]),
        ("exeunt run .h", [".hidden.toml"]),
        ("exeunt run nowhere/", []),
        ("exeunt run zoo:m", ["mnist"]),  # bash has parted the word at the colon
        ("exeunt run digits --d", ["--data", "--debug"]),
        ("exeunt deploy --board pynq", ["pynq-z1", "pynq-z2"]),
        ("exeunt bench --board=kv", ["kv260"]),
        ("exeunt bitstream mnist --board s", ["sub/"]),
        ("exeunt nosuch di", []),
        ("exeunt completion f", ["fish"]),
    ],
)
def test_bash_completes(line, offered, folder):
    assert completed(line, folder) == offered


def test_bash_that_does_not_part_words_at_colons(folder):
    assert completed("exeunt run zoo:m", folder, breaks="COMP_WORDBREAKS=' '") == ["zoo:mnist"]


def test_every_config_and_board_is_offered():
    from exeunt.boards import targets

    found = [item.value for item in completion.configs(None, None, "")]
    assert {*tree.shipped(), *(f"zoo:{name}" for name in tree.zoo())} <= set(found)
    found = [item.value for item in completion.boards(None, None, "")]
    assert set(targets.names()) <= set(found)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_command_prints_what_a_shell_reads(shell, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["completion", shell])
    assert not caught.value.code
    told = capsys.readouterr().out
    assert f"{completion.VARIABLE}={shell}_complete" in told
    assert "%(" not in told


def test_completion_is_fast_and_light(tmp_path):
    words = {"COMP_WORDS": "exeunt run ", "COMP_CWORD": "2", completion.VARIABLE: "bash_complete"}
    code = (
        "import sys\nfrom exeunt.command import cli\ntry:\n    cli.main([])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pydantic', 'torch', 'rich', 'jinja2', 'matplotlib', 'finn', 'qonnx'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    best = 99.0  # of the processor's seconds, since others may be at work
    for _ in range(3):
        before = os.times()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, **words},
        )  # fmt: skip
        after = os.times()
        taken = after.children_user + after.children_system
        best = min(best, taken - before.children_user - before.children_system)
        assert done.returncode == 0, f"completing imported {done.stderr}"
        assert "plain,digits" in done.stdout
    assert best < 0.5, f"completing took {best:.2f} s"
