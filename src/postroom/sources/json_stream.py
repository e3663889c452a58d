"""JSON of any size, read piece by piece in bounded memory; damage costs a record, not the rest.

The stream is cut at the brackets outside strings, and msgspec decodes what lies between. A list whose
items begin alike is cut near the end of what is buffered and decoded at once, which is several times
faster; msgspec refuses a piece that was cut at the wrong place, and then its items are taken one by one.
"""

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from postroom.sources.trouble import FAULTS, Malformed, Unfit, Unreadable, complaint

CHUNK = 1 << 18
BATCH = 1 << 17
LONGEST = 1 << 25
"""Bytes of one value that is held in memory."""
DEEPEST = 100
HOPELESS = 1_000_000
"""Brackets that are open when the end of a value is not looked for any more."""

Read = Callable[[int], bytes]
T = TypeVar("T")

# A newline ends no string and stands in none, so a quotation mark that was lost costs one line.
_OPEN_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+'
_STRING = re.compile(_OPEN_STRING + b'"')
_PLAIN = rb'[^"\[\]{}]*+(?:' + _OPEN_STRING + rb'"[^"\[\]{}]*+)*+'
_BRACKET = re.compile(_PLAIN + rb"(?:([\[{])|([\]}])|" + _OPEN_STRING + rb"(\\?[\x00-\x1f]))")
_UP_TO_BRACKET = re.compile(_PLAIN)
_UNCLOSED = re.compile(_OPEN_STRING + rb"\\?[\x00-\x1f]")
_SCALAR = re.compile(rb'[^\s,\[\]{}":]++')
_SPACE = re.compile(rb"[ \t\r\n]*+")
_FIRST_KEY = re.compile(rb'\{[ \t\r\n]*+"[^"\\\x00-\x1f]{1,64}+"')
_SEPARATOR = re.compile(rb",[ \t\r\n]*+(?=\{)")
_LINE_START = re.compile(rb"\n([ \t]*+)([\[\]{}])")
_CLOSING = {b"[": b"]", b"{": b"}"}
_BAD_ESCAPE = re.compile(
    rb"\\(?:x([0-9A-Fa-f]{2})|(u[dD][89abAB]..\\u[dD][c-fC-F]..)|(u[dD][89a-fA-F]..)|.)", re.DOTALL
)


class Fault(msgspec.Struct, frozen=True):
    """An item that cannot be had, and why."""

    detail: str


class _Excess(Exception):
    """The value that comes is longer or deeper than is reasonable."""


class Oversize(Unfit):
    """A value is longer or deeper than is reasonable; it has been passed over."""


