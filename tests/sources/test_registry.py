"""The table of platforms."""

from pathlib import Path

import pytest

from postroom.domain.activity import Damaged
from postroom.sources.archive import open_archive
from postroom.sources.registry import PLATFORMS, read
from postroom.sources.trouble import Refused
from tests.sources.exports import folder, packed, records
from tests.sources.samples import SAMPLES

PLATFORM = pytest.mark.parametrize("platform", PLATFORMS)


def test_every_platform_has_a_sample() -> None:
    """Each platform takes part in the tests that all share."""
    assert PLATFORMS.keys() == SAMPLES.keys()


@PLATFORM
def test_a_platform_tells_what_it_expects(platform: str) -> None:
    """A sentence of reasonable length, without a capital, so that it can stand inside another."""
    expected = PLATFORMS[platform].EXPECTED
    assert expected.endswith(".")
    assert len(expected) < 300


@PLATFORM
def test_only_its_own_exports_fit(platform: str, tmp_path: Path) -> None:
    """An export of another platform is refused, so a wrong word on the command line costs nothing."""
    for name, make in SAMPLES.items():
        with open_archive(folder(tmp_path / name, make())) as archive:
            assert PLATFORMS[platform].fits(archive) is (name == platform)


@PLATFORM
@pytest.mark.parametrize(
    "files",
    [{}, {"a.json": b""}, {"a.json": b"{}"}, {"a.json": b"[]"}, {"a.json": b"\x00\xff"}, {"a.txt": b"hello"}],
)
def test_what_is_no_export_is_refused(platform: str, files: dict[str, bytes], tmp_path: Path) -> None:
    """The sentence says what was expected."""
    with pytest.raises(Refused) as refusal:
        records(platform, folder(tmp_path / "export", {"nothing/of/use.bin": b"", **files}))
    assert PLATFORMS[platform].EXPECTED in str(refusal.value)


@PLATFORM
def test_the_source_is_the_caller_s(platform: str, tmp_path: Path) -> None:
    """Two servers of one platform are two sources."""
    with open_archive(folder(tmp_path, SAMPLES[platform]())) as archive:
        found = list(read(PLATFORMS[platform], archive, "acme"))
    assert {getattr(record, "source", "acme") for record in found} == {"acme"}


@PLATFORM
def test_progress(platform: str, tmp_path: Path) -> None:
    """What has been read of an export rises from nothing to something near its size."""
    for path in packed(tmp_path, SAMPLES[platform]()).values():
        with open_archive(path) as archive:
            assert archive.meter.read == 0
            assert archive.total > 0
            list(read(PLATFORMS[platform], archive, platform))
            assert archive.meter.read > archive.total // 4


def test_damage_of_the_archive_itself_comes_first(tmp_path: Path) -> None:
    """What could not be read of a folder is told before its records."""
    with open_archive(folder(tmp_path, SAMPLES["slack"]())) as archive:
        archive.damage.append(Damaged("somewhere", "cannot be opened (PermissionError)"))
        assert next(read(PLATFORMS["slack"], archive, "slack")) == archive.damage[0]
