"""The networks that a search may choose."""

from __future__ import annotations

import random

import pytest

from exeunt.config import tree
from exeunt.config.search import Search
from exeunt.errors import InputError
from exeunt.search import space

NONE = Search(widths=(), strides=(), pools=(), weight_bits=(), activation_bits=(), exits=False)


def drawn(name: str, section: Search, seed: int) -> tuple[tree.Config, dict[str, object]]:
    draw, asked = random.Random(seed), {}

    def choose(key, values):
        assert key not in asked, "each is asked once"
        asked[key] = draw.choice(list(values))
        return asked[key]

    return space.network(tree.load(name), section, choose), asked


@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10-vgg", "cifar10-resnet8", "b-lenet"])
def test_its_own_network_is_one_of_them(name: str):
    config, section = tree.load(name), Search(strides=(2,), criteria=("softmax",))
    made = space.network(config, section, space.answers(space.own(config, section)))
    assert made.model.stages == config.model.stages
    assert made.model.weight_bits == config.model.weight_bits
    assert made.calibrate.criterion == config.calibrate.criterion
    assert made.train == config.train
    assert not made.compile.baseline


def test_its_last_exit_alone_has_all_blocks():
    config = tree.load("cifar10-vgg")
    choices = space.own(config, Search(), single=True)
    made = space.network(config, Search(), space.answers(choices))
    (stage,) = made.model.stages
    assert stage.blocks == tuple(b for s in config.model.stages for b in s.blocks)
    assert stage.head == config.model.stages[-1].head


PASSES = """
[compress]
passes = [{ kind = "filters", budget = 0.5 }, { kind = "precision", weight_budget = 0.8 }]
images = 99
"""


def test_passes_and_their_budgets():
    config = tree.parse(tree.to_toml(tree.load("digits")) + PASSES)
    section = NONE.model_copy(update={"stages": 3, "budgets": (0.25, 0.5)})
    own = space.own(config, section)
    assert own == {"stages": 3, "filters0": 0.5, "precision1": 0.8}
    made = space.network(config, section, space.answers(own))
    assert made.compress == config.compress
    made = space.network(config, section, space.answers({**own, "filters0": 1.0}))
    assert made.compress is not None
    assert [p.kind for p in made.compress.passes] == ["precision"]
    assert made.compress.images == 99
    made = space.network(config, section, space.answers({**own, "precision1": 0.25}))
    assert made.compress is not None
    first, second = made.compress.passes
    assert (first.budget, second.budget) == (0.5, 0.25)
    none = space.answers({**own, "filters0": 1.0, "precision1": 1.0})
    assert space.network(config, section, none).compress is None
    with pytest.raises(InputError, match=r"^the choice filters0 must be one of 1.0, 0.25, 0.5, "):
        space.network(config, section, space.answers({**own, "filters0": 0.75}))


def test_centroids_are_those_of_the_pass_or_it_is_left_out():
    passes = '[compress]\npasses = [{ kind = "sharing", centroids = 4 }]\n'
    config = tree.parse(tree.to_toml(tree.load("digits")) + passes)
    section = NONE.model_copy(update={"stages": 3, "budgets": (0.25, 0.5)})
    own = space.own(config, section)
    assert own == {"stages": 3, "sharing0": 4.0}
    assert space.network(config, section, space.answers(own)).compress == config.compress
    none = space.answers({**own, "sharing0": 1.0})
    assert space.network(config, section, none).compress is None
    with pytest.raises(InputError, match=r"^the choice sharing0 must be one of 1.0, 4.0, got 0.5"):
        space.network(config, section, space.answers({**own, "sharing0": 0.5}))


def test_passes_stay_as_they_are_without_budgets():
    config = tree.parse(tree.to_toml(tree.load("digits")) + PASSES)
    section = NONE.model_copy(update={"stages": 3})
    made = space.network(config, section, space.answers({"stages": 3}))
    assert made.compress == config.compress


def test_nothing_is_asked_where_nothing_may_change():
    config = tree.load("digits")

    def choose(key, values):
        assert (key, list(values)) == ("stages", [3])
        return 3

    made = space.network(config, NONE.model_copy(update={"stages": 3}), choose)
    assert made.model.stages == config.model.stages


def test_widths_strides_pools_bits():
    section = Search(widths=(0.5, 1.0), strides=(1, 2), pools=(1, 2), weight_bits=(2, 4))
    choices = {
        "stages": 2, "exit0": True, "width0": 0.5, "width1": 1.0, "stride": 1, "pool0": 2,
        "pool1": 1, "weight_bits": 2, "activation_bits": 3,
    }  # fmt: skip
    made = space.network(tree.load("digits"), section, space.answers(choices)).model
    first, second = made.stages
    assert (first.blocks[0].conv, first.blocks[0].stride) == (4, 1)
    assert [(p.pool, p.size) for p in first.head[:1]] == [("max", 2)]
    assert second.blocks[0].conv == 16
    assert [getattr(y, "linear", None) for y in second.head] == [10]
    assert (made.weight_bits, made.activation_bits) == (2, 3)


DEPTHWISE = """
name = "d"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [
  { conv = 8 },
  { conv = 16, groups = 8 },
  { residual = [{ conv = 8, padding = 1 }, { conv = 16, padding = 1 }] },
]
head = [{ conv = 6, kernel = 1 }, { linear = 12 }]
"""


def test_channels_that_belong_together_stay_so():
    config, section = tree.parse(DEPTHWISE), NONE.model_copy(update={"widths": (0.5,)})
    choices = {"stages": 1, "width0": 0.5}
    (stage,) = space.network(config, section, space.answers(choices)).model.stages
    conv, depthwise, block = stage.blocks
    assert (conv.conv, depthwise.conv, depthwise.groups) == (4, 8, 4)
    assert [y.conv for y in block.residual] == [4, 8]
    assert stage.head[0].conv == 3
    assert stage.head[1].linear == 12


@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10-vgg", "cifar10-resnet8"])
def test_what_is_drawn_can_be_made_again(name: str):
    for seed in range(12):
        config, asked = drawn(name, Search(strides=(1, 2)), seed)
        again = space.network(tree.load(name), Search(strides=(1, 2)), space.answers(asked))
        assert again == config == tree.parse(tree.to_toml(config))


def test_a_pool_is_at_most_as_large_as_its_map():
    section = NONE.model_copy(update={"stages": 3, "pools": (64,)})
    choices = {"stages": 3, "pool0": 1, "pool1": 2, "pool2": 64}
    stage = space.network(tree.load("digits"), section, space.answers(choices)).model.stages[-1]
    assert stage.head[0].size == 4


def test_epochs_are_those_of_the_search():
    section = NONE.model_copy(update={"stages": 3, "epochs": 2})
    made = space.network(tree.load("digits"), section, space.answers({"stages": 3}))
    assert made.train.epochs == 2
    assert made.train.learning_rate == tree.load("digits").train.learning_rate


def test_an_answer_that_there_is_not():
    sentence = r"^the choice stages must be one of 1, 2, 3, got 7: change it$"
    with pytest.raises(InputError, match=sentence):
        space.network(tree.load("digits"), Search(), space.answers({"stages": 7}))
