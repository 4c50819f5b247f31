"""Downloads, from a server on this machine."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exeunt.errors import InputError, ToolError
from exeunt.quant.data import fetch as module

NAMES = ("a.gz", "b.gz")
CONTENT = {"a.gz": b"first" * 5000, "b.gz": b"second" * 3000}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; counts requests; breaks off in the middle of the first ones if asked to."""

    requested: list[str] = []  # noqa: RUF012 - shared by all requests on purpose
    break_off = 0

    def do_GET(self):
        Handler.requested.append(self.path)
        if Handler.break_off and not self.path.endswith("/"):
            Handler.break_off -= 1
            raw = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw[: len(raw) // 2])
            return
        super().do_GET()

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server of CONTENT, which stands in for the mirror of mnist."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, raw in CONTENT.items():
        (folder / name).write_bytes(raw)
    files = {n: "md5:" + hashlib.md5(raw).hexdigest() for n, raw in CONTENT.items()}
    monkeypatch.setattr(module, "SOURCES", {"mnist": module.Source("http://none.invalid/", files)})
    Handler.requested = []
    Handler.break_off = 0
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


def test_downloads_what_is_missing_once(server, tmp_path):
    files = module.fetch("mnist", tmp_path, url=server)
    assert [f.relative_to(tmp_path).as_posix() for f in files] == ["mnist/a.gz", "mnist/b.gz"]
    assert all(f.read_bytes() == CONTENT[f.name] for f in files)
    assert Handler.requested == ["/a.gz", "/b.gz"]
    files[0].write_bytes(b"damaged since")
    module.fetch("mnist", tmp_path, url=server)
    assert Handler.requested == ["/a.gz", "/b.gz", "/a.gz"]
    assert files[0].read_bytes() == CONTENT["a.gz"]


def test_mirror_of_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("EXEUNT_MNIST_URL", server + "/")
    assert len(module.fetch("mnist", tmp_path)) == 2


def test_a_broken_download_is_tried_again(server, tmp_path):
    Handler.break_off = 1
    files = module.fetch("mnist", tmp_path, url=server, retries=1)
    assert files[0].read_bytes() == CONTENT["a.gz"]
    assert Handler.requested == ["/a.gz", "/a.gz", "/b.gz"]


def test_a_download_that_keeps_breaking_off_leaves_no_file(server, tmp_path):
    Handler.break_off = 9
    with pytest.raises(ToolError, match=r"a\.gz must be downloadable, got .*: check the network"):
        module.fetch("mnist", tmp_path, url=server, retries=0)
    assert list((tmp_path / "mnist").iterdir()) == []


def test_wrong_checksum(server, tmp_path):
    (tmp_path / "served" / "b.gz").write_bytes(b"something else")
    with pytest.raises(ToolError) as caught:
        module.fetch("mnist", tmp_path, url=server, retries=0)
    expected = "md5:" + hashlib.md5(CONTENT["b.gz"]).hexdigest()
    assert str(caught.value) == (
        f"{server}/b.gz must have the checksum {expected}, got a file with another: try again, or "
        "set EXEUNT_MNIST_URL to a mirror"
    )
    assert [f.name for f in (tmp_path / "mnist").iterdir()] == ["a.gz"]


def test_not_found(server, tmp_path):
    (tmp_path / "served" / "a.gz").unlink()
    with pytest.raises(ToolError, match=r"a\.gz must be downloadable, got 404 .*EXEUNT_MNIST_URL"):
        module.fetch("mnist", tmp_path, url=server, retries=0)


def test_no_server(server, tmp_path):
    with pytest.raises(ToolError, match=r"must be downloadable, got .*: check the network"):
        module.fetch("mnist", tmp_path, url="http://127.0.0.1:9", retries=0)


def test_unknown_dataset(tmp_path):
    with pytest.raises(InputError) as caught:
        module.fetch("imagenet", tmp_path)
    assert str(caught.value) == (
        "dataset to fetch must be one of mnist, fashion-mnist, cifar10, got 'imagenet': put "
        "others into the data folder yourself"
    )


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "mnist").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        module.fetch("mnist", tmp_path)
    assert str(caught.value) == (
        f"data folder {tmp_path}/mnist must be writable, got File exists: choose another --data"
    )
