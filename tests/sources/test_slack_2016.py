"""A real export of 2016, where it is beside the project, gives exactly the numbers that are known of it."""

import csv
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from postroom.domain.activity import Activity, Record, Skipped
from tests.sources.exports import activities, damaged, records

DATA = Path(__file__).parents[3] / "shared" / "data" / "slack-2016"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/slack-2016 is not here")


def day(at: int | None) -> str:
    """The UTC date of a time in ms."""
    assert at is not None
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def of_people(found: list[Record]) -> list[Activity]:
    """The messages that people sent."""
    return [sent for sent in activities(found) if not sent.by_bot and not sent.system]


def test_its_days() -> None:
    """All rows, people's messages, active people and active spaces of each UTC day are those expected."""
    found = records("slack", DATA / "export.zip")
    rows = Counter(day(record.at) for record in found if isinstance(record, (Activity, Skipped)))
    told = []
    for date in sorted(rows):
        sent = [activity for activity in of_people(found) if day(activity.at) == date]
        people, spaces = {one.person for one in sent}, {one.space for one in sent}
        told.append([date, *(str(number) for number in (rows[date], len(sent), len(people), len(spaces)))])
    with (DATA / "expected.csv").open() as file:
        assert told == list(csv.reader(file))[1:]
    assert not damaged(found)


def test_its_files() -> None:
    """Three files of 45,115 bytes were shared; the comment that repeats one is not counted."""
    sent = of_people(records("slack", DATA / "export.zip"))
    assert sum(one.files for one in sent) == 3
    assert sum(one.file_bytes for one in sent) == 45_115
    assert sum(one.files_of_unknown_size for one in sent) == 0


def test_its_ids() -> None:
    """No two of its messages have one id."""
    found = activities(records("slack", DATA / "export.zip"))
    assert len({sent.message_id for sent in found}) == len(found) == 157
