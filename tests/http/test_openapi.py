"""The OpenAPI document: it describes every operation of the table, and the server does what it says."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import pytest
from msgspec.structs import fields

from postroom.http.call import Operation
from postroom.http.openapi import document, errors_of
from postroom.http.operations import OPERATIONS
from postroom.http.problems import status_at
from postroom.runtime import running
from postroom.settings import Settings, load

DOCUMENT: Final[dict[str, Any]] = json.loads(msgspec.json.encode(document(OPERATIONS)))
ROWS: Final[list[tuple[Operation, str, str]]] = [
    (row, method, path)
    for row in OPERATIONS
    for path in (row.path, row.also)
    if path is not None
    for method in row.methods
]
UNKNOWN: Final = "0" * 21


def anywhere(tmp_path: Path) -> Settings:
    """Settings for a server with a new data directory, on any free port."""
    return load({"data": tmp_path / "data", "port": 0}, {}, None)


def described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of everything that the document has."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def parameters(operation: dict[str, Any], place: str) -> dict[str, dict[str, Any]]:
    """The operation's parameters in the path or the query, by name."""
    return {each["name"]: each for each in operation["parameters"] if each["in"] == place}


def references(part: object) -> Iterator[str]:
    """Every `$ref` in a part of the document."""
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_operation_is_described() -> None:
    """The document has each method at each path of the table, and nothing else."""
    assert {(method, path) for method, path, _ in described()} == {(m, path) for _, m, path in ROWS}


def test_no_two_operations_take_one_place() -> None:
    """A method at a path belongs to one row of the table."""
    assert [place for place, count in Counter((m, path) for _, m, path in ROWS).items() if count > 1] == []


@pytest.mark.parametrize(("row", "method", "path"), ROWS, ids=[f"{m} {path}" for _, m, path in ROWS])
def test_an_operation_is_described_whole(row: Operation, method: str, path: str) -> None:
    """Summary, body, answer, key, query and path parameters, and a response for each error."""
    operation = DOCUMENT["paths"][path][method.lower()]
    assert operation["summary"].endswith(".")
    assert ("requestBody" in operation) == (row.body is not None or bool(row.takes))
    assert ("security" in operation) == (row.resource is not None)
    assert set(parameters(operation, "query")) == {each.encode_name for each in fields(row.query)}
    in_path = parameters(operation, "path")
    assert set(in_path) == set(re.findall(r"{(\w+)}", path))
    assert all(each["required"] is True for each in in_path.values())
    statuses = {str(status_at(path, error)) for error in errors_of(row)}
    assert set(operation["responses"]) == statuses | {"200", "500"}


def test_what_activities_are() -> None:
    """A list of what the reader of lines decodes, with bounds, defaults and nothing else."""
    (content,) = [each["requestBody"]["content"] for _, path, each in described() if path == "/activities"]
    listed = content["application/json"]["schema"]
    assert listed["type"] == "array"
    schemas = DOCUMENT["components"]["schemas"]
    message, deletion = (schemas[name.rpartition("/")[2]] for name in references(listed))
    assert message["required"] == ["message_id", "at", "person", "space", "direct"]
    assert deletion["required"] == ["message_id", "deleted"]
    assert message["properties"]["files"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 10_000,
        "default": 0,
    }
    assert not message["additionalProperties"]
    assert not deletion["additionalProperties"]
    assert content["application/x-ndjson"]["schema"] == {"type": "string"}


def test_operations_can_be_told_apart() -> None:
    """Programs name functions for the operationId, so no two are the same."""
    ids = [operation["operationId"] for _, _, operation in described()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z_]*", each) for each in ids)


def test_references_lead_somewhere() -> None:
    """Each `$ref` names a schema of the document, and each schema is used."""
    named = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) == named


def test_problems_have_one_form_in_each_api() -> None:
    """Every answer that is not a 200 is a Problem; those of the analytics API are told by its documents."""
    schemas = {
        (path.startswith("/analytics/"), response["content"]["application/json"]["schema"]["$ref"])
        for _, path, operation in described()
        for status, response in operation["responses"].items()
        if status != "200"
    }
    names = ((False, "Problem"), (True, "TrackedProblem"))
    assert schemas == {(analytics, f"#/components/schemas/{name}") for analytics, name in names}
    described_as = DOCUMENT["components"]["schemas"]
    assert described_as["Problem"]["required"] == ["title", "status", "detail"]
    assert described_as["TrackedProblem"]["required"] == ["message", "errors", "trackingId"]


def test_tables_are_described_as_text() -> None:
    """What can be had as CSV says so, and everything can be had as JSON."""
    kinds = {path: set(each["responses"]["200"]["content"]) for _, path, each in described()}
    assert {path for path, found in kinds.items() if "text/csv" in found} == {
        f"/analytics/messagingMetrics/{name}" for name in ("dailyTotals", "summary", "explain")
    }
    assert all("application/json" in found for found in kinds.values())


def test_names_are_the_documented_ones() -> None:
    """The links of an answer are `_links`, whatever Python calls them."""
    unlinked = {row.answer.__name__ for row in OPERATIONS if row.path.startswith("/analytics/")}
    answers = [schema for name, schema in DOCUMENT["components"]["schemas"].items() if "Answer" in name]
    linked = [schema for schema in answers if schema["title"] not in unlinked | {"HealthAnswer"}]
    assert linked
    assert all("_links" in schema["properties"] for schema in linked)


@pytest.mark.anyio
async def test_the_server_does_what_it_says(tmp_path: Path) -> None:
    """The document is served without a key; each operation in it is there, and open only if it says so.

    What is open and takes a body asks for one.
    """
    async with (
        running(anywhere(tmp_path)) as process,
        aiohttp.ClientSession(process.url) as session,
    ):
        async with session.get("/v1/openapi.json") as response:
            assert (response.status, await response.json()) == (200, DOCUMENT)
        for method, path, operation in described():
            async with session.request(method, re.sub(r"{\w+}", UNKNOWN, path)) as response:
                unlocked = 415 if "requestBody" in operation else 200
                assert response.status == (401 if "security" in operation else unlocked), (method, path)


@pytest.mark.anyio
async def test_reading_answers_have_the_described_form(tmp_path: Path) -> None:
    """What a list or a statistic answers can be read as the type that the document shows for it."""
    async with (
        running(anywhere(tmp_path)) as process,
        aiohttp.ClientSession(process.url) as session,
    ):
        _, secret = await process.hub.organizations.found("example.com")
        read = [(row, path) for row, method, path in ROWS if method == "GET" and "{" not in path]
        for row, path in read:
            async with session.get(path, headers={"X-API-KEY": secret}) as response:
                assert response.status == 200, path
                msgspec.json.decode(await response.read(), type=row.answer)
