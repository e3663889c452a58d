"""JSON in pieces: the same values as in one piece, whatever the pieces; damage and excess cost little."""

import io
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.sources.json_stream import BATCH, DEEPEST, HOPELESS, Fault, JsonStream, Oversize, Read
from postroom.sources.trouble import Malformed, Unreadable

ONE = msgspec.json.Decoder().decode
MANY = msgspec.json.Decoder(list[Any]).decode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
)
TEXTS = st.text(st.characters(codec="utf-8")) | st.sampled_from(
    ['"', "\\", '\\"', "}", "]", "},{", '"},{"id":', "\n"]
)
VALUES = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
SIMILAR = st.lists(st.fixed_dictionaries({"id": SCALARS | TEXTS, "parts": VALUES}), max_size=20)


def in_pieces(data: bytes, size: int) -> Read:
    """A member that gives at most so many bytes at once."""
    file = io.BytesIO(data)
    return lambda wanted: file.read(min(wanted, size))


def items(data: bytes, size: int = 1 << 20, **bounds: int) -> list[Any]:
    """The items of a list, with a Fault where one cannot be had."""
    stream = JsonStream(in_pieces(data, size), **bounds)
    return [item for batch in stream.items(ONE, MANY) for item in batch]


def listed(*details: str) -> Iterator[Fault]:
    """Faults of these details."""
    return (Fault(detail) for detail in details)


@given(st.lists(VALUES, max_size=6) | SIMILAR, st.sampled_from([None, 0, 1, 4]), st.integers(1, 60))
@example([{"id": [{"id": 1}, {"id": 2}]}] * 9, None, 7)
def test_items_are_those_of_the_whole(values: list[Any], indent: int | None, size: int) -> None:
    """However the text is written and in whatever pieces it comes, the items are the same."""
    data = json.dumps(values, indent=indent).encode()
    assert items(data, size) == json.loads(data)


@given(VALUES, st.sampled_from([None, 2]), st.integers(1, 60))
def test_a_value_is_raw_as_it_is_written(value: Any, indent: int | None, size: int) -> None:
    """A value can be taken whole, or passed over, in an object or a list."""
    written = json.dumps(value, indent=indent).encode()
    data = b'{"skipped": ' + written + b', "taken": ' + written + b', "left": ' + written + b"}"
    stream = JsonStream(in_pieces(data, size))
    told = {key: stream.raw() for key in stream.properties() if key == "taken"}
    assert told == {"taken": written}
    assert not stream.lost


@given(st.dictionaries(TEXTS, st.lists(VALUES, max_size=3), max_size=4), st.integers(1, 60))
def test_walking(value: dict[str, list[Any]], size: int) -> None:
    """Keys and entries are walked one inside the other."""
    stream = JsonStream(in_pieces(json.dumps(value).encode(), size))
    told = {key: [ONE(stream.raw()) for _ in stream.entries()] for key in stream.properties()}
    assert told == json.loads(json.dumps(value))


def test_many_alike_are_decoded_at_once() -> None:
    """Items that begin alike come in batches, which is what makes it fast; no batch is large."""
    data = json.dumps([{"id": number, "text": "x" * 100} for number in range(10_000)]).encode()
    calls: list[int] = []

    def many(raw: bytes) -> list[Any]:
        calls.append(len(raw))
        return MANY(raw)

    stream = JsonStream(io.BytesIO(data).read)
    counts = [len(batch) for batch in stream.items(ONE, many)]
    assert sum(counts) == 10_000
    assert len(counts) < 100
    assert max(calls) <= BATCH + 2


@pytest.mark.parametrize("bad", [b'"a"', b"{}", b'"id": 1x', b"[", b"nul"])
def test_a_bad_item_among_many(bad: bytes) -> None:
    """An item that is wrong inside is told in its place, and no other is lost."""
    wanted = msgspec.json.Decoder(dict[str, int])
    rows = [b'{"id": %d}' % number for number in range(1000)]
    rows[500] = b'{"id": ' + bad + b"}" if bad != b"[" else b'{"id": [}'
    data = b"[\n  " + b",\n  ".join(rows) + b"\n]"
    stream = JsonStream(io.BytesIO(data).read)
    found = stream.items(wanted.decode, msgspec.json.Decoder(list[dict[str, int]]).decode)
    told = list(itertools.chain.from_iterable(found))
    good = [one for one in told if isinstance(one, dict)]
    assert len(good) >= 998
    assert {number for number in range(1000) if number not in (500, 501)} <= {one["id"] for one in good}
    assert any(isinstance(one, Fault) for one in told)


def test_a_lost_quotation_mark_costs_one_item() -> None:
    """Where items begin lines, the next one is found again after a string that does not end."""
    data = json.dumps([{"id": number, "text": "x"} for number in range(9)], indent=2).encode()
    broken = data.replace(b'"id": 4', b'"id: 4')
    told = items(broken)
    assert told[4] == Fault("has a string that does not end on its line")
    assert [one["id"] for one in told if isinstance(one, dict)] == [0, 1, 2, 3, 5, 6, 7, 8]


def test_a_lost_bracket_costs_one_item() -> None:
    """An object that does not end takes what follows with it only up to the next one that begins a line."""
    data = json.dumps([{"id": number, "more": {"x": 1}} for number in range(9)], indent=2).encode()
    at = data.index(b"}\n  }", data.index(b'"id": 4'))
    told = items(data[:at] + data[at + 1 :])
    assert [one["id"] for one in told if isinstance(one, dict)] == [0, 1, 2, 3, 5, 6, 7, 8]


