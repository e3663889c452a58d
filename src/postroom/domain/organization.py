"""The tenant."""

from zoneinfo import ZoneInfo

import msgspec

from postroom.domain.errors import Invalid


class Organization(msgspec.Struct, frozen=True):
    """A tenant; the hub API calls it an API client."""

    id: str
    name: str
    time_zone: str
    created_by: str | None
    created_at: int


def check_time_zone(name: str) -> str:
    """The name of a time zone, when there is such a zone.

    Raises:
        Invalid: there is none.
    """
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError) as error:
        raise Invalid(
            "time_zone", f"{name!r} is no time zone; use a name such as UTC or Europe/Berlin"
        ) from error
