"""Sharing slots: whoever comes, goes or dies, each that lives comes to its part, and takes it from nobody."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.sharing import Moves, leaving, share

MOST = 300
NAMES = st.sampled_from("abcdefgh")
HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(["join", "leave", "die", "look", "look"]), NAMES), max_size=60
)


@dataclass
class Slots:
    """Who holds what, and who lives; each process looks and moves by itself."""

    holders: list[str | None]
    living: set[str] = field(default_factory=set)

    def of(self, name: str) -> list[int]:
        return [slot for slot, holder in enumerate(self.holders) if holder == name]

    def look(self, name: str) -> Moves:
        """The moves of one process, made at once."""
        moves = share(self.holders, list(self.living), name)
        for slot in moves.take:
            self.holders[slot] = name
        for slot in moves.give:
            self.holders[slot] = None
        return moves

    def happen(self, what: str, name: str) -> None:
        """One process comes, hands over and goes, dies with all that it holds, or looks."""
        if what == "join":
            self.living.add(name)
        elif what in {"leave", "die"}:
            self.living.discard(name)
        if what == "leave":
            self.holders = [None if holder == name else holder for holder in self.holders]
        if what == "look" and name in self.living:
            self.look(name)

    def settle(self) -> None:
        """Once all have given up what is too much, all take what is missing."""
        for _ in range(2):
            for name in self.living:
                self.look(name)


@given(st.integers(1, MOST), HAPPENINGS, NAMES)
def test_all_come_to_have_as_many(count: int, happenings: list[tuple[str, str]], last: str) -> None:
    """Give or take one, after two looks each; no slot is left over, and then nobody moves any more."""
    slots = Slots([None] * count)
    for what, name in happenings:
        slots.happen(what, name)
    slots.living.add(last)
    slots.settle()
    parts = [len(slots.of(name)) for name in slots.living]
    assert sum(parts) == count
    assert max(parts) - min(parts) <= 1
    assert all(slots.look(name) == Moves([], []) for name in slots.living)


@given(st.lists(st.none() | NAMES, min_size=1, max_size=MOST), st.sets(NAMES, min_size=1), st.data())
def test_nobody_takes_from_the_living(
    holders: list[str | None], living: set[str], data: st.DataObject
) -> None:
    """Only what is nobody's or a dead one's is taken; only what is the process' own is given up."""
    own = data.draw(st.sampled_from(sorted(living)))
    moves = share(holders, list(living), own)
    assert {holders[slot] for slot in moves.take} & living == set()
    assert {holders[slot] for slot in moves.give} <= {own}
    assert len(set(moves.take)) == len(moves.take)
    assert not (moves.take and moves.give)


@given(st.lists(st.none() | NAMES, min_size=1, max_size=MOST), st.sets(NAMES, min_size=1))
def test_no_more_is_moved_than_has_to_be(holders: list[str | None], living: set[str]) -> None:
    """Who has less than its part keeps all that it has; who has more keeps its part."""
    for own in living:
        before = holders.count(own)
        part = (
            before + len(share(holders, list(living), own).take) - len(share(holders, list(living), own).give)
        )
        assert min(before, len(holders) // len(living)) <= part <= -(-len(holders) // len(living))


@given(st.lists(st.none() | NAMES, min_size=1, max_size=MOST), st.sets(NAMES, min_size=2), st.data())
def test_who_leaves_keeps_what_it_has_not_ended(
    holders: list[str | None], living: set[str], data: st.DataObject
) -> None:
    """Nobody takes it; all else comes to the others, as if there were one less."""
    gone = data.draw(st.sampled_from(sorted(living)))
    kept = {slot for slot, holder in enumerate(holders) if holder == gone and data.draw(st.booleans())}
    slots = Slots(
        [leaving(gone) if slot in kept else None if holder == gone else holder
         for slot, holder in enumerate(holders)],
        living - {gone} | {leaving(gone)},
    )  # fmt: skip
    others = sorted(living - {gone})
    for name in 2 * others:
        slots.look(name)
    assert slots.of(leaving(gone)) == sorted(kept)
    assert None not in slots.holders
    assert max(len(slots.of(name)) for name in others) <= -(-len(holders) // len(others))


@given(st.permutations("abcdefgh"))
def test_the_order_in_which_they_are_listed_means_nothing(living: list[str]) -> None:
    """Each process comes to the same parts."""
    assert share([None] * 20, living, "a") == share([None] * 20, sorted(living), "a")
