"""The OpenAPI 3.1 document, derived from the table of operations."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from postroom import __version__
from postroom.domain import errors
from postroom.domain.errors import PostroomError
from postroom.http.accept import JSON
from postroom.http.call import Operation
from postroom.http.problems import STATUS, Problem, problem, status_at
from postroom.http.tracking import TrackedProblem, is_tracked

Json = dict[str, Any]
_REF = "#/components/schemas/{name}"


def document(operations: Iterable[Operation]) -> Json:
    """The whole document."""
    operations = list(operations)
    paths: dict[str, Json] = {}
    for operation in operations:
        for path in filter(None, (operation.path, operation.also)):
            for method in operation.methods:
                paths.setdefault(path, {})[method.lower()] = _operation(operation, method, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Postroom", "version": __version__, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/v1"}, {"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _components(operations),
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-KEY"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _components(operations: list[Operation]) -> Json:
    types = {each.answer for each in operations} | {each.body for each in operations if each.body}
    types |= {_problem_of(each) for each in operations} | {item for each in operations for item in each.items}
    _, components = msgspec.json.schema_components(
        sorted(types, key=lambda each: each.__name__), ref_template=_REF
    )
    return dict(sorted(components.items()))


def _operation(operation: Operation, method: str, path: str) -> Json:
    described: Json = {
        "operationId": _operation_id(method, path),
        "summary": operation.summary,
        "parameters": [*_path_parameters(path), *_query_parameters(operation)],
        "responses": {"200": _response("Ok", operation.answer, operation.forms)} | _problems(operation),
    }
    if operation.resource is not None:
        described["security"] = [{"apiKey": []}, {"bearer": []}]
        described["description"] = f"Needs a scope to {operation.access} {operation.resource}."
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.body)}
    elif operation.takes:
        content = {kind: _taken(kind, operation.items) for kind in operation.takes}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _operation_id(method: str, path: str) -> str:
    return method.lower() + re.sub(r"[^a-z]+", "_", path.replace("{", "by_")).rstrip("_")


def _path_parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(operation: Operation) -> list[Json]:
    schema = msgspec.json.schema(operation.query)
    (described,) = schema["$defs"].values()
    return [{"name": name, "in": "query", "schema": each} for name, each in described["properties"].items()]


def errors_of(operation: Operation) -> list[type[PostroomError]]:
    """All errors that the operation can answer with, by their status."""
    found: set[type[Any]] = {errors.NotAcceptable, errors.Malformed, errors.Invalid, *operation.errors}
    if operation.resource is not None:
        found |= {errors.NotAuthenticated, errors.NotPermitted, errors.Unavailable}
    if operation.body is not None or operation.takes:
        found |= {errors.UnsupportedMediaType, errors.TooLarge}
    return sorted(found, key=lambda error: (STATUS[error], error.__name__))


def _problems(operation: Operation) -> Json:
    statuses = sorted({status_at(operation.path, error) for error in errors_of(operation)} | {500})
    shown = _problem_of(operation)
    return {str(status): _response(problem(status, "").title, shown) for status in statuses}


def _problem_of(operation: Operation) -> type[msgspec.Struct]:
    return TrackedProblem if is_tracked(operation.path) else Problem


def _response(description: str, body: type[msgspec.Struct], forms: tuple[str, ...] = (JSON,)) -> Json:
    others: Json = {form: {"schema": {"type": "string"}} for form in forms if form != JSON}
    return {"description": description, "content": _content(body) | others}


def _taken(kind: str, items: tuple[type[msgspec.Struct], ...]) -> Json:
    """A body that the handler reads: a list where it is JSON, else lines, for which OpenAPI has no word."""
    if not items:
        return {}
    if kind != JSON:
        return {"schema": {"type": "string"}}
    either = [{"$ref": _REF.format(name=item.__name__)} for item in items]
    return {"schema": {"type": "array", "items": {"anyOf": either}}}


def _content(body: type[msgspec.Struct]) -> Json:
    return {JSON: {"schema": {"$ref": _REF.format(name=body.__name__)}}}
