"""The numbered migrations, and which version can work with which schema."""

import pytest

from postroom.domain.errors import StoreError
from postroom.store.steps import known, pending

STEPS = known()
NEWEST = len(STEPS)


def test_numbers_follow_one_another() -> None:
    """0001, 0002 and so on, each with a name and a first line that says what it is for."""
    assert [step.number for step in STEPS] == list(range(1, NEWEST + 1))
    assert all(step.name and step.sql.startswith("-- ") for step in STEPS)


def test_what_can_work_beside_a_step_is_said_in_it() -> None:
    """No program is asked to work with a schema before the first, nor with one that it could not know."""
    assert all(1 <= step.oldest <= step.number for step in STEPS)


@pytest.mark.parametrize("newest", range(NEWEST + 1))
def test_what_was_not_applied_is_pending(newest: int) -> None:
    """From the next step on; whatever the oldest is, as that one is older still."""
    for oldest in range(newest + 1):
        assert pending(newest, oldest, "it") == STEPS[newest:]


@pytest.mark.parametrize("newest", [NEWEST + 1, NEWEST + 5])
def test_a_newer_schema_says_who_can_work_with_it(newest: int) -> None:
    """Up to this version nothing is pending; above it, the sentence names the place and both versions."""
    for oldest in (0, 1, NEWEST):
        assert pending(newest, oldest, "it") == ()
    for oldest in range(NEWEST + 1, newest + 1):
        with pytest.raises(StoreError, match=rf"^it was written by .*schema {newest}, .* knows {NEWEST}\b"):
            pending(newest, oldest, "it")