class JsonStream:
    """A place in JSON text. Whoever starts on a value goes to its end, or leaves the stream.

    Raises:
        Malformed: the rest cannot be understood; `lost` is true then.
        Oversize: by `raw` only.
    """

    def __init__(self, read: Read, longest: int = LONGEST, deepest: int = DEEPEST) -> None:
        self.lost = False
        self._read = read
        self._longest = longest
        self._deepest = deepest
        self._at = 0
        self._taken = 0  # values that somebody has started on
        self._buffer = b""
        self._trouble = ""  # why no more could be read
        self._fill()
        self._buffer = self._buffer.removeprefix(b"\xef\xbb\xbf")

    # Values

    def peek(self) -> bytes:
        """The first byte of what comes; nothing at the end. Malformed where that could not be read."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            if not self._fill():
                if self._trouble:
                    raise self._loss(self._trouble)
                return b""

    def raw(self) -> bytes:
        """The value that comes, as it is written."""
        self._taken += 1
        if self.peek() not in b"{[":
            return self._token()
        try:
            end = self._end_of_brackets(True)
        except _Excess as excess:
            self._at = self._end_of_brackets(False)
            raise Oversize(str(excess)) from None
        value, self._at = self._buffer[self._at : end], end
        return value

    def skip(self) -> None:
        """Pass over the value that comes, however long it is."""
        self._taken += 1
        if self.peek() in b"{[":
            self._at = self._end_of_brackets(False)
        else:
            self._token()

    def properties(self) -> Iterator[str]:
        """The keys of the object that comes; each time the stream is at its value, for the caller to take."""
        self._enter(b"{")
        goes_on = not self._ends(b"}")
        while goes_on:
            key = self._key()
            taken = self._taken
            yield key
            if self.lost:
                return
            if self._taken == taken:
                self.skip()
            goes_on = self._goes_on(b"}")

    def entries(self) -> Iterator[None]:
        """Stops at each item of the list that comes, for the caller to take."""
        self._enter(b"[")
        goes_on = not self._ends(b"]")
        while goes_on:
            taken = self._taken
            yield None
            if self.lost:
                return
            if self._taken == taken:
                self.skip()
            goes_on = self._goes_on(b"]")

    def items(self, one: Callable[[bytes], T], many: Callable[[bytes], list[T]]) -> Iterator[list[T | Fault]]:
        """The items of the list that comes, decoded; one or several at once."""
        self._enter(b"[")
        run = _Run(self._indent())
        goes_on = not self._ends(b"]")
        while goes_on:
            batch = self._batch(many, run)
            if batch is not None:
                yield [*batch]
                continue
            try:
                yield [self._item(one, run)]
                goes_on = self._goes_on(b"]")
            except Malformed as loss:
                goes_on = self._recover(run.indent)
                yield [Fault(f"{loss}{'; the rest of the list was left out' if self.lost else ''}")]

    # Items of a list

    def _item(self, one: Callable[[bytes], T], run: "_Run") -> T | Fault:
        try:
            raw = self._raw_item(run)
        except Oversize as error:
            return Fault(str(error))
        run.learn(raw, self._buffer, self._at)
        try:
            return decoded(raw, one)
        except FAULTS as error:
            return Fault(complaint(error))

    def _raw_item(self, run: "_Run") -> bytes:
        if run.indent is None or self.peek() not in b"{[":
            return self.raw()
        try:
            end = self._end_of_brackets(True)
        except _Excess as excess:  # maybe its end is missing; the next item that begins a line is there
            raise Malformed(str(excess)) from None
        value, self._at = self._buffer[self._at : end], end
        return value

    def _batch(self, many: Callable[[bytes], list[T]], run: "_Run") -> list[T] | None:
        if run.cautious > 0 or not run.boundary:
            return None
        if self._held() < BATCH:
            self._fill()
        start, end = self._at, self._at + BATCH
        for _ in range(2):
            end = self._buffer.rfind(run.boundary, start, end)
            if end <= start:
                break
            try:
                batch = many(b"[" + self._buffer[start:end] + b"]")
            except FAULTS:
                continue
            self._at = end + 1
            return batch
        run.cautious = min(BATCH, len(self._buffer) - start)
        return None

    def _indent(self) -> bytes | None:
        """What stands before the items on their lines, when each begins one."""
        start = self._at
        self.peek()
        space = self._buffer[start : self._at]
        return space.rpartition(b"\n")[2] if b"\n" in space else None

    def _recover(self, indent: bytes | None) -> bool:
        """Go to the next item that begins a line; whether there is one."""
        while indent is not None:
            for found in _LINE_START.finditer(self._buffer, self._at):
                if found[1] == indent and found[2] == b"{":
                    self._at, self.lost = found.start(2), False
                    return True
                if len(found[1]) < len(indent) and found[2] == b"]":
                    self._at, self.lost = found.end(), False
                    return False
            # All of the line that is not yet complete is looked at again.
            self._at = max(self._at, self._buffer.rfind(b"\n"))
            if self._held() > self._longest or not self._fill():
                break
        self.lost = True
        return False

    # Pieces

    def _token(self) -> bytes:
        pattern = _STRING if self._buffer[self._at : self._at + 1] == b'"' else _SCALAR
        while True:
            found = pattern.match(self._buffer, self._at)
            whole = found is not None and (pattern is _STRING or found.end() < len(self._buffer))
            if not whole and self._could_go_on() and self._fill():
                continue
            if found is None:
                raise self._loss("is not JSON")
            self._at = found.end()
            return found[0]

    def _could_go_on(self) -> bool:
        if self._held() > self._longest:
            return False
        return _UNCLOSED.match(self._buffer, self._at) is None

    def _end_of_brackets(self, keep: bool) -> int:
        """Where the object or list that comes ends. If it is to be kept, the buffer holds all of it.

        Raises:
            _Excess: it is too long or too deep to be kept; the stream is still at its beginning.
        """
        position, closing = self._at, bytearray()
        deepest = self._deepest if keep else HOPELESS
        while True:
            found = _BRACKET.match(self._buffer, position)
            if found is None:
                position = self._read_on(position, keep)
                continue
            position = found.end()
            if found.lastindex == 1:
                closing += _CLOSING[found[1]]
                if len(closing) > deepest:
                    raise self._too_deep(deepest, keep)
            elif found.lastindex == 3:
                self._at = found.start(3)
                raise self._loss("has a string that does not end on its line")
            elif closing.pop() != found[2][0]:
                raise self._loss("has brackets that do not match")
            elif not closing:
                return position

    def _too_deep(self, deepest: int, keep: bool) -> Exception:
        detail = f"is nested deeper than {deepest}"
        return _Excess(detail) if keep else self._loss(detail)

    def _read_on(self, position: int, keep: bool) -> int:
        """Read on from the middle of a value; the same place, or one further on, in the new buffer."""
        plain = _UP_TO_BRACKET.match(self._buffer, position)
        position = plain.end() if plain else position
        if not keep:
            self._at = position
        if self._held() > self._longest:
            if keep:
                raise _Excess(f"is longer than {self._longest} bytes")
            raise self._loss("has a string that is too long")
        before = self._at
        if not self._fill():
            raise self._loss("ends too early")
        return position - before + self._at

    def _held(self) -> int:
        return len(self._buffer) - self._at

    def _key(self) -> str:
        if self.peek() != b'"':
            raise self._loss("is not JSON")
        try:
            key = decoded(self._token(), _KEY)
        except FAULTS as error:
            raise self._loss("is not JSON") from error
        if self.peek() != b":":
            raise self._loss("is not JSON")
        self._at += 1
        return key

    def _enter(self, bracket: bytes) -> None:
        self._taken += 1
        if self.peek() != bracket:
            raise self._loss(
                "has no list where one must be" if bracket == b"[" else "has no object where one must be"
            )
        self._at += 1

    def _ends(self, bracket: bytes) -> bool:
        if self.peek() != bracket:
            return False
        self._at += 1
        return True

    def _goes_on(self, bracket: bytes) -> bool:
        """Pass over what follows a value in a list or an object; whether another one comes."""
        if self._ends(bracket):
            return False
        if self._ends(b","):
            return True
        raise self._loss("is not JSON" if self.peek() else "ends too early")

    def _fill(self) -> bool:
        """Read on and forget what lies behind; false at the end. It reads ever more of a long value."""
        kept = self._buffer[self._at :]
        try:
            more = b"" if self._trouble else self._read(max(CHUNK, len(kept)))
        except Unreadable as error:  # first what was read before it is used up
            more, self._trouble = b"", str(error)
        if not more:
            return False
        self._buffer, self._at = kept + more, 0
        return True

    def _loss(self, detail: str) -> Malformed:
        self.lost = True
        return Malformed(self._trouble or detail)


class _Run:
    """What has been learned of a list while its items go by."""

    def __init__(self, indent: bytes | None) -> None:
        self.indent = indent
        self.boundary = b""
        self.cautious = 0  # bytes to take one by one

    def learn(self, raw: bytes, buffer: bytes, end: int) -> None:
        """From an item, and what follows it in the buffer: how an item begins after another."""
        self.cautious -= len(raw)
        if not self.boundary:
            key = _FIRST_KEY.match(raw)
            separator = _SEPARATOR.match(buffer, end)
            self.boundary = separator[0] + key[0] if key and separator else b""


_KEY = msgspec.json.Decoder(str).decode


def decoded(raw: bytes, decode: Callable[[bytes], T]) -> T:
    """The value; escapes that some exporters write although JSON has none such are mended first."""
    try:
        return decode(raw)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        mended = _BAD_ESCAPE.sub(_mended, raw)
        if mended == raw:
            raise
        return decode(mended)


def _mended(found: re.Match[bytes]) -> bytes:
    if found[1]:  # Telegram Desktop writes control characters so
        return b"\\u00" + found[1]
    return b"\\ufffd" if found[3] else found[0]  # half an emoji, cut off by an older program
