"""What an error looks like outside."""

from collections.abc import Iterator
from http import HTTPStatus

import msgspec
import pytest

from postroom.domain import errors
from postroom.domain.errors import (
    Invalid,
    MethodNotAllowed,
    NameTaken,
    NotFound,
    PostroomError,
    TooLarge,
    Unavailable,
)
from postroom.http.problems import STATUS, headers_of, problem, problem_at, status_at


def family(error: type[PostroomError]) -> Iterator[type[PostroomError]]:
    """All classes under this one."""
    for each in error.__subclasses__():
        yield each
        yield from family(each)


# What only commands raise never comes before a request.
ERRORS = [error for error in family(PostroomError) if not error.__module__.startswith("postroom.cli")]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_a_status(error: type[PostroomError]) -> None:
    """No error of Postroom's own is unmapped: that would be an answer of the HTTP server's instead."""
    assert 400 <= STATUS[error] <= 599


def test_nothing_else_has_a_status() -> None:
    """The map names the errors that there are, and not their root, which is never raised."""
    assert set(STATUS) == set(ERRORS)


def test_every_error_has_a_code_of_its_own() -> None:
    """Codes are stable names: one for each class, none inherited."""
    codes = [vars(error)["code"] for error in (PostroomError, *ERRORS)]
    assert len(set(codes)) == len(codes)


def test_errors_have_one_home() -> None:
    """The tree at the top of one file shows each of them."""
    tree = errors.__doc__ or ""
    assert all(error.__module__ == errors.__name__ for error in ERRORS)
    assert [error.__name__ for error in ERRORS if error.__name__ not in tree] == []


@pytest.mark.parametrize("status", sorted(set(STATUS.values()) | {500}))
def test_the_title_is_the_reason_phrase(status: int) -> None:
    """`title` goes with `status`; 422 has the phrase of the documented API."""
    shown = problem(status, "what to mend")
    assert (shown.status, shown.detail) == (status, "what to mend")
    assert shown.title == ("Unprocessable Entity" if status == 422 else HTTPStatus(status).phrase)


@pytest.mark.parametrize("error", ERRORS)
def test_statuses_of_the_analytics_api(error: type[PostroomError]) -> None:
    """Those of all others, as far as its documents have them: 400 for a parameter, 404 for a form."""
    expected = {422: 400, 406: 404}.get(STATUS[error], STATUS[error])
    assert status_at("/analytics/messagingMetrics/dailyTotals", error) == expected
    assert status_at("/queues", error) == STATUS[error]


@pytest.mark.parametrize("path", ["/analytics/x", "/v1/analytics/messagingMetrics/dailyTotals"])
def test_problems_of_the_analytics_api(path: str) -> None:
    """Their documented form, with the request's id in body and header; also where /v1 was said twice."""
    shown, headers = problem_at(path, 400, "what to mend", "0123456789abcdef")
    assert msgspec.to_builtins(shown) == {
        "message": "what to mend",
        "errors": [{"description": "what to mend"}],
        "trackingId": "POSTROOM_0123456789abcdef",
    }
    assert headers == [(b"trackingid", b"POSTROOM_0123456789abcdef")]


@pytest.mark.parametrize("path", ["/queues", "/analyticsx", "/v1", "/sources/analytics/x"])
def test_other_problems_have_no_id(path: str) -> None:
    """Nor the form of another API."""
    assert problem_at(path, 404, "no", "0123456789abcdef") == (problem(404, "no"), [])


def test_a_wrong_method_is_told_the_right_ones() -> None:
    """A 405 has the header Allow."""
    assert headers_of(MethodNotAllowed("PATCH", ("GET", "POST"))) == [(b"allow", b"GET, POST")]


@pytest.mark.parametrize("wait", [1, 5])
def test_what_passes_says_when_to_come_again(wait: int) -> None:
    """A 503 that trying again helps has the header Retry-After, in seconds."""
    assert (b"retry-after", str(wait).encode()) in headers_of(Unavailable("busy", wait))


def test_a_body_that_is_not_read_ends_the_connection() -> None:
    """After a 413 the rest of the body may still come: the connection is of no further use."""
    assert headers_of(TooLarge("too much")) == [(b"connection", b"close")]


@pytest.mark.parametrize("error", [NotFound("no"), NameTaken("orders")])
def test_other_errors_need_no_header(error: PostroomError) -> None:
    """Status and body say all."""
    assert headers_of(error) == []


def test_a_bad_field_is_named() -> None:
    """The detail begins with the field that breaks a rule."""
    assert Invalid("notify_url", "must be a URL").detail == "notify_url: must be a URL"
    assert NameTaken("orders").detail.startswith("name: ")
