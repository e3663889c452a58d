"""Ids that are made of parts, and of names."""

from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.activity import EARLIEST, LATEST, MOST_BYTES, Activity, Client, digest, joined

PARTS = st.lists(st.text("ab~/01", max_size=4), min_size=1, max_size=3)


@given(PARTS, PARTS)
def test_different_parts_never_make_one_id(one: list[str], other: list[str]) -> None:
    """Two lists of parts are joined to the same id only when they are the same."""
    assert (joined(*one) == joined(*other)) == (one == other)
    assert (digest(*one) == digest(*other)) == (one == other)


def test_an_id_of_plain_parts_can_be_read() -> None:
    """Parts without a separator in them stand as they are."""
    assert joined("C1", "1700000000.000100") == "C1/1700000000.000100"


@given(st.text(st.characters()))
def test_a_digest_has_one_form(name: str) -> None:
    """A name of any length becomes 32 digits, also one with half a character in it."""
    assert set(digest(name)) <= set("0123456789abcdef")
    assert len(digest(name)) == 32


def test_digests_stay_the_same() -> None:
    """What was digested in an earlier import is found again by a later version."""
    assert digest("user", "ann") == "b0e036b7305b2b2e232a9041f04625aa"


def test_an_activity_says_nothing_that_is_not_known() -> None:
    """A message of which nothing else is known has an unknown client, no files, and is a person's."""
    sent = Activity("s", "m", EARLIEST, "p", "r", False)
    assert (sent.client, sent.files, sent.file_bytes, sent.files_of_unknown_size) == (Client.UNKNOWN, 0, 0, 0)
    assert not any((sent.video, sent.audio, sent.recording, sent.by_bot, sent.system))


def test_bounds() -> None:
    """Seconds and microseconds cannot be mistaken for milliseconds, and sums of sizes fit 64 bits."""
    now = 1_700_000_000
    assert now < EARLIEST <= now * 1000 < LATEST < now * 1_000_000
    assert MOST_BYTES * 1_000_000 < 1 << 63
