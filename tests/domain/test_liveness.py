"""The state of a listener's liveness URL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.liveness import Liveness


def probed(results: str) -> Liveness:
    """After one probe per character, one a second."""
    liveness = Liveness()
    for second, result in enumerate(results):
        liveness = liveness.after(result == "1", second * 1_000)
    return liveness


@pytest.mark.parametrize(
    ("results", "state"),
    [
        ("", "unknown"),
        ("1", "stable"),
        ("1111111111", "stable"),
        ("0", "unstable"),
        ("00", "unstable"),
        ("000", "dead"),
        ("1000", "dead"),
        ("0001", "unstable"),
        ("00010", "unstable"),
        ("1011", "unstable"),
        ("0" + "1" * 9, "unstable"),
        ("0" + "1" * 10, "stable"),
        ("0" * 50 + "1" * 10, "stable"),
        ("1" * 50 + "0" * 3, "dead"),
    ],
)
def test_the_state_follows_the_last_ten_results(results: str, state: str) -> None:
    """Three failures in a row are death; ten results without a failure are stability."""
    assert probed(results).state == state


@pytest.mark.parametrize(
    ("results", "held"),
    [("", False), ("000", False), ("0" * 20, False), ("1000", True), ("10001", False), ("100", False)],
)
def test_only_the_death_of_one_that_lived_holds_deliveries(results: str, held: bool) -> None:
    """A listener whose liveness URL never answered is still tried."""
    assert probed(results).holds_deliveries is held


@given(st.text("01", max_size=40))
def test_the_counts_count_every_result(results: str) -> None:
    """Counts are of all results, `recent` holds the last ten, newest last."""
    assert probed(results) == Liveness(
        success_count=results.count("1"),
        failure_count=results.count("0"),
        recent=results[-10:],
        checked_at=(len(results) - 1) * 1_000 if results else None,
    )
