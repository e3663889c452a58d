"""Exports as they come, and those that must not be opened."""

import contextlib
import gzip
import io
import os
import resource
import struct
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.sources.archive import open_archive
from postroom.sources.streams import SMALL, Limits
from postroom.sources.trouble import Refused, Unreadable
from tests.sources.exports import folder, gzipped, packed, tarred, zipped

FILES = {"a.json": b"[1]", "b/c.jsonl": b"{}\n", "b/picture.png": b"x" * 10}


def contents(path: Path) -> dict[str, bytes]:
    """All that an archive holds, read in pieces of an odd size."""
    with open_archive(path) as archive:
        told = {}
        for name in archive.names:
            with archive.open(name) as member:
                told[name] = b"".join(iter(lambda member=member: member.read(7), b""))  # type: ignore[misc]
        return told


def test_every_packing_holds_the_same(tmp_path: Path) -> None:
    """Names and bytes do not depend on how an export is packed."""
    ways = packed(tmp_path, FILES)
    assert {way: contents(path) for way, path in ways.items() if not way.startswith("tar")} == {
        way: FILES for way in ways if not way.startswith("tar")
    }


def test_a_packed_tar_holds_what_may_be_messages(tmp_path: Path) -> None:
    """Of a packed tar, only JSON is kept; the sizes of all files are known."""
    with open_archive(tarred(tmp_path / "a.tar.gz", FILES)) as archive:
        assert archive.names == sorted(FILES)
        assert {name: archive.size(name) for name in FILES} == {
            name: len(data) for name, data in FILES.items()
        }
        with archive.open("b/c.jsonl") as member:
            assert member.read(100) == b"{}\n"


def test_a_single_file(tmp_path: Path) -> None:
    """A file may have any name, and be gzipped under any name."""
    for name, data in (
        ("a.json", b"[1]"),
        ("dump", b"[1]"),
        ("a.json.gz", gzip.compress(b"[1]")),
        ("x", gzip.compress(b"[1]")),
    ):
        path = folder(tmp_path / name, {name: data}) / name
        with open_archive(path) as archive:
            (only,) = archive.texts
            with archive.open(only) as member:
                assert member.read(10) == b"[1]"


def test_two_gzips_in_a_row(tmp_path: Path) -> None:
    """Files that were packed one after the other are one file."""
    path = folder(tmp_path, {"a.gz": gzip.compress(b"[1") + gzip.compress(b"]")}) / "a.gz"
    assert list(contents(path).values()) == [b"[1]"]


def test_a_gzipped_zip(tmp_path: Path) -> None:
    """It is what is in it, whatever it is called; behind the zip, damage costs nothing and is told."""
    packed = gzip.compress(zipped(tmp_path / "a.zip", FILES).read_bytes())
    for name, data, damage in (("a.zip.gz", packed, []), ("x", packed[:-8], ["x"])):
        path = folder(tmp_path, {name: data}) / name
        assert contents(path) == FILES
        with open_archive(path) as archive:
            assert [each.place for each in archive.damage] == damage


