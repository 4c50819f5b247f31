"""Downloads of the well-known datasets, each file checked against its checksum."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch

from exeunt.errors import InputError, ToolError

_NAMES = tuple(
    f"{half}-{what}-ubyte.gz"
    for half in ("train", "t10k")
    for what in ("images-idx3", "labels-idx1")
)


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from: a base URL, and the files below it with their checksums."""

    url: str
    files: Mapping[str, str]  # name -> "algorithm:hex"


SOURCES: Mapping[str, Source] = {
    "mnist": Source(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            _NAMES[0]: "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
            _NAMES[1]: "md5:d53e105ee54ea40749a09fcbcd1e9432",
            _NAMES[2]: "md5:9fb629c4189551a2d022fa330f9573f3",
            _NAMES[3]: "md5:ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion-mnist": Source(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            _NAMES[0]: "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            _NAMES[1]: "md5:25c81989df183df01b3e8a0aad5dffbe",
            _NAMES[2]: "md5:bef4ecab320f06d8554ea6380940ec79",
            _NAMES[3]: "md5:bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "cifar10": Source(
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-python.tar.gz": "md5:c58f30108f718f92721af3b95e74349a"},
    ),
}


def fetch(
    dataset: str, data_dir: Path, *, url: str | None = None, retries: int = 2
) -> tuple[Path, ...]:
    """Download `dataset` into `data_dir`/<dataset>; what is there and whole is not loaded again.

    A file appears under its name only when it is whole and its checksum is right.

    Args:
        dataset: "mnist", "fashion-mnist" or "cifar10".
        data_dir: the folder that holds the datasets.
        url: a mirror's base URL; else that of the environment variable EXEUNT_MNIST_URL,
            EXEUNT_FASHION_MNIST_URL or EXEUNT_CIFAR10_URL, else the usual one.
        retries: how often a failed or damaged download is tried again.

    Returns:
        The files.

    Raises:
        InputError: no such dataset, or the folder cannot be written.
        ToolError: a download fails, or its checksum is wrong.
    """
    if dataset not in SOURCES:
        raise InputError(
            f"dataset to fetch must be one of {', '.join(SOURCES)}, got {dataset!r}: put others "
            "into the data folder yourself"
        )
    source = SOURCES[dataset]
    variable = f"EXEUNT_{dataset.upper().replace('-', '_')}_URL"
    base = (url or os.environ.get(variable) or source.url).rstrip("/") + "/"
    folder = Path(data_dir) / dataset
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"data folder {folder} must be writable, got {error.strerror}: choose another --data"
        ) from None
    return tuple(
        _fetch(folder, base, name, checksum, retries, variable)
        for name, checksum in source.files.items()
    )


def _fetch(folder: Path, base: str, name: str, checksum: str, retries: int, variable: str) -> Path:
    keeper = pooch.create(
        path=folder, base_url=base, registry={name: checksum}, retry_if_failed=retries
    )
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        return Path(keeper.fetch(name, downloader=pooch.HTTPDownloader(timeout=30)))
    except ValueError:
        raise ToolError(
            f"{base}{name} must have the checksum {checksum}, got a file with another: try again, "
            f"or set {variable} to a mirror"
        ) from None
    except OSError as error:  # every error of requests is one
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ToolError(
            f"{base}{name} must be downloadable, got {reason}: check the network, or set "
            f"{variable} to a mirror"
        ) from None
    finally:
        logger.setLevel(level)
