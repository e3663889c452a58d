"""The platforms that can be read. To add one: a module like the others, a line here, and its tests."""

from collections.abc import Iterator
from typing import Protocol

from postroom.domain.activity import Record
from postroom.sources import (
    discord,
    matrix,
    mattermost,
    ndjson,
    rocketchat,
    slack,
    teams,
    telegram,
    webex,
    zulip,
)
from postroom.sources.archive import Archive
from postroom.sources.trouble import Refused


class Platform(Protocol):
    """A reader: what its exports look like, and how to read them. A module is one."""

    NAME: str
    EXPECTED: str

    def fits(self, archive: Archive) -> bool:
        """Whether this is an export of the platform; it may be damaged all the same."""

    def read(self, archive: Archive, source: str = ...) -> Iterator[Record]:
        """The records of an export that fits, always in the same order. Nothing is raised."""


_MODULES: tuple[Platform, ...] = (
    slack,
    zulip,
    mattermost,
    rocketchat,
    teams,
    webex,
    matrix,
    discord,
    telegram,
    ndjson,
)
PLATFORMS: dict[str, Platform] = {platform.NAME: platform for platform in _MODULES}


def read(platform: Platform, archive: Archive, source: str) -> Iterator[Record]:
    """The records of an export, and first what of the archive is damaged. Refused when it does not fit."""
    if not platform.fits(archive):
        raise Refused(f"{_complaint(archive)} is not what was expected: {platform.EXPECTED}")
    return _read(platform, archive, source)


def _complaint(archive: Archive) -> str:
    trouble = [f"{damage.place} {damage.detail}" for damage in archive.damage]
    if archive.meter.trouble:
        trouble.append(f"a file {archive.meter.trouble}")
    return f"It is damaged, or cannot be read in part ({trouble[0]}), and the rest" if trouble else "This"


def _read(platform: Platform, archive: Archive, source: str) -> Iterator[Record]:
    yield from archive.damage
    yield from platform.read(archive, source)
