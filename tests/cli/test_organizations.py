"""`postroom org` and `postroom key`."""

import json
from pathlib import Path

import pytest

from postroom.domain import scope
from postroom.service.hub import Hub
from tests.acceptance.house import run, run_json
from tests.cli.conftest import Things
from tests.cli.shell import arrange, in_terminal


def test_org_create(tmp_path: Path) -> None:
    """It prints the organization and a key that is good, and nothing else; the directory is made."""
    done = run(
        "org", "create", "example.com/x", "--time-zone", "Europe/Berlin", "--json", data=tmp_path / "d"
    )
    assert done.stderr == ""
    made = json.loads(done.stdout)
    assert list(made) == ["organization", "api_key"]
    assert (made["organization"]["name"], made["organization"]["time_zone"]) == (
        "example.com/x",
        "Europe/Berlin",
    )

    async def authenticate(hub: Hub) -> str:
        return (await hub.api_keys.authenticate(made["api_key"])).org_id

    assert arrange(tmp_path / "d", authenticate) == made["organization"]["id"]


def test_org_create_for_people(data: Path) -> None:
    """On a terminal it says that the key is shown only once; in a pipe each field is a line."""
    code, shown = in_terminal("org", "create", "by hand", data=data)
    assert code == 0
    assert "only this once" in shown
    fields = dict(
        line.split("\t") for line in run("org", "create", "in a pipe", data=data).stdout.splitlines()
    )
    assert fields.keys() == {"organization", "id", "api_key"}
    assert len(fields["api_key"]) == 64


def test_org_list(data: Path, things: Things) -> None:
    """All organizations with their time zones."""
    (shown,) = run_json("org", "list", data=data)["organizations"]
    assert (shown["id"], shown["name"], shown["time_zone"]) == (things.org, "acme", "UTC")


def test_key_create(data: Path, things: Things) -> None:
    """A key has the scopes and the encoding that were given, or the usual ones; its secret is good."""
    words = ("--scope", f"messages:write:{things.queue}", "--scope", "stats:read")
    made = run_json("key", "create", "narrow", *words, data=data)
    assert made["key"]["scopes"] == [
        {"resource": "messages", "access": "write", "targets": [things.queue]},
        {"resource": "stats", "access": "read", "targets": ["*"]},
    ]
    wide = run_json("key", "create", "wide", data=data)["key"]
    assert wide["scopes"] == scope.to_raw(scope.DEFAULT)
    strings = run_json("key", "create", "strings", "--encoding", "string", data=data)["key"]
    assert (strings["encoding"], wide["encoding"]) == ("string", None)
    assert run("key", "create", "wrong", "--encoding", "csv", data=data).returncode == 2

    async def authenticate(hub: Hub) -> str:
        return (await hub.api_keys.authenticate(made["api_key"])).id

    assert arrange(data, authenticate) == made["key"]["id"]


def test_key_list(data: Path, things: Things) -> None:
    """Keys as the HTTP API shows them: of a secret, its beginning only."""
    run_json("key", "create", "second", "--scope", f"queues:read:{things.queue}", data=data)
    first, second = run_json("key", "list", data=data)["api_keys"]
    assert first.keys() == {
        *("id", "name", "created_at", "updated_at", "last_used_at", "key", "status", "scopes", "encoding")
    }
    assert things.key.startswith(first["key"])
    lines = run("key", "list", data=data).stdout.splitlines()
    assert [line.split("\t")[5] for line in lines] == ["everything", f"queues:read:{things.queue}"]
    assert lines[1].split("\t")[:2] == [second["id"], "second"]
    assert things.key not in "".join(lines)


@pytest.mark.parametrize("by", ["id", "name"])
def test_key_disable(data: Path, by: str) -> None:
    """By id or by name; once more changes nothing, and is not counted."""
    made = run_json("key", "create", "doomed", data=data)["key"]
    for _ in range(2):
        assert run_json("key", "disable", made[by], data=data)["api_key"]["status"] == "disabled"
    counted = run_json("stats", data=data)["aggregated_api_usage_events"]["last_1_hours"]
    assert counted["api_key_updated"] == 1


def test_an_id_comes_before_a_name(data: Path, things: Things) -> None:
    """Where one key is named like the id of another, the id counts."""
    other = run_json("key", "create", "other", data=data)["key"]

    async def name_it(hub: Hub) -> None:
        await hub.api_keys.create(things.org, other["id"])

    arrange(data, name_it)
    assert run_json("key", "disable", other["id"], data=data)["api_key"]["name"] == "other"
