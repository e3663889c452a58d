"""An export as it comes: a folder, a zip, a tar, or one file, each or any part of it also gzipped.

Nothing is unpacked to disk, except that the JSON of a packed tar goes to a nameless temporary file, because
a tar can only be unpacked from its beginning, and so does a zip that was gzipped, because it is read from its
end. Symbolic links are not followed.
"""

import contextlib
import os
import re
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import msgspec

from postroom.domain.activity import Damaged
from postroom.sources.streams import CHUNK, FAILURES, SMALL, Limits, Meter, Stream, Unzipped, attempt
from postroom.sources.trouble import Refused, Unreadable
from postroom.sources.up_to_damage import UpToDamage
from postroom.sources.zip_directory import check_directory, right_name

_TEXT = re.compile(r"(?i)\.(?:json|jsonl|ndjson)$|(?:^|/)events$")
_LITTER = re.compile(r"(?:^|/)(?:__MACOSX/|\._|\.DS_Store$|Thumbs\.db$)")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP = b"\x1f\x8b"
_ENCRYPTED = 0x1


class Member(msgspec.Struct, frozen=True, gc=False):
    """One file of an export: where it is kept, its bytes there, and whether they are gzipped."""

    kept: str
    size: int
    gzipped: bool
    offset: int = 0


class Archive:
    """The files of an export by name, which are read one at a time; close it after use.

    `damage` is what could not be read of the archive itself.
    """

    def __init__(self, limits: Limits) -> None:
        self.damage: list[Damaged] = []
        self.meter = Meter(limits)
        self._limits = limits
        self._members: dict[str, Member] = {}
        self._exit = contextlib.ExitStack()

    @property
    def names(self) -> list[str]:
        """Every file's path, with `/`, without `.gz`, and without folders that hold everything; in order."""
        return sorted(self._members)

    @property
    def texts(self) -> list[str]:
        """The names of what may hold messages; a single file may have any name."""
        return [name for name in self.names if _TEXT.search(name) or len(self._members) == 1]

    @property
    def total(self) -> int:
        """Bytes that `meter.read` will come to when each text is read once."""
        return sum(self._members[name].size for name in self.texts)

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return name in self._members

    def size(self, name: str) -> int | None:
        """Bytes of a file, unpacked; unknown when there is no such file, or it would have to be unpacked."""
        member = self._members.get(name)
        return None if member is None or member.gzipped else member.size

    def open(self, name: str) -> Stream:
        """A file's bytes. Unreadable when there is none, or it cannot be opened."""
        member = self._members.get(name)
        if member is None:
            raise Unreadable("is missing")
        stream = Stream(self._raw(member), self.meter, member.size)
        return Unzipped(stream, self.meter, self._limits) if member.gzipped else stream

    def close(self) -> None:
        """Close what is open."""
        self._exit.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _raw(self, member: Member) -> BinaryIO:
        raise NotImplementedError

    def _take(self, found: Iterable[tuple[str, Member]]) -> None:
        """Take the members that are found, under their names. Refused when they are too many or a trick."""
        try:
            for name, member in found:
                self._add(name, member)
        except BaseException:
            self.close()
            raise
        self._members = _without_common_folder(self._members)

    def _add(self, name: str, member: Member) -> None:
        _check_name(name)
        if not _LITTER.search(name):
            self._members[name.removesuffix(".gz") if member.gzipped else name] = member
        if len(self._members) > self._limits.members:
            raise Refused(f"It has more than {self._limits.members} files; split it into several exports.")


