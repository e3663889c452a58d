"""Identifiers that sort by time: 21 characters, 48 bits of milliseconds and 78 of chance."""

import binascii
import random
import re
from collections.abc import Callable

ALPHABET = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_OURS = bytes.maketrans(_BASE64, ALPHABET)
_FROM_OURS = bytes.maketrans(ALPHABET, _BASE64)
_SHAPE = re.compile(r"[-0-9A-Z_a-z]{21}")
_CHANCE_BITS = 78
LATEST = (1 << 48) - 2  # ms; the last time that an id can carry, and one after it
_STEP_BITS = 32
_MOST_KEPT = 1_000  # milliseconds


def _encode(number: int) -> str:
    # 126 bits are 21 characters of base64; two bits of padding make them whole bytes.
    digits = binascii.b2a_base64((number << 2).to_bytes(16, "big"), newline=False)[:21]
    return digits.translate(_TO_OURS).decode("ascii")


def lowest(at: int) -> str:
    """The first of all ids of the millisecond `at`: ids before it are older."""
    return _encode(max(at, 0) << _CHANCE_BITS)


def time_of(identifier: str) -> int:
    """The millisecond in which an id was minted."""
    digits = identifier[:8].rjust(8, "-").encode("ascii").translate(_FROM_OURS)
    return int.from_bytes(binascii.a2b_base64(digits), "big")


def is_id(text: str) -> bool:
    """Whether `text` has the shape of an id."""
    return _SHAPE.fullmatch(text) is not None


class IdSource:
    """Mints ids that rise strictly, also within one millisecond, so that cursors skip nothing.

    An id is no secret: `random_bits` need only make two processes mint different ones.
    """

    def __init__(self, random_bits: Callable[[int], int] | None = None) -> None:
        self._random_bits = random_bits or random.Random().getrandbits  # noqa: S311
        self._last = 0

    def mint(self, at: int) -> str:
        """A new id for the time `at`, ms; never lower than the one before it."""
        if at > self._last >> _CHANCE_BITS:
            number = at << _CHANCE_BITS | self._random_bits(_CHANCE_BITS - 1)
        else:
            number = self._last + 1 + self._random_bits(_STEP_BITS)
        self._last = number
        return _encode(number)


class IdSources:
    """A source for each millisecond, so that an id bears the time it was minted for, and no later one.

    Of commits under way at once, the one that was begun first need not come first; their ids rise all the
    same, and those of one millisecond in the order of minting.
    """

    def __init__(self) -> None:
        self._random_bits = random.Random().getrandbits  # noqa: S311
        self._recent: dict[int, IdSource] = {}

    def of(self, at: int) -> IdSource:
        """The source of ids for the time `at`, ms, and for no other one."""
        source = self._recent.get(at)
        if source is None:
            source = self._recent[at] = IdSource(self._random_bits)
            if len(self._recent) > _MOST_KEPT:
                del self._recent[next(iter(self._recent))]
        return source
