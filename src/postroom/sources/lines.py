"""Text by its lines, in pieces of bounded size."""

from collections.abc import Iterator

from postroom.sources.json_stream import CHUNK, LONGEST, Fault, Read
from postroom.sources.up_to_damage import UpToDamage

_MARK = b"\xef\xbb\xbf"  # with which some editors begin a text in UTF-8


def blocks(read: Read, longest: int = LONGEST) -> Iterator[bytes | Fault]:
    """Several whole lines at once, each piece ending with a line; a Fault for a line that is too long.

    Unreadable comes behind all lines that could be read.
    """
    source = UpToDamage(read)
    rest, dropping = b"", False
    more = source.read(CHUNK).removeprefix(_MARK) or source.read(CHUNK)
    while more:
        if dropping:
            _, end, more = more.partition(b"\n")
            dropping = not end
        rest += more
        whole = rest.rfind(b"\n") + 1
        yield from _bounded(rest[:whole], longest)
        rest = rest[whole:]
        if len(rest) > longest:
            yield Fault(f"is longer than {longest} bytes")
            rest, dropping = b"", True
        more = source.read(max(CHUNK, len(rest)))
    if source.trouble is None or rest.rstrip().endswith(b"}"):  # of a cut line there is nothing to tell
        yield from _bounded(rest, longest)
    if source.trouble is not None:
        raise source.trouble


def _bounded(block: bytes, longest: int) -> Iterator[bytes | Fault]:
    """The block, or its lines when one of them may be too long."""
    if len(block) <= longest:
        yield from (block,) if block else ()
        return
    *ended, last = block.split(b"\n")
    for line in (*(line + b"\n" for line in ended), last):
        if len(line) > longest + 1:
            yield Fault(f"is longer than {longest} bytes")
        elif line:
            yield line
