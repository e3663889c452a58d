"""Exports as tests write them: their files by name, packed in every way that exports come."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from postroom.domain.activity import Activity, Damaged, Deletion, Record, Skipped
from postroom.sources.archive import DEFAULT_LIMITS, open_archive
from postroom.sources.registry import PLATFORMS, read
from postroom.sources.streams import Limits

Files = Mapping[str, bytes]


def text(value: Any, indent: int | None = None) -> bytes:
    """A value in JSON; with `indent` as an exporter for people writes it."""
    return json.dumps(value, indent=indent).encode()


def lines(*values: Any) -> bytes:
    """Values in JSON, one on each line."""
    return b"".join(text(value) + b"\n" for value in values)


def folder(path: Path, files: Files) -> Path:
    """The files below a folder."""
    for name, data in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return path


def zipped(path: Path, files: Files) -> Path:
    """The files in a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, data in files.items():
            pack.writestr(name, data)
    return path


def tarred(path: Path, files: Files) -> Path:
    """The files in a tar; packed with gzip when the path says so."""
    mode = "w:gz" if path.name.endswith("gz") else "w"
    with tarfile.open(path, mode) as pack:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            pack.addfile(info, io.BytesIO(data))
    return path


def gzipped(path: Path, files: Files) -> Path:
    """The files below a folder, those with JSON each packed with gzip."""
    texts = {name: data for name, data in files.items() if "json" in name}
    folder(path, {name: data for name, data in files.items() if name not in texts})
    return folder(path, {f"{name}.gz": gzip.compress(data) for name, data in texts.items()})


def packed(path: Path, files: Files) -> dict[str, Path]:
    """The same files in all ways, below a folder of the test's own."""
    below = {f"some export/{name}": data for name, data in files.items()}
    return {
        "folder": folder(path / "folder", files),
        "folder in a folder": folder(path / "nested", below),
        "zip": zipped(path / "export.zip", files),
        "zip with a folder": zipped(path / "nested.zip", below),
        "tar": tarred(path / "export.tar", files),
        "tar.gz": tarred(path / "export.tar.gz", below),
        "gzipped files": gzipped(path / "gzipped", files),
    }


def records(platform: str, path: Path, limits: Limits = DEFAULT_LIMITS) -> list[Record]:
    """All that a platform's reader tells of the export at a path."""
    with open_archive(path, limits) as archive:
        return list(read(PLATFORMS[platform], archive, platform))


def activities(found: Iterable[Record]) -> list[Activity]:
    """Only the activities."""
    return [record for record in found if isinstance(record, Activity)]


def deletions(found: Iterable[Record]) -> list[Deletion]:
    """Only the deletions."""
    return [record for record in found if isinstance(record, Deletion)]


def skipped(found: Iterable[Record]) -> list[str]:
    """The rules by which something was skipped."""
    return [record.rule for record in found if isinstance(record, Skipped)]


def damaged(found: Iterable[Record]) -> list[Damaged]:
    """Only what is damaged."""
    return [record for record in found if isinstance(record, Damaged)]


def only(found: Iterable[Record]) -> Activity:
    """The activity of an export that holds one, and nothing else."""
    (record,) = found
    assert isinstance(record, Activity)
    return record