def test_a_damaged_list_does_not_reach_into_the_next() -> None:
    """After damage in its last item a list ends where its bracket is, and what follows is read."""
    data = json.dumps({"a": [{"id": 1}, {"id": 2}], "b": [{"id": 3}]}, indent=1).encode()
    stream = JsonStream(io.BytesIO(data.replace(b'"id": 2', b'"id: 2')).read)
    told = {key: list(itertools.chain.from_iterable(stream.items(ONE, MANY))) for key in stream.properties()}
    assert told["a"][1] == Fault("has a string that does not end on its line")
    assert told["b"] == [{"id": 3}]


def test_damage_on_one_line_loses_the_rest_and_says_so() -> None:
    """Where nothing tells where items begin, the rest of the list is lost."""
    data = b'[{"id": 1}, {"id": "2\n}, {"id": 3}]'
    assert items(data) == [
        {"id": 1},
        Fault("has a string that does not end on its line; the rest of the list was left out"),
    ]


@pytest.mark.parametrize("end", [1, 2, 9, 15, 16])
def test_a_list_that_is_cut_off(end: int) -> None:
    """A list that ends too early tells what came before."""
    told = items(b'[{"id": 1}, {"id": 2}]'[:end])
    assert told[-1] == Fault("ends too early; the rest of the list was left out")
    assert told[:-1] == [{"id": 1}][: end // 12]


def test_too_long_an_item() -> None:
    """An item that is longer than is reasonable is passed over without being held."""
    data = json.dumps([1, {"x": ["y" * 100] * 1000}, {"id": 2}]).encode()
    assert items(data, 1000, longest=5000) == [1, Fault("is longer than 5000 bytes"), {"id": 2}]


def test_too_long_a_string() -> None:
    """A string that is longer than is reasonable ends the list."""
    data = json.dumps([1, "y" * 100_000, 2]).encode()
    assert items(data, 1000, longest=5000) == [1, Fault("is not JSON; the rest of the list was left out")]


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_too_deep_an_item(brackets: str) -> None:
    """An item that is nested deeper than is reasonable is passed over; nothing recurses."""
    start = '{"a":' if brackets == "{}" else "["
    deep = start * 100_000 + "1" + brackets[1] * 100_000
    assert items(f'[{{"id": 1}}, {deep}, {{"id": 2}}]'.encode()) == [
        {"id": 1},
        Fault(f"is nested deeper than {DEEPEST}"),
        {"id": 2},
    ]


@pytest.mark.parametrize("opening", [b"[", b"{"])
def test_brackets_that_only_open(opening: bytes) -> None:
    """They are given up before they take much time or memory, however many there are."""
    detail = f"is nested deeper than {HOPELESS}; the rest of the list was left out"
    assert items(b"[" + opening * (2 * HOPELESS)) == [Fault(detail)]


def test_what_is_as_deep_as_may_be() -> None:
    """The bound itself is allowed."""
    deep = "[" * DEEPEST + "]" * DEEPEST
    assert items(f"[{deep}]".encode()) == json.loads(f"[{deep}]")


def test_taking_too_much() -> None:
    """A value that is too long raises where it was to be taken, and the stream is behind it."""
    data = json.dumps({"a": ["y" * 100] * 1000, "b": 1}).encode()
    stream = JsonStream(in_pieces(data, 1000), longest=5000)
    keys = stream.properties()
    assert next(keys) == "a"
    with pytest.raises(Oversize):
        stream.raw()
    assert next(keys) == "b"
    assert stream.raw() == b"1"


@pytest.mark.parametrize(
    ("data", "walk"),
    [
        (b"{}", lambda stream: stream.entries()),
        (b"[]", lambda stream: stream.properties()),
        (b"", lambda stream: stream.properties()),
        (b"{1: 2}", lambda stream: stream.properties()),
        (b'{"a" 1}', lambda stream: stream.properties()),
        (b'{"a": 1 "b": 2}', lambda stream: stream.properties()),
        (b'{"a": 1', lambda stream: stream.properties()),
        (b'{"a": }', lambda stream: stream.properties()),
        (b'{"a\nb": 1}', lambda stream: stream.properties()),
        (b"[1 2]", lambda stream: stream.entries()),
    ],
)
def test_what_is_not_json(data: bytes, walk: Callable[[JsonStream], Iterator[object]]) -> None:
    """Text that is not JSON is Malformed, and the stream is lost."""
    stream = JsonStream(io.BytesIO(data).read)
    with pytest.raises(Malformed):
        list(walk(stream))
    assert stream.lost


def test_what_was_read_before_a_failure_is_told() -> None:
    """Bytes that came before a member could not be read on are used up first."""
    pieces = iter([b'[{"id": 1},\n {"id": 2},\n {"i'])

    def read(_: int) -> bytes:
        for piece in pieces:
            return piece
        raise Unreadable("cannot be read on (BadZipFile)")

    told = list(itertools.chain.from_iterable(JsonStream(read).items(ONE, MANY)))
    assert told == [
        {"id": 1},
        {"id": 2},
        Fault("cannot be read on (BadZipFile); the rest of the list was left out"),
    ]


def test_a_byte_order_mark() -> None:
    """Windows programs begin a text with one."""
    assert items(b"\xef\xbb\xbf[1]") == [1]


@given(st.binary(max_size=80), st.integers(1, 30))
def test_any_bytes(data: bytes, size: int) -> None:
    """Whatever comes, a list is read to its end, with Faults or Malformed."""
    for start in (b"", b"[", b"[\n {", b'[{"a": 1}, '):
        try:
            items(start + data, size)
        except Malformed:
            assert not start
