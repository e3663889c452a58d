"""From a member's bytes to records: which outline its JSON has, decoding, and what to say of damage."""

from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

import msgspec

from postroom.domain.activity import Damaged, Record
from postroom.sources.archive import Archive
from postroom.sources.json_stream import LONGEST, Fault, JsonStream, Read, decoded
from postroom.sources.lines import blocks
from postroom.sources.streams import Stream
from postroom.sources.trouble import FAULTS, Unreadable, complaint

T = TypeVar("T")
Batch = tuple[int, list[T | Fault]]
"""The number of the first item, and items that follow each other."""
Converted = Record | tuple[Record, ...]
MOST_KEYS = 1000
LOOKED_AT = 20
"""Records at the beginning that are looked at in any case, for what they are."""
MOST_LOOKED_AT = 1000
ENOUGH_LOOKED_AT = 1 << 20  # bytes


class Form(Generic[T]):
    """How records of one type are decoded: one, a list of them, or lines of them."""

    def __init__(self, kind: type[T], one: Callable[[bytes], T] | None = None) -> None:
        decoder = msgspec.json.Decoder(kind)
        self.one: Callable[[bytes], T] = one or decoder.decode
        self.lines: Callable[[bytes], list[T]] = decoder.decode_lines
        self.many: Callable[[bytes], list[T]] = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]


class Outline(msgspec.Struct, frozen=True):
    """How a member holds its records: by line, in a list, or in a list under `key` of an object.

    `samples` are the keys of records at the beginning, as far as they can be read.
    """

    by_line: bool
    key: str = ""
    samples: tuple[frozenset[str], ...] = ()

    def has(self, *keys: str) -> bool:
        """Whether a record at the beginning has these keys; many before it may be damaged."""
        return any(sample.issuperset(keys) for sample in self.samples)


_ANY = Form(dict[str, msgspec.Raw])


def outline(archive: Archive, name: str, keys: Collection[str] = ()) -> Outline | None:
    """The outline of a member; None when it cannot be read. A list under one of `keys` is looked for."""
    found = _of_json(archive, name, keys)
    if found is not None:
        return found
    try:
        with archive.open(name) as member:
            samples = _samples(member, in_lines(member.read, _ANY))
    except Unreadable:
        return None
    return Outline(True, "", samples) if samples else None


def _of_json(archive: Archive, name: str, keys: Collection[str]) -> Outline | None:
    """The outline of a member that is one list or object."""
    try:
        with archive.open(name) as member:
            stream = JsonStream(member.read)
            if stream.peek() == b"[":
                return Outline(False, "", _samples(member, in_list(stream, _ANY)))
            if stream.peek() == b"{":
                return _of_object(member, stream, keys)
    except (Unreadable, *FAULTS):
        pass
    return None


def _of_object(member: Stream, stream: JsonStream, keys: Collection[str]) -> Outline | None:
    for number, key in enumerate(stream.properties()):
        if key in keys and stream.peek() == b"[":
            return Outline(False, key, _samples(member, in_list(stream, _ANY)))
        if number > MOST_KEYS:
            break
    return None


def _samples(member: Stream, batches: Iterator[Batch[dict[str, msgspec.Raw]]]) -> tuple[frozenset[str], ...]:
    """The keys of the first records. Unreadable when all that were looked at are damaged, or the first is."""
    count, found = 0, dict[frozenset[str], None]()
    try:
        for item in (item for _, batch in batches for item in batch):
            count += 1
            if isinstance(item, dict):
                found[frozenset(item)] = None
            if count >= (LOOKED_AT if member.taken > ENOUGH_LOOKED_AT else MOST_LOOKED_AT):
                break
    except Unreadable:
        count += 1  # what comes before damage shows what it is
    if count and not found:
        raise Unreadable("has no record that can be read")
    return tuple(found)


def unreadable(name: str) -> Damaged:
    """What to say of a member that has no outline."""
    return Damaged(name, "is not JSON that can be read")


def without_messages(name: str) -> Damaged:
    """What to say of a member whose records look like messages, while none is one."""
    return Damaged(name, "has no record with all that a message must have; left out")