class Folder(Archive):
    """A folder and all below it, or one file of it."""

    def __init__(self, root: Path, limits: Limits, only: str = "") -> None:
        super().__init__(limits)
        self._root = root
        self._take([self._only(only)] if only else self._walk())

    def _only(self, name: str) -> tuple[str, Member]:
        path = self._root / name
        return name, Member(name, path.stat().st_size, _is_gzipped(path))

    def _walk(self) -> Iterator[tuple[str, Member]]:
        for folder, _, names in os.walk(self._root, onerror=self._closed_to_us):
            for name in names:
                path = Path(folder, name)
                about = path.lstat()
                if stat.S_ISREG(about.st_mode):
                    kept = path.relative_to(self._root).as_posix()
                    yield kept, Member(kept, about.st_size, _is_packed_text(kept))

    def _closed_to_us(self, error: OSError) -> None:
        where = Path(error.filename).relative_to(self._root).as_posix()
        self.damage.append(Damaged(where, f"cannot be opened ({type(error).__name__})"))

    def _raw(self, member: Member) -> BinaryIO:
        try:
            return (self._root / member.kept).open("rb")
        except OSError as error:
            raise Unreadable(f"cannot be opened ({type(error).__name__})") from error


class Zip(Archive):
    """A zip; its members are unpacked while they are read. One that was gzipped is unpacked whole before."""

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(limits)
        try:
            file = self._whole(path) if _is_gzipped(path) else self._exit.enter_context(path.open("rb"))
            check_directory(file, limits)
            self._zip = self._exit.enter_context(self._opened(file))
        except BaseException:
            self.close()
            raise
        self._take(self._found())

    def _whole(self, path: Path) -> BinaryIO:
        file = self._exit.enter_context(_aside())
        with path.open("rb") as packed:
            stream = Unzipped(Stream(packed, Meter(self._limits)), Meter(self._limits), self._limits)
            source = UpToDamage(stream.read)
            while data := source.read(CHUNK):
                _write(file, data)
        if source.trouble is not None:
            self.damage.append(Damaged(path.name, f"{source.trouble}; what comes after was left out"))
        return file

    @staticmethod
    def _opened(file: BinaryIO) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(file)
        except FAILURES as error:
            raise Refused("It is a damaged zip: its directory cannot be read.") from error

    def _found(self) -> Iterator[tuple[str, Member]]:
        for info in self._zip.infolist():
            name = right_name(info)
            if info.is_dir():
                continue
            if _TEXT.search(name.removesuffix(".gz")):
                self._check(info, name)
            yield name, Member(info.filename, info.file_size, _is_packed_text(name))

    def _check(self, info: zipfile.ZipInfo, name: str) -> None:
        if info.flag_bits & _ENCRYPTED:
            raise Refused("It is an encrypted zip; unpack it with its password and give the folder's path.")
        if info.file_size > max(SMALL, self._limits.ratio * info.compress_size):
            raise Refused(f"It looks like a zip bomb: {name} unpacks to {info.file_size} bytes.")

    def _raw(self, member: Member) -> BinaryIO:
        try:
            return cast(BinaryIO, self._zip.open(member.kept))
        except (KeyError, *FAILURES) as error:
            raise Unreadable(f"cannot be opened ({type(error).__name__})") from error


