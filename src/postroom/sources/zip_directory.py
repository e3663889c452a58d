"""What a zip's directory says, before the whole of it is read into memory."""

import os
import struct
import zipfile
from typing import BinaryIO

from postroom.sources.streams import Limits
from postroom.sources.trouble import Refused

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_LONGEST_COMMENT = 1 << 16
_BYTES_A_MEMBER = 1024
_UTF_8 = 0x800


def check_directory(file: BinaryIO, limits: Limits) -> None:
    """Refused when a zip's directory has, or takes the room of, more members than an export can have."""
    members, size = _directory(file)
    if members > limits.members or size > limits.members * _BYTES_A_MEMBER:
        raise Refused(f"It has more than {limits.members} files; split it into several exports.")


def _directory(file: BinaryIO) -> tuple[int, int]:
    """How many members a zip has, and the bytes of their directory, as its end record says."""
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - _LONGEST_COMMENT - _END.size - _LOCATOR_64.size))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise Refused("It is a damaged zip: its end is missing.")
    _, _, _, _, members, size, _, _ = _END.unpack_from(tail, at)
    if members < 0xFFFF and size < 0xFFFFFFFF:
        return members, size
    if at >= _LOCATOR_64.size and tail[at - _LOCATOR_64.size :].startswith(b"PK\x06\x07"):
        _, _, offset, _ = _LOCATOR_64.unpack_from(tail, at - _LOCATOR_64.size)
        file.seek(min(offset, length))
        record = file.read(_END_64.size)
        if len(record) == _END_64.size:
            members, size = _END_64.unpack(record)[7:9]
    return members, size


def right_name(info: zipfile.ZipInfo) -> str:
    """A member's name. Slack's zips have names in UTF-8 but do not say so; then they are read as cp437."""
    if not info.flag_bits & _UTF_8:
        try:
            return info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.filename
