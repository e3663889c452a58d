"""Names that people give to things."""

import pytest

from postroom.domain.errors import Invalid
from postroom.domain.names import LONGEST, check_name


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "orders / new",
        "example.com/dev",
        "Überweisung",
        "日本語",
        "👩‍👩‍👧",
        "-",
        "*",
        "x" * LONGEST,
        "é" * LONGEST,
    ],
)
def test_a_name_is_any_text(name: str) -> None:
    """1 to 200 characters of any script, kept as they are."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "must not be empty, or begin or end with space"),
        (" ", "must not be empty, or begin or end with space"),
        (" a", "must not be empty, or begin or end with space"),
        ("a\n", "must not be empty, or begin or end with space"),
        ("a\u00a0", "must not be empty, or begin or end with space"),
        ("x" * (LONGEST + 1), "must have at most 200 characters"),
        ("a\x00b", "must not contain control characters"),
        ("a\tb", "must not contain control characters"),
        ("a\x7fb", "must not contain control characters"),
        ("a\x85b", "must not contain control characters"),
        ("a\ud800b", "must not contain control characters"),
    ],
)
def test_a_name_that_breaks_a_rule(name: str, complaint: str) -> None:
    """The complaint names the field and the rule."""
    with pytest.raises(Invalid) as caught:
        check_name(name, "title")
    assert caught.value.field == "title"
    assert caught.value.detail == f"title: {complaint}"
