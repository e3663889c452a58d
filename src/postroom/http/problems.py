"""What an error looks like outside: its status, and its body, of which the analytics API has its own form."""

from http import HTTPStatus

import msgspec

from postroom.domain import errors
from postroom.domain.errors import MethodNotAllowed, PostroomError, StoreError, Unavailable
from postroom.http.tracking import Headers, TrackedProblem, is_tracked, tracked_problem, tracking_headers

STATUS: dict[type[PostroomError], int] = {
    errors.Malformed: 400,
    errors.NotAuthenticated: 401,
    errors.NotPermitted: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.Invalid: 422,
    errors.NameTaken: 422,
    errors.Unavailable: 503,
    errors.StoreError: 503,
}


class Problem(msgspec.Struct, frozen=True):
    """The body of every answer of the hub API that is not a success."""

    title: str
    status: int
    detail: str


def problem(status: int, detail: str) -> Problem:
    """A problem with the status' reason phrase as its title."""
    # The phrase of the documented API; Python's own is newer.
    title = "Unprocessable Entity" if status == 422 else HTTPStatus(status).phrase
    return Problem(title, status, detail)


_TRACKED_STATUS = {406: 404, 422: 400}
"""Statuses that the analytics API's documents do not have, and those which they have for the same."""


def status_at(path: str, error: type[PostroomError]) -> int:
    """The status of an error at this path."""
    status = STATUS[error]
    return _TRACKED_STATUS.get(status, status) if is_tracked(path) else status


def problem_at(path: str, status: int, detail: str, number: str) -> tuple[Problem | TrackedProblem, Headers]:
    """A problem in the form of the API that the path belongs to, and the headers of that form.

    `number` is the request's own, for which the analytics API has a place.
    """
    if is_tracked(path):
        return tracked_problem(detail, number), tracking_headers(number)
    return problem(status, detail), []


def headers_of(error: PostroomError) -> Headers:
    """The headers that go with an error."""
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", ", ".join(error.allowed).encode())]
    if isinstance(error, Unavailable):
        return [(b"retry-after", str(error.retry_after).encode())]
    if isinstance(error, StoreError):
        return [(b"retry-after", b"60")]
    if STATUS[type(error)] == 413:
        return [(b"connection", b"close")]
    return []
