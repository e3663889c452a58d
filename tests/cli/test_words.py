"""How the words of a command are told apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.cli.command import arguments_last
from postroom.domain import ids
from tests.acceptance.house import run, run_json
from tests.cli.conftest import Things

ID = ids.lowest(1_795_295_261_828)


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ([ID], ["--", ID]),
        ([ID, "--json"], ["--json", "--", ID]),
        (["--org", ID, "a"], ["--org", ID, "--", "a"]),
        (["a", "--org", "--json", ID], ["--org", "--json", "--", "a", ID]),
        (["--json", "a", "-"], ["--json", "--", "a", "-"]),
        (["a", "--", "--json", ID], ["--", "a", "--json", ID]),
        ([f"--org={ID}", "-x"], [f"--org={ID}", "-x", "--"]),
        (["--listener-concurrenc"], ["--listener-concurrenc", "--"]),
        (["--org"], ["--org"]),
        (["a", "--json", "--org"], ["a", "--json", "--org"]),
        ([], ["--"]),
    ],
)
def test_arguments_come_last(words: list[str], read: list[str]) -> None:
    """Ids, though they begin with a hyphen, and a hyphen alone are arguments; an option keeps its value."""
    assert arguments_last(words, {"--org"}) == read


@given(st.lists(st.sampled_from(["a", "-", ID, "--json", "--org"])))
def test_no_word_is_lost(words: list[str]) -> None:
    """Every word is there once, with a `--` unless the last option has no value."""
    read = arguments_last(words, {"--org"})
    assert sorted(read) == sorted([*words, "--"]) or read == words
    assert read != words or words[-1] == "--org"


def test_ids_are_names(data: Path, things: Things) -> None:
    """An id is taken as an argument and as the value of an option, before and behind options."""
    assert things.queue.startswith("-")
    sent = run_json("send", "--name", "one", things.queue, "--org", things.org, "hello", data=data)
    assert sent["message"]["name"] == "one"
    assert run_json("send", things.queue, things.listener, data=data)["message"]["id"]


def test_data_with_a_hyphen(data: Path) -> None:
    """Behind two hyphens, what looks like an option is data; without them it is complained about."""
    refused = run("send", "orders", "-5", data=data)
    assert refused.returncode == 2
    assert "-5" in refused.stderr
    done = run("send", "orders", "--data", str(data), "--", "-5")
    assert done.returncode == 0, done.stderr
