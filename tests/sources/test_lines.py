"""Text by its lines."""

import io

from hypothesis import example, given
from hypothesis import strategies as st

from postroom.sources.json_stream import Fault
from postroom.sources.lines import blocks

MARK = b"\xef\xbb\xbf"
LINES = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=10)


@example([MARK], 3, 5)
@given(LINES, st.integers(1, 50), st.integers(5, 20))
def test_blocks_hold_the_same_lines(lines: list[bytes], size: int, longest: int) -> None:
    """Whole lines come in their order, each that is too long as one Fault, whatever the pieces."""
    data = b"\n".join([*lines, b""])
    file = io.BytesIO(data)
    told: list[bytes | Fault] = []
    for block in blocks(lambda wanted: file.read(min(wanted, size)), longest):
        told.extend([block] if isinstance(block, Fault) else block.removesuffix(b"\n").split(b"\n"))
    fault = Fault(f"is longer than {longest} bytes")
    if size >= len(MARK) and lines:
        lines = [lines[0].removeprefix(MARK), *lines[1:]]
    assert told == [line if len(line) <= longest else fault for line in lines]


def test_a_line_is_dropped_while_it_is_read() -> None:
    """A line without an end is not held in memory."""
    asked: list[int] = []

    def read(wanted: int) -> bytes:
        asked.append(wanted)
        if len(asked) < 1000:
            return b"x" * min(wanted, 1000)
        return b"\nlast" if len(asked) == 1000 else b""

    assert list(blocks(read, 5000)) == [Fault("is longer than 5000 bytes"), b"last"]
    assert max(asked) <= 1 << 18
