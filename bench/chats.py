"""Writes exports of a chat as large as they are asked for: a year of messages, in order of their time."""

import json
import random
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from postroom.domain.clock import DAY, SECOND

BEGIN = 1_577_836_800_000  # 2020-01-01, ms
DAYS = 365
PEOPLE = 5_000
SPACES = 800
CHANNELS = 50


class Job(msgspec.Struct, frozen=True):
    """An export of so many messages at a path, as `platform` has it."""

    platform: str
    path: str
    messages: int


class Written(msgspec.Struct, frozen=True):
    """Its size in bytes."""

    size: int


def ndjson(path: Path, messages: int) -> None:
    """Postroom's own format, one file."""
    chance = random.Random(1)
    step = DAYS * DAY // messages
    with path.open("w") as file:
        for number in range(messages):
            person, space = chance.randrange(PEOPLE), chance.randrange(SPACES)
            more = ', "files": 1, "file_bytes": 12345' if number % 16 == 0 else ""
            file.write(
                f'{{"message_id": "m-{number}", "at": {BEGIN + number * step}, "person": "person-{person}",'
                f' "space": "space-{space}", "direct": {"true" if space % 3 == 0 else "false"},'
                f' "client": "desktop"{more}}}\n'
            )


def slack(path: Path, messages: int) -> None:
    """A zip with a folder for each channel, and a file in it for each day."""
    each, more = divmod(messages, CHANNELS * DAYS)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as pack:
        channels = [{"id": f"C{number:09}", "name": f"channel-{number}"} for number in range(CHANNELS)]
        pack.writestr("channels.json", json.dumps(channels, indent=4))
        chance = random.Random(1)
        for place in range(CHANNELS * DAYS):
            channel, day = divmod(place, DAYS)
            date = _date(day)
            some = list(_messages(chance, channel, day, each + (place < more)))
            if some:
                pack.writestr(f"channel-{channel}/{date}.json", json.dumps(some, indent=4))


def _messages(chance: random.Random, channel: int, day: int, count: int) -> Iterator[dict[str, object]]:
    for number in range(count):
        ts = (BEGIN + day * DAY) // SECOND + number * 86_400 // count
        text = f"message {number} of channel {channel}, and what else somebody has to say about it today"
        yield {
            "client_msg_id": f"{chance.getrandbits(128):032x}",
            "type": "message",
            "text": text,
            "user": f"U{chance.randrange(PEOPLE):09}",
            "ts": f"{ts}.{number:06}",
            "team": "T000000001",
            "blocks": [{"type": "rich_text", "block_id": "b1", "elements": [{"type": "text", "text": text}]}],
        }


def _date(day: int) -> str:
    return datetime.fromtimestamp((BEGIN + day * DAY) / SECOND, UTC).date().isoformat()


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    path = Path(job.path)
    {"ndjson": ndjson, "slack": slack}[job.platform](path, job.messages)
    sys.stdout.buffer.write(msgspec.json.encode(Written(path.stat().st_size)))


if __name__ == "__main__":
    main()
