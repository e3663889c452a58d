"""Activities as somebody sends them: kept aside until all are there, then read a few at a time.

So that no thread waits for a slow sender, and no more than a few are in memory at once.
"""

from collections.abc import Iterator
from contextlib import aclosing
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import BinaryIO, Self, cast

from postroom.domain.activity import Activity, Deletion
from postroom.domain.errors import Malformed, PostroomError, TooLarge, Unavailable, UnsupportedMediaType
from postroom.http.accept import JSON
from postroom.http.upload import Upload
from postroom.sources.ndjson import Rejected, numbered
from postroom.sources.streams import Limits, Meter, Stream, Unzipped
from postroom.sources.trouble import Unreadable

MOST_RECORDS = 100_000
PACE = 64 * 2**10  # bytes a second, at least
_IN_MEMORY = 2**20  # bytes
_HARMLESS = "those before were taken in; it is harmless to send them again"

Told = Activity | Deletion | Rejected | PostroomError
"""An error is the last of all, and says why there is no more."""


class Spool:
    """A body of at most `limit` bytes, as it is sent and also when it is unpacked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed at the end of the block
        self._packed = False
        self._by_line = False
        self._taken = 0
        self._trouble: PostroomError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    async def fill(self, upload: Upload) -> None:
        """Keep what is sent.

        Raises:
            TooLarge: it is over the limit.
            Malformed: it did not come in time, or not whole.
            UnsupportedMediaType: it is packed in another way than gzip.
            Unavailable: there is no room for it.
        """
        self._packed = _is_packed(upload.headers.get(b"content-encoding", b""))
        self._by_line = _has_lines(upload.headers.get(b"content-type", b""))
        async with aclosing(upload.parts(self._limit, PACE)) as parts:
            async for part in parts:
                self._keep(part)
        self._file.seek(0)

    def _keep(self, part: bytes) -> None:
        try:
            self._file.write(part)
        except OSError as error:
            raise Unavailable(
                f"there is no room to keep what is sent ({error.strerror}); try again"
            ) from error

    def records(self, source: str) -> Iterator[Told]:
        """What was sent, in its order; `source` is that of lines that name none."""
        self._stream = self._opened()
        taken = 0
        try:
            for number, record in enumerate(numbered(self._read, source, by_line=self._by_line), 1):
                if number > MOST_RECORDS:
                    yield TooLarge(f"there are more than {MOST_RECORDS} activities; {_HARMLESS}")
                    return
                yield record
                taken += not isinstance(record, Rejected)
        except Unreadable:
            pass  # told below, as it is where the reader stops by itself
        if self._trouble is not None:
            yield type(self._trouble)(f"{self._trouble.detail} after {taken} activities; {_HARMLESS}")

    def _opened(self) -> Stream:
        # What it unpacks to is bounded by itself, so it may be packed as small as it can.
        limits = Limits(ratio=self._limit)
        stream = Stream(cast(BinaryIO, self._file), Meter(limits))
        return Unzipped(stream, Meter(limits), limits) if self._packed else stream

    def _read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except Unreadable as error:
            self._trouble = Malformed(f"the body {error}")
            raise
        self._taken += len(data)
        if self._taken > self._limit:
            self._trouble = TooLarge(f"the body unpacks to more than {self._limit} bytes")
            raise Unreadable(self._trouble.detail)
        return data


def _has_lines(content_type: bytes) -> bool:
    """Whether it is said that there are lines; JSON may be either."""
    return content_type.partition(b";")[0].strip().lower() not in {b"", JSON.encode()}


def _is_packed(encoding: bytes) -> bool:
    name = encoding.strip().lower()
    if name in {b"gzip", b"x-gzip"}:
        return True
    if name in {b"", b"identity"}:
        return False
    raise UnsupportedMediaType(
        "send it as it is, or packed with gzip and with the header Content-Encoding: gzip"
    )