def records(
    archive: Archive, name: str, found: Outline, form: Form[T], convert: Callable[[T], Converted]
) -> Iterator[Record]:
    """The records of a member, converted. Nothing is raised: what is wrong becomes a Damaged."""
    return guarded(name, _records(archive, name, found, form, convert))


def _records(
    archive: Archive, name: str, found: Outline, form: Form[T], convert: Callable[[T], Converted]
) -> Iterator[Record]:
    with archive.open(name) as member:
        if found.by_line:
            yield from from_lines(member.read, form, convert, name)
            return
        stream = JsonStream(member.read)
        yield from _listed(stream, name, found, form, convert)
        if not stream.lost:
            stream.peek()  # what is packed may be damaged behind the list, too


def _listed(
    stream: JsonStream, name: str, found: Outline, form: Form[T], convert: Callable[[T], Converted]
) -> Iterator[Record]:
    if not found.key:
        yield from from_list(stream, form, convert, name)
        return
    for key in stream.properties():
        if key == found.key:
            yield from from_list(stream, form, convert, name)


def from_list(
    stream: JsonStream, form: Form[T], convert: Callable[[T], Converted], name: str
) -> Iterator[Record]:
    """The records of the list that comes in a member."""
    return _emitted(in_list(stream, form), convert, f"{name}: record")


def from_lines(read: Read, form: Form[T], convert: Callable[[T], Converted], name: str) -> Iterator[Record]:
    """The records of a member that has one on each line."""
    return _emitted(in_lines(read, form), convert, f"{name}: line")


def guarded(name: str, found: Iterator[Record]) -> Iterator[Record]:
    """The same records, with a Damaged of the member at the end when it cannot be read on."""
    try:
        yield from found
    except Unreadable as error:
        yield Damaged(name, f"{error}; the rest was left out")
    except FAULTS as error:
        yield Damaged(name, f"{complaint(error)}; the rest was left out")


def _emitted(batches: Iterator[Batch[T]], convert: Callable[[T], Converted], label: str) -> Iterator[Record]:
    number = 0
    try:
        for first, batch in batches:
            for number, item in enumerate(batch, first):
                record = _converted(item, convert, label, number)
                if isinstance(record, tuple):
                    yield from record
                else:
                    yield record
    except Unreadable as error:
        yield Damaged(f"{label} {number + 1}", f"{error}; the rest was left out")


def _converted(item: T | Fault, convert: Callable[[T], Converted], label: str, number: int) -> Converted:
    if isinstance(item, Fault):
        return Damaged(f"{label} {number}", item.detail)
    try:
        return convert(item)
    except FAULTS as error:
        return Damaged(f"{label} {number}", complaint(error))


def in_list(stream: JsonStream, form: Form[T]) -> Iterator[Batch[T]]:
    """The records of the list that comes, numbered from 1 on."""
    number = 1
    for batch in stream.items(form.one, form.many):
        yield number, batch
        number += len(batch)


def in_lines(read: Read, form: Form[T], longest: int = LONGEST) -> Iterator[Batch[T]]:
    """The records on the lines of a member; numbers are those of the lines, from 1 on."""
    number = 1
    try:
        for block in blocks(read, longest):
            if isinstance(block, Fault):
                yield number, [block]
                number += 1
                continue
            count = block.count(b"\n") + (not block.endswith(b"\n"))
            yield from _in_block(block, count, number, form)
            number += count
    except Unreadable as error:
        raise Unreadable(f"{error} after line {number - 1}") from error


def _in_block(block: bytes, count: int, number: int, form: Form[T]) -> Iterator[Batch[T]]:
    try:
        found = form.lines(block)
    except FAULTS:
        found = []
    if len(found) == count:
        yield number, [*found]
        return
    for at, line in enumerate(block.split(b"\n"), number):
        if line and not line.isspace():
            item: T | Fault = _one(line, form)
            yield at, [item]


def _one(line: bytes, form: Form[T]) -> T | Fault:
    try:
        return decoded(line, form.one)
    except FAULTS as error:
        return Fault(complaint(error))
