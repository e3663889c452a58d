"""Attempts, and when one acknowledges."""

import pytest

from postroom.domain.delivery import Attempt, State


@pytest.mark.parametrize(
    ("status", "error", "acknowledged"),
    [
        (200, None, True),
        (204, None, True),
        (500, "status", False),
        (302, "redirect", False),
        (None, "timeout", False),
        (None, "connection", False),
    ],
)
def test_only_an_attempt_without_an_error_acknowledges(
    status: int | None, error: str | None, acknowledged: bool
) -> None:
    """A 2xx has no error; everything else has."""
    assert Attempt("listener", 1, 0, 0, status, error, b"").acknowledged is acknowledged


def test_states_keep_their_numbers() -> None:
    """They stand in the database, and in conditions of its indices."""
    assert [(state.name, state.value) for state in State] == [
        ("PENDING", 0),
        ("DELIVERED", 1),
        ("FAILED", 2),
        ("DISCARDED", 3),
    ]