def test_a_gzipped_zip_that_was_cut_short(tmp_path: Path) -> None:
    """Its end, where its directory is, is missing: it is refused as a damaged zip."""
    packed = gzip.compress(zipped(tmp_path / "a.zip", FILES).read_bytes())
    path = folder(tmp_path, {"a.zip.gz": packed[: len(packed) // 2]}) / "a.zip.gz"
    with pytest.raises(Refused, match="damaged zip"):
        open_archive(path)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip.gz"])
def test_no_room_to_unpack(tmp_path: Path, name: str) -> None:
    """Is no damage of the export: it is refused, and the sentence says what to do."""
    files = {"a.json": bytes(range(256)) * 1000}
    zipped(tmp_path / "a.zip", files)
    path = tarred(tmp_path / "a.tar.gz", files) if name == "a.tar.gz" else tmp_path / name
    if path.name == "a.zip.gz":
        path.write_bytes(gzip.compress((tmp_path / "a.zip").read_bytes()))
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, most[1]))  # as a full disk would
    try:
        with pytest.raises(Refused, match=r"no room to unpack it .* TMPDIR"):
            open_archive(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)


def test_sizes(tmp_path: Path) -> None:
    """A size is known without unpacking; that of a gzipped file is not."""
    with open_archive(zipped(tmp_path / "a.zip", FILES)) as archive:
        assert (archive.size("b/picture.png"), archive.size("none")) == (10, None)
        assert archive.meter.read == 0
    with open_archive(gzipped(tmp_path / "gz", FILES)) as archive:
        assert archive.size("a.json") is None


def test_what_packers_add_is_left_out(tmp_path: Path) -> None:
    """The files of a Mac's and of Windows' desktops are nobody's."""
    litter = {
        "__MACOSX/export/._a.json": b"x",
        "export/.DS_Store": b"x",
        "export/Thumbs.db": b"x",
        "export/._a.json": b"",
    }
    assert contents(zipped(tmp_path / "a.zip", {"export/a.json": b"[1]", **litter})) == {"a.json": b"[1]"}


def test_a_member_that_is_missing(tmp_path: Path) -> None:
    """Opening what is not there is Unreadable."""
    with open_archive(folder(tmp_path, FILES)) as archive, pytest.raises(Unreadable, match="is missing"):
        archive.open("none.json")


def test_nothing_there(tmp_path: Path) -> None:
    """A path with nothing at it, or with something that is no file, is refused."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("none", "pipe"):
        with pytest.raises(Refused):
            open_archive(tmp_path / name)


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    """A folder is what is in it; nothing outside of it is read, and nothing waits."""
    outside = folder(tmp_path / "outside", {"secret.json": b"[]"})
    inside = folder(tmp_path / "inside", {"a.json": b"[1]"})
    (inside / "link.json").symlink_to(outside / "secret.json")
    (inside / "linked").symlink_to(outside, target_is_directory=True)
    os.mkfifo(inside / "pipe.json")
    assert contents(inside) == {"a.json": b"[1]"}


@pytest.mark.parametrize("name", ["../a.json", "a/../../b.json", "/etc/a.json", "a\\..\\b.json"])
def test_names_that_lead_out(name: str, tmp_path: Path) -> None:
    """No exporter makes such names."""
    for path in (zipped(tmp_path / "a.zip", {name: b""}), tarred(tmp_path / "a.tar", {name: b""})):
        with pytest.raises(Refused, match="leads out"):
            open_archive(path)


def test_an_encrypted_zip(tmp_path: Path) -> None:
    """A zip with a password is refused with the way out."""
    path = zipped(tmp_path / "a.zip", {"a.json": b"[1]"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(Refused, match="encrypted"):
        open_archive(path)


def test_too_many_members(tmp_path: Path) -> None:
    """More files than an export can have are refused before their names are read."""
    files = {f"{number}.json": b"" for number in range(20)}
    paths = [
        folder(tmp_path / "f", files),
        zipped(tmp_path / "a.zip", files),
        tarred(tmp_path / "a.tar.gz", files),
    ]
    for path in paths:
        open_archive(path, Limits(members=20)).close()
        with pytest.raises(Refused, match="more than 19 files"):
            open_archive(path, Limits(members=19))


def test_a_zip_that_lies_about_its_directory(tmp_path: Path) -> None:
    """A count that is too low does not help: the directory's size counts too."""
    path = zipped(tmp_path / "a.zip", {"x" * 1000 + f"{number}.json": b"" for number in range(20)})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x05\x06")
    data[at + 8 : at + 12] = struct.pack("<2H", 1, 1)
    path.write_bytes(data)
    with pytest.raises(Refused, match="more than 19 files"):
        open_archive(path, Limits(members=19))


def test_a_large_zip(tmp_path: Path) -> None:
    """A zip of more files than fit the old form is read, and counted."""
    files = {f"{number}.json": b"" for number in range(65_600)}
    path = zipped(tmp_path / "a.zip", files)
    with open_archive(path) as archive:
        assert len(archive.names) == 65_600
    with pytest.raises(Refused, match="more than 65599 files"):
        open_archive(path, Limits(members=65_599))


def test_a_zip_bomb(tmp_path: Path) -> None:
    """A text that unpacks to far more than its size is refused at once; other files may be anything."""
    bomb = b"0" * (SMALL + 1)
    open_archive(zipped(tmp_path / "a.zip", {"a.json": b"[]", "picture.bmp": bomb})).close()
    with pytest.raises(Refused, match="zip bomb"):
        open_archive(zipped(tmp_path / "b.zip", {"a.json": bomb}))


def test_a_zip_bomb_in_a_gzip(tmp_path: Path) -> None:
    """Neither the gzip nor the zip in it may unpack to far more than its size."""
    path = zipped(tmp_path / "b.zip", {"a.json": b"0" * (SMALL + 1)})
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(Refused, match="zip bomb"):
        open_archive(path)
    path.write_bytes(gzip.compress(b"PK\x03\x04" + bytes(2 * SMALL)))
    with pytest.raises(Refused, match="damaged zip"):
        open_archive(path)


def drained(path: Path, limits: Limits) -> int:
    """Bytes that all texts of an archive have."""
    total = 0
    with open_archive(path, limits) as archive:
        for name in archive.texts:
            with archive.open(name) as member:
                while data := member.read(1 << 20):
                    total += len(data)
    return total


def test_a_gzip_bomb(tmp_path: Path) -> None:
    """A gzip is stopped while it unpacks to far more than was read of it."""
    path = gzipped(tmp_path, {"a.json": b"0" * (SMALL + 1)})
    with pytest.raises(Unreadable, match="more than 200 times its size"):
        drained(path, Limits())


def test_a_gzip_bomb_in_a_tar(tmp_path: Path) -> None:
    """A packed tar that unpacks to far more than its size is cut off there."""
    path = tarred(tmp_path / "a.tar.gz", {"a.json": b"[]", "b.bin": b"0" * (2 * SMALL), "c.json": b"[]"})
    with open_archive(path) as archive:
        assert archive.texts[:1] == ["a.json"]
        assert "c.json" not in archive.names
        assert [damage.place for damage in archive.damage] == ["a.tar.gz"]


def test_the_total_is_bounded(tmp_path: Path) -> None:
    """Many files that are each reasonable cannot make an endless export."""
    files = {f"{number}.json": os.urandom(1000) for number in range(10)}
    for path in (
        zipped(tmp_path / "a.zip", files),
        gzipped(tmp_path / "gz", files),
        folder(tmp_path / "f", files),
    ):
        assert drained(path, Limits(total=30_000)) == 10_000
        with pytest.raises(Unreadable, match="more than 5000 bytes"):
            drained(path, Limits(total=5_000))


def test_a_member_that_is_shorter_than_it_says(tmp_path: Path) -> None:
    """A tar that was cut off inside a file has the file's beginning."""
    path = tarred(tmp_path / "a.tar", {"a.json": b"[" + b"1," * 1000})
    path.write_bytes(path.read_bytes()[:1000])
    with open_archive(path) as archive:
        member = archive.open("a.json")
        assert member.read(10_000) == b"[" + b"1," * 243 + b"1"
        with pytest.raises(Unreadable, match="ends too early"):
            member.read(1)


def test_odd_members_of_a_tar(tmp_path: Path) -> None:
    """Links, devices and folders of a tar are left out."""
    with tarfile.open(tmp_path / "a.tar", "w") as pack:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)):
            info = tarfile.TarInfo(f"{number}.json")
            info.type, info.linkname = kind, "/etc/passwd"
            pack.addfile(info)
        info = tarfile.TarInfo("./real.json")
        info.size = 2
        pack.addfile(info, io.BytesIO(b"[]"))
    assert contents(tmp_path / "a.tar") == {"real.json": b"[]"}


def test_an_unknown_packing_of_a_member(tmp_path: Path) -> None:
    """A member in a way of packing that Python does not know is Unreadable."""
    path = zipped(tmp_path / "a.zip", {"a.json": b"[1]"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + 8] = data[data.index(b"PK\x01\x02") + 10] = 97
    path.write_bytes(data)
    with open_archive(path) as archive, pytest.raises(Unreadable):
        archive.open("a.json").read(1)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"\x00" * 257 + b"ustar"]),
)
def test_any_bytes(tail: bytes, head: bytes) -> None:
    """A file of any bytes is opened or refused; reading it fails in one way only."""
    with tempfile.TemporaryDirectory() as place:
        path = folder(Path(place), {"any": head + tail}) / "any"
        with contextlib.suppress(Refused, Unreadable):
            drained(path, Limits())
