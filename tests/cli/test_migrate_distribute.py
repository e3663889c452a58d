"""`postroom migrate --distribute`, with a stand-in for Citus (tests/support/cluster.py)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.store.citus import BIG
from tests.acceptance.client import unique
from tests.acceptance.house import run
from tests.support.cluster import offer_citus, places
from tests.support.postgres import Server

WORDS = ("migrate", "--distribute")


@pytest.fixture
def name(postgres: Server) -> Iterator[str]:
    """An empty database."""
    name = unique("cluster").replace("-", "_")
    postgres.create(name)
    yield name
    postgres.drop(name)


def test_a_line_for_each_table(postgres: Server, name: str) -> None:
    """Big tables may take long: each is told when it is done. The second time there is nothing to do."""
    offer_citus(postgres, name)
    first = run(*WORDS, "--database", postgres.url(name))
    assert (first.returncode, first.stderr) == (0, "")
    *lines, last = [line for line in first.stdout.splitlines() if not line.startswith("Applied")]
    assert (lines[0], last) == ("Distributed migrations.", f"Distributed {BIG[-1]}.")
    assert "Applied migration 0001 (hub)." in first.stdout
    assert places(postgres, name).keys() >= set(BIG)
    second = run(*WORDS, "--database", postgres.url(name))
    assert (second.returncode, second.stdout) == (0, "The database is up to date, and distributed.\n")


def test_json(postgres: Server, name: str) -> None:
    """What was applied, and the tables that were distributed."""
    offer_citus(postgres, name)
    first = json.loads(run(*WORDS, "--json", "--database", postgres.url(name)).stdout)
    assert first["applied"][0] == {"number": 1, "name": "hub"}
    assert set(first["distributed"]) == places(postgres, name).keys()
    second = json.loads(run(*WORDS, "--json", "--database", postgres.url(name)).stdout)
    assert second == {"applied": [], "distributed": []}


def test_without_citus(postgres: Server, name: str) -> None:
    """One sentence says what to install."""
    refused = run(*WORDS, "--database", postgres.url(name))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("Error: this PostgreSQL has no Citus; install Citus")
    assert refused.stderr.count("\n") == 1


def test_a_data_directory(tmp_path: Path) -> None:
    """The embedded database cannot be distributed, and none is made."""
    data = tmp_path / "data"
    refused = run(*WORDS, "--data", str(data))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "the embedded database cannot be distributed" in refused.stderr
    assert not data.exists()
