"""Configs made of another one."""

from __future__ import annotations

from exeunt.config.tree import Config


def of_file(config: Config, source: str, *, name: str) -> Config:
    """The config of the same run for its network in a QONNX file, taken as it is.

    Args:
        config: the network was made by; what trained or compressed it is left out.
        source: as `model.source`, such as "qonnx:network.onnx".
        name: of the run.
    """
    empty = dict.fromkeys(("stages", "files", "exits"), ())
    absent = dict.fromkeys(("preprocess", "preset", "width"))
    model = config.model.model_copy(update={"source": source, **empty, **absent})
    train = config.train.model_copy(update={"exit_weights": None, "start": ""})
    changed = {"name": name, "model": model, "train": train, "compress": None}
    return config.model_copy(update=changed)