class Tar(Archive):
    """A tar, packed or not. What may hold messages is copied out of a packed one, once, when it is opened."""

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(limits)
        packed = _is_gzipped(path)
        source = Stream(self._exit.enter_context(path.open("rb")), Meter(limits))
        self._file = self._exit.enter_context(_aside() if packed else path.open("rb"))
        self._packed = packed
        try:
            self._take(self._found(Unzipped(source, Meter(limits), limits) if packed else source, path.name))
        except BaseException:
            self.close()
            raise

    def _found(self, stream: Stream, name: str) -> Iterator[tuple[str, Member]]:
        source = UpToDamage(stream.read)  # of what it reads at once, tarfile would lose what comes before
        try:
            yield from self._listed(cast(BinaryIO, source))
        except FAILURES:
            source.trouble = source.trouble or Unreadable("is damaged")
        if source.trouble is not None:
            self.damage.append(Damaged(name, f"{source.trouble}; what comes after was left out"))

    def _listed(self, source: BinaryIO) -> Iterator[tuple[str, Member]]:
        with tarfile.open(fileobj=source, mode="r|", bufsize=CHUNK) as tar:
            for info in tar:
                if info.isreg() and not info.issparse():
                    yield info.name.removeprefix("./"), self._kept(tar, info)
                tar.members = []  # type: ignore[attr-defined]  # it would remember each for ever

    def _kept(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
        offset = info.offset_data
        if self._packed and _TEXT.search(info.name.removesuffix(".gz")):
            offset = self._file.seek(0, os.SEEK_END)
            self._copy(cast(BinaryIO, tar.extractfile(info)))
        return Member(info.name, info.size, _is_packed_text(info.name), offset)

    def _copy(self, source: BinaryIO) -> None:
        with contextlib.suppress(Unreadable):  # then reading it says that it ends too early
            while data := attempt(source, CHUNK):
                _write(self._file, data)

    def _raw(self, member: Member) -> BinaryIO:
        return cast(BinaryIO, _Slice(self._file, member.offset, member.size))


class _Slice:
    """Some bytes of a file that others read too."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file = file
        self._offset = offset
        self._left = size

    def read(self, size: int) -> bytes:
        self._file.seek(self._offset)
        data = self._file.read(min(size, self._left) if size >= 0 else self._left)
        self._offset += len(data)
        self._left -= len(data)
        return data

    def close(self) -> None:
        """The file is the archive's to close."""


DEFAULT_LIMITS = Limits()


def open_archive(path: Path, limits: Limits = DEFAULT_LIMITS) -> Archive:
    """The export at a path. Refused when there is none, or it is one that must not be opened."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return Folder(path, limits)
        if stat.S_ISREG(mode):
            return _file(path, limits)
    except OSError as error:
        raise Refused(f"There is nothing that can be read at this path ({type(error).__name__}).") from error
    raise Refused("It is neither a file nor a folder.")


def _file(path: Path, limits: Limits) -> Archive:
    head = _head(path, limits)
    if head[:4] in _ZIP:
        return Zip(path, limits)
    if head[257:262] == b"ustar":
        return Tar(path, limits)
    return Folder(path.parent, limits, only=path.name)


def _head(path: Path, limits: Limits) -> bytes:
    """The first bytes of a file, unpacked."""
    packed = _is_gzipped(path)
    with path.open("rb") as file:
        stream = Stream(file, Meter(limits))
        source = UpToDamage((Unzipped(stream, Meter(limits), limits) if packed else stream).read)
        return source.read(512)


def _is_packed_text(name: str) -> bool:
    return name.endswith(".gz") and _TEXT.search(name.removesuffix(".gz")) is not None


def _is_gzipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP


def _aside() -> BinaryIO:
    """A nameless temporary file. Refused where none can be made."""
    try:
        return cast(BinaryIO, tempfile.TemporaryFile())
    except OSError as error:
        raise _no_room(error) from error


def _write(file: BinaryIO, data: bytes) -> None:
    """Refused where there is no room: that is no damage of the export."""
    try:
        file.write(data)
        file.flush()
    except OSError as error:
        with contextlib.suppress(OSError):  # it would try to write the rest
            file.close()
        raise _no_room(error) from error


def _no_room(error: OSError) -> Refused:
    place, why = tempfile.gettempdir(), error.strerror
    return Refused(
        f"There is no room to unpack it in {place} ({why}). Make some, or set TMPDIR to a folder with more."
    )


def _check_name(name: str) -> None:
    if name.startswith(("/", "\\")) or "\0" in name or ".." in name.replace("\\", "/").split("/"):
        raise Refused("It has a file whose name leads out of its folder; no exporter makes such.")


def _without_common_folder(members: dict[str, Member]) -> dict[str, Member]:
    """The same without a folder that holds all others, as many packers add one."""
    while members:
        folder = next(iter(members)).partition("/")[0] + "/"
        if not all(name.startswith(folder) for name in members):
            break
        members = {name.removeprefix(folder): member for name, member in members.items()}
    return members
