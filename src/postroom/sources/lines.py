"""Text by its lines, in pieces of bounded size."""

from collections.abc import Iterator

from postroom.sources.json_stream import CHUNK, LONGEST, Fault, Read


def blocks(read: Read, longest: int = LONGEST) -> Iterator[bytes | Fault]:
    """Several whole lines at once, each piece ending with a line; a Fault for a line that is too long."""
    rest, dropping = read(CHUNK).removeprefix(b"\xef\xbb\xbf"), False
    while rest:
        end = rest.rfind(b"\n") + 1
        if end and dropping:
            rest, dropping = rest[rest.find(b"\n") + 1 :], False
            continue
        if end:
            yield rest[:end]
        rest = rest[end:]
        if len(rest) > longest and not dropping:
            yield Fault(f"is longer than {longest} bytes")
            dropping = True
        more = read(max(CHUNK, len(rest)))
        if not more:
            break
        rest = more if dropping else rest + more
    if rest and not dropping:
        yield rest
