"""Configs: what is accepted, and the sentence for everything that is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exeunt.config import tree
from exeunt.config.compress import KINDS
from exeunt.errors import InputError

BASE = """
name = "tiny"

[data]
dataset = "digits"
validation = 0.1

[model]
input = [8, 8, 1]
classes = 10

[[model.stages]]
blocks = [{ conv = 8, kernel = 3 }, { pool = "max", size = 2 }]
head = [{ pool = "average", size = "global" }, { linear = 16 }]

[[model.stages]]
blocks = [{ conv = 16, kernel = 3 }]
head = []
"""


@pytest.mark.parametrize("name", tree.shipped())
def test_shipped_configs_survive_a_round_trip(name):
    loaded = tree.load(name)
    assert loaded.name == name
    assert tree.parse(tree.to_toml(loaded)) == loaded


def test_defaults_and_heads():
    loaded = tree.parse(BASE)
    assert loaded.compile.kernels == "exeunt"
    assert loaded.synth.targets == ("xc7", "xcup", "ecp5")
    assert loaded.model.head(1) == (tree.Linear(linear=10),)
    assert loaded.model.head(0)[1:] == (tree.Linear(linear=16), tree.Linear(linear=10))
    explicit = tree.parse(BASE.replace("head = []", "head = [{ linear = 10, weight_bits = 8 }]"))
    assert explicit.model.head(1) == (tree.Linear(linear=10, weight_bits=8),)


REFUSED = [
    (
        "classes = 10",
        "clases = 10",
        "key 'model.clases' must be a known one, got 'clases': did you mean 'classes'?",
    ),
    (
        "[data]",
        "[compil]\nheadroom = 2.0\n[data]",
        "key 'compil' must be a known one, got 'compil': did you mean 'compile'?",
    ),
    (
        "conv = 8, kernel = 3",
        "conv = 8, kernal = 3",
        "key 'model.stages[0].blocks[0].kernal' must be a known one, got 'kernal': "
        "did you mean 'kernel'?",
    ),
    ("classes = 10", "classes = 1", "model.classes must be at least 2, got 1: change it"),
    (
        "classes = 10",
        'classes = "ten"',
        'model.classes must be an integer, got "ten": change it',
    ),
    ("classes = 10", "", "key 'model.classes' must be given, got nothing: add it"),
    (
        "classes = 10",
        "classes = 10\nweight_bits = 9",
        "model.weight_bits must be at most 8, got 9: change it",
    ),
    (
        "classes = 10",
        "classes = 10\nactivation_bits = 1",
        "model.activation_bits must be at least 2, got 1: change it",
    ),
    (
        "input = [8, 8, 1]",
        "input = [8, 8]",
        "key 'model.input[2]' must be given, got nothing: add it",
    ),
    (
        "input = [8, 8, 1]",
        "input = 64",
        "model.input must be a list, got 64: change it",
    ),
    (
        "conv = 8,",
        "conv = 70000,",
        "model.stages[0].blocks[0].conv must be at most 65535, got 70000: change it",
    ),
    (
        "classes = 10",
        "classes = 10\npreprocess = 1.0",
        "model.preprocess must be a table, got 1.0: change it",
    ),
    (
        "classes = 10",
        "classes = 10\npreprocess = { scale = 1e-300 }",
        "model.preprocess.scale must be at least 0.000000001, got 1e-300: change it",
    ),
    (
        "classes = 10",
        "classes = 10\npreprocess = { std = [1e-300] }",
        "model.preprocess.std[0] must be at least 0.000000001, got 1e-300: change it",
    ),
    (
        "classes = 10",
        'classes = 10\nfiles = ["a", "b\\u0000"]',
        "model.files[1] must be text without the character \\u0000: take it out",
    ),
    (
        "conv = 8,",
        "",
        'model.stages[0].blocks[0] must have a key "conv", "pool" or "residual", got '
        "{ kernel = 3 }: add it",
    ),
    (
        'pool = "max"',
        'pool = "min"',
        'model.stages[0].blocks[1].pool must be "max" or "average", got "min": change it',
    ),
    (
        "size = 2",
        'size = "all"',
        'model.stages[0].blocks[1].size must be an integer or "global", got "all": change it',
    ),
    (
        "size = 2",
        "size = 7",
        "model.stages[0].blocks[1] must have a window within its 6 x 6 input, got 7: change it",
    ),
    (
        "size = 2",
        'size = "global"',
        'model.stages[0].blocks[1].size must be a number in a stage, got "global": change it',
    ),
    (
        "conv = 8, kernel = 3",
        "conv = 8, kernel = 3, padding = 3",
        "model.stages[0].blocks[0].padding must be below the window 3, got 3: change it",
    ),
    (
        '{ pool = "average", size = "global" }, { linear = 16 }',
        '{ linear = 16 }, { pool = "average", size = "global" }',
        "model.stages[0].head[1] must not be a pool behind a linear layer: change it",
    ),
    (
        '{ pool = "average", size = "global" }, { linear = 16 }',
        "{ linear = 16 }, { conv = 4, kernel = 1 }",
        "model.stages[0].head[1] must not be a convolution behind a linear layer: change it",
    ),
    (
        '{ pool = "average", size = "global" }, { linear = 16 }',
        "{ conv = 4, kernel = 9 }, { linear = 16 }",
        "model.stages[0].head[0] must have a window within its 3 x 3 input, got 9: change it",
    ),
    (
        "[model]",
        '[model]\nsource = "torch"',
        'model.source must be "config", "python:file.py:Class" or "qonnx:model.onnx", '
        'got "torch": change it',
    ),
    (
        "[model]",
        '[model]\nsource = "python:net.py"',
        'model.source must read "python:file.py:Class", got "python:net.py": change it',
    ),
    (
        "[model]",
        '[model]\nsource = "qonnx:"',
        'model.source must read "qonnx:model.onnx", got "qonnx:": change it',
    ),
    (
        "[model]",
        '[model]\nsource = "qonnx:a.onnx"',
        'model.stages must be absent when source is "qonnx:a.onnx", got 2: change it',
    ),
    (
        "validation = 0.1",
        "validation = 1.5",
        "data.validation must be an integer or below 1, got 1.5: change it",
    ),
    (
        'name = "tiny"',
        'name = "../tiny"',
        'name must be text that matches pattern "^[A-Za-z0-9][A-Za-z0-9_.-]*$", '
        'got "../tiny": change it',
    ),
    (
        "[data]",
        "[train]\nexit_weights = [1.0]\n[data]",
        "train.exit_weights must have one entry for each of 2 exits, got 1: change it",
    ),
    (
        "[data]",
        "[train]\ndistill = nan\n[data]",
        "train.distill must be a finite number, got nan: change it",
    ),
    (
        "[data]",
        "[train]\nseed = 99999999999999999999\n[data]",
        "train.seed must be below 9223372036854775808, got 99999999999999999999: change it",
    ),
    *[
        (
            "[data]",
            f"[compile]\nin_flight = {value}\n[data]",
            f"compile.in_flight must be a power of two from 2 to 256, got {value}: change it",
        )
        for value in (3, 100, 255)
    ],
    (
        "[data]",
        "[compile]\nin_flight = 1\n[data]",
        "compile.in_flight must be at least 2, got 1: change it",
    ),
    (
        "[data]",
        "[compile]\nin_flight = 512\n[data]",
        "compile.in_flight must be at most 256, got 512: change it",
    ),
    (
        "[data]",
        "[compile]\nbuffer_frames = 0\n[data]",
        "compile.buffer_frames must be at least 1, got 0: change it",
    ),
    (
        "[data]",
        "[compile]\nclock_mhz = 1e300\n[data]",
        "compile.clock_mhz must be at most 1000, got 1e+300: change it",
    ),
    (
        "[data]",
        "[compile]\nheadroom = 1e300\n[data]",
        "compile.headroom must be at most 1000, got 1e+300: change it",
    ),
    (
        "[data]",
        "[train]\nbatch = 1\n[data]",
        "train.batch must be at least 2, got 1: change it",
    ),
    (
        "[data]",
        "[train]\nshift = 8\n[data]",
        "train.shift must be below the side of the images, 8, got 8: change it",
    ),
    (
        "[data]",
        "[train]\ncutout = 9\n[data]",
        "train.cutout must be at most the side of the images, 8, got 9: change it",
    ),
    (
        "[data]",
        "[train]\nepochs = 5\nfloat_epochs = 5\n[data]",
        "train.float_epochs must be below train.epochs = 5, got 5: change it",
    ),
    (
        'dataset = "digits"',
        'dataset = "mine"\nformat = "digits"',
        'data.format must be "digits" for dataset "digits" alone, got "mine": change it',
    ),
    (
        "[data]",
        "[compress]\npasses = [{ kind = 'filters', multiple = 16 }]\n[data]",
        "compress.passes[0].multiple must leave layers something to lose, got 16 with floor 0.25 "
        "where the widest layer has 16 filters: change it",
    ),
    (
        "validation = 0.1",
        "seed = 9223372036854775808",
        "data.seed must be below 9223372036854775808, got 9223372036854775808: change it",
    ),
    (
        "[data]",
        "[synth]\ntargets = []\n[data]",
        "synth.targets must be longer: at least 1 item, got []: change it",
    ),
    (
        "[data]",
        "[compile]\nbaseline = 1\n[data]",
        "compile.baseline must be true or false, got 1: change it",
    ),
    *[
        (
            "[data]",
            f"[calibrate]\ndelta = {value}\n[data]",
            f"calibrate.delta must be {rule}, got {value}: change it",
        )
        for value, rule in (("0.0", "above 0"), ("1.0", "below 1"), ("-0.5", "above 0"))
    ],
    (
        "[data]",
        '[calibrate]\nguarantee = "probabilty"\n[data]',
        'calibrate.guarantee must be "none", "probability" or "average", got "probabilty": '
        'did you mean "probability"?',
    ),
    (
        "[data]",
        '[calibrate]\nguarantee = "sure"\n[data]',
        'calibrate.guarantee must be "none", "probability" or "average", got "sure": change it',
    ),
    (
        "[data]",
        '[calibrate]\nguarantee = "average"\nshift = 1\n[data]',
        'calibrate.shift must be 0 with guarantee = "average", since moved copies are no further '
        "images, got 1: change it",
    ),
    (
        "[data]",
        '[calibrate]\nguarantee = "average"\ndrop = 0.0\n[data]',
        'calibrate.drop must be above 0 with guarantee = "average", since no number of images '
        "shows that none is ever lost, got 0: change it",
    ),
    (
        "[data]",
        '[calibrate]\ncriterion = "exclusion"\nper_class = true\n[data]',
        "calibrate.per_class must go with a criterion that judges each image by its logits at the "
        'exit alone, "margin" or "maximum" or "softmax", got \'exclusion\': change it',
    ),
    (
        "[data]",
        "[calibrate]\nhorizon = -1\n[data]",
        "calibrate.horizon must be at least 0, got -1: change it",
    ),
]


@pytest.mark.parametrize(("old", "new", "sentence"), REFUSED, ids=[r[2][:40] for r in REFUSED])
def test_refusals_are_one_sentence(old, new, sentence):
    assert old in BASE
    with pytest.raises(InputError, match=f"^{re.escape('config tiny.toml: ' + sentence)}$"):
        tree.parse(BASE.replace(old, new, 1), where="tiny.toml")


@pytest.mark.parametrize(
    ("kind", "shape", "sentence"),
    [
        ("folder", [8, 8, 4], 'must have 1 or 3 channels for data.format "folder", got 4'),
        ("zip", [8, 8, 2], 'must have 1 or 3 channels for data.format "zip", got 2'),
        ("cifar", [32, 32, 1], 'must be [32, 32, 3] for data.format "cifar", got [32, 32, 1]'),
    ],
)
def test_images_that_a_format_does_not_have(kind, shape, sentence):
    text = BASE.replace('"digits"', f'"mine"\nformat = "{kind}"').replace("[8, 8, 1]", str(shape))
    with pytest.raises(InputError) as caught:
        tree.parse(text, where="tiny.toml")
    assert str(caught.value) == f"config tiny.toml: model.input {sentence}: change it"


def test_no_stages_and_too_many():
    head = BASE[: BASE.index("[[model")]
    with pytest.raises(InputError, match=r"model.stages must have 1 to 8 entries, got none"):
        tree.parse(head)
    with pytest.raises(InputError, match=r"model.stages must be longer|at most 8 items"):
        tree.parse(head + "[[model.stages]]\nblocks = [{ conv = 2, kernel = 1 }]\n" * 9)


def test_text_that_is_not_toml():
    sentence = r"^config x must be valid TOML, got .*table declaration.*: correct that line$"
    with pytest.raises(InputError, match=sentence):
        tree.parse('name = "a"\n[data', where="x")


def test_unknown_config_names_the_shipped_ones(tmp_path):
    sentence = (
        r"^config 'digit' must be a shipped name \(b-lenet, cifar10.*, digits, mnist.*\) or a TOML "
        r"file, got no such file: check the path, or did you mean 'digits'\?$"
    )
    with pytest.raises(InputError, match=sentence):
        tree.load("digit")


def test_config_that_is_not_text(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(InputError, match=r"must be UTF-8 text, got byte 0xff at offset 8"):
        tree.load(path)


def test_byte_order_mark(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert tree.load(tmp_path / "c.toml") == tree.parse(BASE)


def test_config_that_cannot_be_read(tmp_path):
    (tmp_path / "c.toml").symlink_to("/proc/self/mem")  # also root gets an error from it
    with pytest.raises(
        InputError, match=r"c\.toml must be readable, got input/output error: change"
    ):
        tree.load(tmp_path / "c.toml")


def test_paths_count_from_the_config(tmp_path):
    path = tmp_path / "sub" / "c.toml"
    path.parent.mkdir()
    text = BASE[: BASE.index("[[model")]
    text = text.replace("[model]", '[model]\nsource = "python:net.py:Net"')
    path.write_text(
        text + '[compile]\nfolding = "fold.json"\n[train]\nstart = "../other/checkpoint.pt"\n'
    )
    loaded = tree.load(path)
    assert loaded.model.kind == "python"
    assert loaded.model.file == tmp_path / "sub" / "net.py"
    assert loaded.model.source.endswith("net.py:Net")
    assert Path(loaded.compile.folding or "") == tmp_path / "sub" / "fold.json"
    assert Path(loaded.train.start) == tmp_path / "sub" / ".." / "other" / "checkpoint.pt"


def test_a_file_is_not_trained_from_a_start():
    text = BASE[: BASE.index("[[model")].replace("[model]", '[model]\nsource = "qonnx:a.onnx"')
    with pytest.raises(InputError) as caught:
        tree.parse(text + '[train]\nstart = "a.pt"\n', where="a.toml")
    assert str(caught.value) == (
        "config a.toml: train.start must be absent with a QONNX file, which is taken as it is, got "
        "a.pt: change it"
    )


def test_hashes_follow_their_sections_alone():
    one = tree.parse(BASE)
    two = tree.parse(BASE + "\n[simulate]\nimages = 5\n")
    assert tree.hash_of(one, "data", "model") == tree.hash_of(two, "data", "model")
    assert tree.hash_of(one, "simulate") != tree.hash_of(two, "simulate")
    assert tree.hash_of(one) != tree.hash_of(two)
    renamed = tree.parse(BASE.replace('"tiny"', '"other"'))
    assert tree.hash_of(one) == tree.hash_of(renamed)


def test_frozen():
    with pytest.raises(Exception, match="frozen"):
        tree.parse(BASE).name = "x"


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (
            'passes = [{ kind = "filters", criterion = "magic" }]',
            'compress.passes[0].criterion must be "deeplift", "lrp", "taylor", "gradient", "l1" or '
            '"random", got "magic": change it',
        ),
        (
            'passes = [{ kind = "filters", budget = 1.0 }]',
            "compress.passes[0].budget must be below 1, got 1.0: change it",
        ),
        (
            'passes = [{ kind = "blocks", blok = 4 }]',
            "key 'compress.passes[0].blok' must be a known one, got 'blok': did you mean 'block'?",
        ),
        (
            'passes = [{ kind = "filter" }]',
            'compress.passes[0] must have a key "kind", one of '
            + ", ".join(KINDS)
            + ', got { kind = "filter" }: add it',
        ),
        (
            'passes = [{ kind = "filters" }]\ncompare = { sedes = [1] }',
            "key 'compress.compare.sedes' must be a known one, got 'sedes': did you mean 'seeds'?",
        ),
        (
            'passes = [{ kind = "sharing" }, { kind = "filters" }]',
            'compress.passes must end with the one of kind "sharing", got one of kind "filters" '
            "behind it: change it",
        ),
        (
            "learning_rate = 1e300\npasses = [{ kind = 'filters' }]",
            "compress.learning_rate must be at most 1000, got 1e+300: change it",
        ),
        (
            "passes = []",
            "compress.passes must be longer: at least 1 item, got []: change it",
        ),
    ],
)
def test_compression_that_cannot_be(section, sentence):
    with pytest.raises(InputError) as caught:
        tree.parse(f"{BASE}\n[compress]\n{section}\n", where="tiny.toml")
    assert str(caught.value) == f"config tiny.toml: {sentence}"


def test_bits_of_a_network_without_stages():
    text = """
    name = "theirs"
    [data]
    dataset = "digits"
    [model]
    source = "python:net.py:Net"
    input = [8, 8, 1]
    classes = 10
    [compress]
    passes = [{ kind = "filters" }, { kind = "precision" }]
    """
    sentence = (
        r"compress\.passes\[1\] must have a network of stages for its bits, got model.source = "
        r'"python:net.py:Net": change it$'
    )
    with pytest.raises(InputError, match=sentence):
        tree.parse(text)


def test_a_qonnx_file_is_not_compressed():
    text = """
    name = "theirs"
    [data]
    dataset = "digits"
    [model]
    source = "qonnx:model.onnx"
    input = [8, 8, 1]
    classes = 10
    [compress]
    passes = [{ kind = "filters" }]
    """
    sentence = (
        r"^config config: compress must be absent when model.source is a QONNX file, got one with "
        r"1 passes: change it$"
    )
    with pytest.raises(InputError, match=sentence):
        tree.parse(text)


def test_one_exit_needs_no_promise():
    head = BASE.rpartition("[[model.stages]]")[0]
    single = head + '[calibrate]\nguarantee = "average"\n'
    with pytest.raises(InputError) as caught:
        tree.parse(single, where="tiny.toml")
    assert str(caught.value) == (
        'config tiny.toml: calibrate.guarantee must be "none" for a network of one exit, which '
        "loses nothing (exits from `exeunt attach` can have it, in the config that is left), got "
        '"average": change it'
    )
    assert tree.parse(single.replace('= "average"\n', '= "none"\n')).calibrate.guarantee == "none"


def test_a_criterion_that_looks_back_makes_no_promise(monkeypatch):
    back = type("Criterion", (), {"history": object()})()
    monkeypatch.setattr("exeunt.config.agreement.criteria.get", lambda name: back)
    with pytest.raises(InputError) as caught:
        tree.parse(BASE + '[calibrate]\nguarantee = "average"\n', where="tiny.toml")
    assert str(caught.value) == (
        'config tiny.toml: calibrate.guarantee must be "none" for a criterion that does not judge '
        'each image by itself, "margin", got "average": change it'
    )
