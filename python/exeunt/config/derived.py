"""Configs made of another one."""

from __future__ import annotations

from exeunt.config.tree import Config


def of_file(config: Config, source: str, *, name: str, heads: bool = False) -> Config:
    """The config of the same run for its network in a QONNX file, taken as it is.

    Args:
        config: the network was made by; what trained or compressed it is left out.
        source: as `model.source`, such as "qonnx:network.onnx".
        name: of the run.
        heads: whether its early exits were trained apart from it.
    """
    empty = dict.fromkeys(("stages", "files", "exits"), ())
    absent = dict.fromkeys(("preprocess", "preset", "width"))
    model = config.model.model_copy(update={"source": source, **empty, **absent})
    loss = None if heads else config.train.loss
    train = config.train.model_copy(update={"exit_weights": None, "start": "", "loss": loss})
    changed = {"name": name, "model": model, "train": train, "compress": None}
    return config.model_copy(update=changed)
