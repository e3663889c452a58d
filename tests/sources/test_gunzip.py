"""What was packed with gzip, unpacked as far as it can be."""

import gzip
import io
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.sources.gunzip import Gunzip
from postroom.sources.trouble import Unreadable

HARD = os.urandom(300_000)
"""What does not pack, so that a part of it is as large a part of its packing."""


def unpacked(packed: bytes, size: int = 1 << 18, piece: int = 1 << 20) -> tuple[bytes, str]:
    """All that can be had of it, and what is wrong with the rest."""
    file, found = io.BytesIO(packed), b""
    source = Gunzip(lambda wanted: file.read(min(wanted, piece)))
    try:
        while data := source.read(size):
            assert len(data) <= size
            found += data
    except Unreadable as trouble:
        return found, str(trouble)
    return found, ""


@example([b"a" * 5000], 0, 1, 1)
@given(
    st.lists(st.binary(max_size=300), max_size=4), st.integers(0, 20), st.integers(1, 50), st.integers(1, 9)
)
def test_packings_in_a_row(parts: list[bytes], zeros: int, size: int, piece: int) -> None:
    """They are one, with or without zeros between them, in whatever pieces they are read."""
    packed = b"".join(gzip.compress(part) + bytes(zeros) for part in parts)
    assert unpacked(packed, size, piece) == (b"".join(parts), "")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 1])
def test_cut_short(keep: float) -> None:
    """All that stands before the cut is there, be it much or little."""
    for data in (HARD, HARD[:5000]):
        packed = gzip.compress(data)[:-8]
        found, trouble = unpacked(packed[: int(keep * len(packed))])
        assert data.startswith(found)
        assert len(found) >= keep * len(data) - 100
        assert trouble == "ends too early"


@pytest.mark.parametrize("junk", [b"junk", b"\x1f\x8b\x08\xff" * 10])
def test_junk_behind_it(junk: bytes) -> None:
    """Nothing of what stands before it is lost."""
    assert unpacked(gzip.compress(HARD) + junk) == (HARD, "is damaged and cannot be unpacked any further")


def test_damage_within() -> None:
    """What was unpacked in the same call as the damage is not lost."""
    packed = bytearray(gzip.compress(b"".join(b"%d," % number for number in range(20_000))))
    packed[len(packed) // 2 :] = b"\xff" * 1000
    found, trouble = unpacked(bytes(packed))
    assert found.startswith(b"0,1,2,")
    assert len(found) > 20_000
    assert trouble == "is damaged and cannot be unpacked any further"


def test_what_cannot_be_read() -> None:
    """Where the packed bytes cannot be read on, that is what is wrong."""
    given = [gzip.compress(HARD)[:1000]]

    def read(size: int) -> bytes:
        if given:
            return given.pop()
        raise Unreadable("cannot be read on (OSError)")

    source = Gunzip(read)
    assert HARD.startswith(source.read(1 << 20))
    with pytest.raises(Unreadable, match="OSError"):
        source.read(1)


@given(st.binary(max_size=100), st.booleans())
def test_any_bytes(data: bytes, with_head: bool) -> None:
    """They fail in one way only."""
    unpacked(b"\x1f\x8b\x08" + data if with_head else data)
