"""Identifiers that sort by time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.ids import LATEST, IdSource, IdSources, is_id, lowest, time_of

times = st.integers(0, LATEST)


def always(bit: int) -> IdSource:
    """A source whose chance is the lowest or the highest there is."""
    return IdSource(lambda bits: bit * ((1 << bits) - 1))


@given(times)
def test_an_id_carries_its_time(at: int) -> None:
    """The millisecond can be read back from the id, whatever the chance."""
    assert [time_of(source.mint(at)) for source in (always(0), always(1), IdSource())] == [at] * 3


@given(times, times)
def test_ids_sort_by_time_in_ascii(one: int, other: int) -> None:
    """Comparing two ids as text compares their times."""
    earlier, later = sorted((one, other))
    if earlier < later:
        assert IdSource().mint(earlier) < IdSource().mint(later)


@given(times)
def test_the_lowest_of_a_millisecond_is_below_all_of_it(at: int) -> None:
    """`lowest` parts the ids of a millisecond from those before it: an edge of a window."""
    assert always(1).mint(max(at - 1, 0)) < lowest(at) or at == 0
    assert lowest(at) <= always(0).mint(at) < lowest(at + 1)
    assert always(1).mint(at) < lowest(at + 1)


def test_before_the_epoch_there_is_nothing() -> None:
    """A window that begins before 1970 begins with the first id."""
    assert lowest(-1) == lowest(0) == "-" * 21


@given(st.lists(st.integers(0, 5), min_size=2, max_size=60))
def test_ids_rise_strictly(steps: list[int]) -> None:
    """Also within one millisecond, and when the time handed in steps back: a cursor skips nothing."""
    source = IdSource()
    minted = [source.mint(at) for at in steps]
    assert minted == sorted(set(minted))


@given(st.lists(st.integers(0, 5), min_size=2, max_size=60))
def test_ids_of_commits_under_way_at_once(ats: list[int]) -> None:
    """Each bears its own time, whichever is minted first, and those of one time rise in that order."""
    sources = IdSources()
    minted = [(at, sources.of(at).mint(at)) for at in ats]
    assert [time_of(identifier) for _, identifier in minted] == ats
    for time in set(ats):
        of_one = [identifier for at, identifier in minted if at == time]
        assert of_one == sorted(set(of_one))


def test_what_was_long_ago_is_forgotten() -> None:
    """Sources are kept for a while only; whoever comes late gets another one, with its own time."""
    sources = IdSources()
    first = sources.of(0)
    assert sources.of(0) is first
    for at in range(1, 5_000):
        sources.of(at)
    assert sources.of(0) is not first
    assert time_of(sources.of(0).mint(0)) == 0


@given(st.lists(times, min_size=1, max_size=20))
def test_a_minted_id_has_the_shape(ats: list[int]) -> None:
    """21 characters of `-0-9A-Z_a-z`."""
    source = IdSource()
    assert all(is_id(source.mint(at)) for at in ats)


def test_many_in_one_millisecond_keep_its_time() -> None:
    """Thousands of ids of one commit do not run over into the next millisecond."""
    source = always(1)
    assert {time_of(source.mint(1_000)) for _ in range(50_000)} == {1_000}


@pytest.mark.parametrize(
    "text",
    ["", "-" * 20, "-" * 22, "-" * 20 + "\n", "-" * 20 + "é", "-" * 20 + "+", "-" * 21 + "\n", "٣" * 21],
)
def test_other_text_is_no_id(text: str) -> None:
    """What does not have the shape is refused before it is looked up."""
    assert not is_id(text)


def test_the_alphabet_is_in_ascii_order() -> None:
    """Base64's own alphabet is not; so ids do not use it."""
    source = always(0)
    minted = [source.mint(at) for at in range(0, 1 << 20, 997)]
    assert minted == sorted(minted)
    assert "".join(sorted(set("".join(minted)))) == (
        "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
    )
