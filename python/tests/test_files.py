"""Files that belong together: what a folder holds, what a Python file imports, what cannot be."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest

from exeunt.errors import InputError
from exeunt.files import cache_folder, code_files, walk, writing


def names(folder) -> list[str]:
    return [name for name, _ in walk(folder)]


def refused(folder, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        names(folder)


def test_files_in_order_without_what_systems_leave_behind(tmp_path):
    for name in ("b/2.png", "b/10.png", "a/x/1.png", "c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for name in (".git/a", "__MACOSX/a", "b/.ipynb_checkpoints/1.png", "b/Thumbs.db", "@eaDir/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
    assert names(tmp_path) == ["a/x/1.png", "b/10.png", "b/2.png", "c.txt"]


def test_links_are_followed(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "1.png").write_bytes(b"")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").symlink_to(tmp_path / "store")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "store")
    assert names(tmp_path / "set") == ["a/1.png", "b/1.png"]


def test_links_that_lead_nowhere_or_in_a_circle(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    refused(
        tmp_path,
        f"folder {tmp_path}/a/up must not be a link to a folder above it, got one to {tmp_path}: "
        "take it away",
    )
    (tmp_path / "a" / "up").unlink()
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "gone")
    refused(
        tmp_path,
        f"{tmp_path}/a/gone.png must be a file or a folder, got a link that leads nowhere: take it "
        "away",
    )
    (tmp_path / "a" / "gone.png").unlink()
    (tmp_path / "a" / "me").symlink_to(tmp_path / "a" / "me")
    refused(
        tmp_path,
        f"{tmp_path}/a/me must be readable, got too many levels of symbolic links: take it away",
    )


def test_names_that_are_no_text(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    refused(tmp_path, f"names below {tmp_path} must be UTF-8, got 'caf\\xe9': rename it")


def test_folder_that_cannot_be_read(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    refused(
        tmp_path,
        f"folder {tmp_path} must be readable, got permission denied: change its permissions or "
        "take it away",
    )


def test_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.bin"
    with writing(path) as stream:
        stream.write(b"whole")

    def fails():
        with writing(path) as stream:
            stream.write(b"ha")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fails()
    assert path.read_bytes() == b"whole"
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_cache_is_the_named_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EXEUNT_CACHE", str(tmp_path / "a" / "b"))
    assert cache_folder("EXEUNT_CACHE", "exeunt") == tmp_path / "a" / "b"


@pytest.mark.parametrize(
    ("place", "why"), [("/proc/x", "no such file or directory"), ("file", "file exists")]
)
def test_named_cache_that_cannot_be_written(tmp_path, monkeypatch, place, why):
    (tmp_path / "file").write_text("x")
    given = place if place.startswith("/") else str(tmp_path / place)
    monkeypatch.setenv("EXEUNT_CACHE", given)
    sentence = (
        f"EXEUNT_CACHE must be a folder that can be written, got {given} ({why}): set another one "
        "or unset it"
    )
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        cache_folder("EXEUNT_CACHE", "exeunt")


def test_without_a_home_the_cache_is_with_the_temporary_files(tmp_path, monkeypatch):
    for name in ("EXEUNT_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / f"exeunt-{os.getuid()}" / "exeunt"
    for home in ("/proc/nobody", None):  # one that cannot be written, and none at all

        def told(home=home):
            if home is None:
                raise RuntimeError("Could not determine home directory.")
            return Path(home)

        monkeypatch.setattr(Path, "home", told)
        assert cache_folder("EXEUNT_CACHE", "exeunt") == place
    assert place.parent.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    (tmp_path / "exeunt-4321").mkdir()  # somebody else's
    assert cache_folder("EXEUNT_CACHE", "exeunt").parent not in (
        place.parent,
        tmp_path / "exeunt-4321",
    )


def test_no_place_for_a_cache_at_all(monkeypatch):
    for name in ("EXEUNT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/proc/nobody")
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    sentence = (
        "a folder for what can be made again must be writable, got no such file or directory in "
        "home and temporary folder: set EXEUNT_CACHE to one"
    )
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        cache_folder("EXEUNT_CACHE", "exeunt")


def test_code_of_the_own_folder(tmp_path):
    for name, text in {
        "net.py": "import torch, blocks\nfrom parts.head import Head\nfrom parts import body\n",
        "blocks.py": "def f():\n    from deep import x\n",
        "deep.py": "import net\n",
        "parts/__init__.py": "",
        "parts/head.py": "from . import shared\nfrom ..other import y\n",
        "parts/body.py": "",
        "parts/shared.py": "",
        "other.py": "",
        "unused.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [p.relative_to(tmp_path).as_posix() for p in code_files(tmp_path / "net.py")]
    assert found[0] == "net.py"
    assert set(found[1:]) == {
        *("blocks.py", "deep.py", "other.py"),
        *("parts/__init__.py", "parts/head.py", "parts/body.py", "parts/shared.py"),
    }
    (tmp_path / "blocks.py").write_text("def broken(:")
    assert tmp_path / "deep.py" not in code_files(tmp_path / "net.py")
    assert code_files(tmp_path / "none.py") == [tmp_path / "none.py"]
