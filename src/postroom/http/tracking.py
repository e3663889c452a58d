"""Problems as the analytics API has them: with an id under which the request can be spoken of."""

import msgspec

Headers = list[tuple[bytes, bytes]]


class Description(msgspec.Struct, frozen=True):
    """What to mend."""

    description: str


class TrackedProblem(msgspec.Struct, frozen=True):
    """The body of every answer of the analytics API that is not a success; the id is in a header too."""

    message: str
    errors: list[Description]
    trackingId: str  # noqa: N815 - the documented name


def is_tracked(path: str) -> bool:
    """Whether the path belongs to the analytics API, also where it begins with one /v1 too many."""
    return path.startswith(("/analytics/", "/v1/analytics/"))


def tracked_problem(detail: str, number: str) -> TrackedProblem:
    """A problem of the request with this number."""
    return TrackedProblem(detail, [Description(detail)], tracking_id(number))


def tracking_id(number: str) -> str:
    """The id of the request with this number, as it is shown."""
    return f"POSTROOM_{number}"


def tracking_headers(number: str) -> Headers:
    """The header that goes with every answer of the analytics API."""
    return [(b"trackingid", tracking_id(number).encode())]
