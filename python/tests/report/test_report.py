"""report.json merges and never tears; report.html shows what there is and needs nothing else."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.report import document, store


def test_update_merges_tables_and_replaces_the_rest(tmp_path):
    store.update(tmp_path, {"b": {"x": 1, "list": [1, 2]}, "a": 1})
    store.update(tmp_path, {"b": {"y": np.float32(0.5), "list": (3,)}, "c": np.arange(2)})
    text = (tmp_path / "report.json").read_text()
    assert json.loads(text) == {
        "schema": 1,
        "a": 1,
        "b": {"x": 1, "y": 0.5, "list": [3]},
        "c": [0, 1],
    }
    assert re.findall(r'^ {2}"(\w+)"', text, re.MULTILINE) == ["a", "b", "c", "schema"]
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_values_that_are_not_finite_become_null(tmp_path):
    store.update(tmp_path, {"a": float("nan"), "b": [np.inf, 1.0]})
    assert store.read(tmp_path) == {"schema": 1, "a": None, "b": [None, 1.0]}


def test_discard_takes_dotted_keys(tmp_path):
    exits = [{"rate": 0.5, "cycles": 7}, {"rate": 0.5}]
    store.update(tmp_path, {"a": {"x": 1, "y": 2}, "b": 3, "exits": exits})
    store.discard(tmp_path, ("a.x", "b", "no.such", "a.y.z", "exits.cycles"))
    assert store.read(tmp_path) == {"schema": 1, "a": {"y": 2}, "exits": [{"rate": 0.5}] * 2}


@pytest.mark.parametrize(
    ("key", "held"),
    [
        ("a.x", True),
        ("a.z", False),
        ("b", True),
        ("b.x", False),
        ("no.such", False),
        ("counts[target]", True),
        ("counts[board=zcu104]", True),
        ("counts[board=pynq-z2]", False),
        ("bench[board=zcu104]", True),
        ("bench[board=pynq-z2]", False),
        ("bench[target]", False),
    ],
)
def test_holds_knows_the_keys_that_discard_takes(tmp_path, key, held):
    counts = [{"target": "xc7"}, {"board": "zcu104"}]
    store.update(tmp_path, {"a": {"x": 1}, "b": 3, "counts": counts, "bench": {"board": "zcu104"}})
    assert store.holds(tmp_path, key) is held


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 99}', "\x00"])
def test_file_that_is_not_a_report(tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    sentence = r"must be JSON of schema 1, got .*: delete it and run the steps again$"
    with pytest.raises(InputError, match=sentence):
        store.update(tmp_path, {})


def test_failed_write_leaves_the_old_file(tmp_path):
    store.update(tmp_path, {"a": 1})
    with pytest.raises(TypeError):
        store.update(tmp_path, {"a": object()})
    assert store.read(tmp_path)["a"] == 1
    with pytest.raises(UnicodeEncodeError):
        store.write_text(tmp_path / "x", "\udcff")
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_page_has_every_section_and_stands_alone(finished):
    page = document.write(finished).read_text()
    for name in [
        "exits",
        "network",
        "images",
        "cost",
        "training",
        "timeline",
        "blocks",
        "finn",
        "identity",
        "config",
        "notes",
    ]:
        assert f'<h2 id="{name}">' in page, name
    assert "97.5% of 60 test images are answered right" in page
    assert "last exit alone 97.80%, 60 test images" in page
    assert "every answer matches the reference" in page
    assert page.count("<svg") == 5
    assert "#010203" not in page
    links = set(re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\')\s>]+)', page))
    assert all(link.startswith(("#", "data:")) for link in links), links


def test_contents_lead_to_every_section(finished):
    page = document.write(finished).read_text()
    named = re.findall(r'<a href="#(\w[\w-]*)">', page)
    assert named == ["top", *re.findall(r'<h2 id="([\w-]+)">', page)]


def test_finns_files_are_under_one_fold(finished):
    page = document.write(finished).read_text()
    start = page.index("<details><summary>FINN&#39;s 1 files</summary>")
    assert page.index("report/estimate_network_performance.json", start) > start
    assert page.count("<summary>report/") == 1


def test_page_is_the_same_for_the_same_files(finished):
    first = document.write(finished).read_bytes()
    assert document.write(finished).read_bytes() == first


def test_page_of_an_empty_run_says_so(tmp_path):
    page = document.write(tmp_path).read_text()
    assert "Nothing has been measured yet." in page
    assert "The RTL has not been simulated: exeunt simulate." in page
    assert "Resources have not been counted: exeunt synth." in page


def test_mismatches_are_not_hidden(finished):
    store.update(finished, {"simulation": {"mismatches": 3}})
    page = document.write(finished).read_text()
    assert "3 answers differ from the reference" in page
    assert 'class="tile bad"' in page


def test_names_are_escaped(finished):
    store.update(finished, {"name": "<script>"})
    assert "<script>" not in document.write(finished).read_text()


def test_two_kinds_of_entry_share_a_list(tmp_path):
    def names():
        return [e.get("target") or e["board"] for e in store.read(tmp_path).get("s", [])]

    store.put(tmp_path, "s", "target", [{"target": "xc7", "n": 1}, {"target": "ecp5"}])
    store.put(tmp_path, "s", "board", [{"board": "a", "n": np.int64(2)}, {"board": "b"}])
    store.put(tmp_path, "s", "target", [{"target": "xc7", "n": 3}])
    assert names() == ["xc7", "ecp5", "a", "b"]
    assert store.read(tmp_path)["s"][0] == {"target": "xc7", "n": 3}
    store.discard(tmp_path, ("s[board=a]",))
    assert names() == ["xc7", "ecp5", "b"]
    store.discard(tmp_path, ("s[target]",))
    assert names() == ["b"]
    store.discard(tmp_path, ("s[board]",))
    assert "s" not in store.read(tmp_path)


def test_page_says_whether_predicted_cycles_can_be_relied_on(finished):
    reference = {"max_relative_error": 0.1129, "frames_exact": 1004, "frames_total": 1052}
    store.update(finished, {"cycle_reference": reference})
    page = document.write(finished).read_text()
    assert "The cycle reference is off on this network: 1,004 of 1,052 images are exact" in page
    assert "wrong by up to 11.29%." in page
    store.update(finished, {"cycle_reference": reference | {"frames_exact": 1052}})
    page = document.write(finished).read_text()
    assert "predicts the cycles of all 1,052 images exactly" in page


def test_page_says_what_is_promised(finished):
    assert "leave with a wrong answer" not in document.write(finished).read_text()
    made = {
        "kind": "average", "permitted": 0.005, "holds": True, "images": 5000, "tested": 4000,
        "lost": 17, "allowed": 19, "test": {"images": 10_000, "lost": 44, "chance": 0.6},
    }  # fmt: skip
    store.update(finished, {"calibration": {"guarantee": made}})
    page = document.write(finished).read_text()
    assert (
        "On average at most 0.5% of the images leave with a wrong answer where the last exit has "
        "the right one."
    ) in page
    assert (
        "Of 10,000 test images 44 do so, 0.44%; of 4,000 validation images on which the thresholds "
        "were tested 17, where 19 were allowed."
    ) in page
    made |= {"holds": False, "images": 99, "images_needed": 248, "test": None}
    store.update(finished, {"calibration": {"guarantee": made}})
    assert "Nothing is promised: that on average" in document.write(finished).read_text()
