"""The tenant's time zone."""

import pytest

from postroom.domain.errors import Invalid
from postroom.domain.organization import check_time_zone


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Argentina/Buenos_Aires"])
def test_a_zone_by_its_name(name: str) -> None:
    """Names of the IANA time zone database."""
    assert check_time_zone(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "Mars/Olympus",
        "+02:00",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe",
        "Europe/",
        "UTC\x00",
        "x" * 5_000,
        "é",
        "\ud800",
        "__init__.py",
        "tzdata.zi",
        "zone.tab",
    ],
)
def test_anything_else_is_complained_about(name: str) -> None:
    """Paths, offsets, folders and files that are no zones: the complaint names the field."""
    with pytest.raises(Invalid) as caught:
        check_time_zone(name)
    assert caught.value.field == "time_zone"
