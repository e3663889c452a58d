"""`postroom import`, as a person and a program see it."""

import asyncio
import os
import re
import signal
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from postroom.cli import imports
from postroom.sources.registry import PLATFORMS
from tests.acceptance.house import run, run_json
from tests.cli.shell import arrange, background, in_terminal
from tests.sources.exports import activities, folder, lines, text, zipped
from tests.sources.samples import AT, SAMPLES
from tests.support.home import PostgresHome, SqliteHome
from tests.support.hub import blocked, unique
from tests.support.importing import recounted, taken_from, written
from tests.support.postgres import Server

ROOT = Path(__file__).parents[2]
SHOWN = """\
read\t100%\t{records} records
folded\t25%
folded\t50%
folded\t75%
folded\t100%
messages\t{messages}
duplicates\t{duplicates}
deletions\t{deletions}
damaged\t0
days\t{days}
by bots\t{by_bots}
by platform\t0
files\t{files}
bytes\t{bytes}
first day\t2023-11-15
last day\t2023-12-24
resumed at\t0
"""


@pytest.fixture
def slack(tmp_path: Path) -> Path:
    """An export of three messages, and one that says who joined."""
    return zipped(tmp_path / "export.zip", SAMPLES["slack"]())


@pytest.fixture
def home(postgres: Server) -> Iterator[PostgresHome]:
    """A database with an organization."""
    name = unique("import").replace(" ", "_")
    postgres.create(name)
    with closing(PostgresHome(postgres, name)) as made:
        assert run("org", "create", "acme", "--database", made.address).returncode == 0
        yield made


def numbers(data: Path, table: str) -> int:
    """How many rows there are."""
    ((count,),) = SqliteHome(data).rows(f"SELECT count(*) FROM {table}")
    return int(count)


def test_every_platform_can_be_named() -> None:
    """The names that the command knows without loading the readers are those of the readers."""
    (names, _) = get_args(imports.Platform)
    assert list(get_args(names)) == list(PLATFORMS)


def test_every_platform_has_a_page() -> None:
    """What to export, and what of it is counted, is told for each, and listed."""
    pages = ROOT / "docs" / "howto" / "platforms"
    assert {page.stem for page in pages.iterdir()} == PLATFORMS.keys()
    index = (pages.parent / "import.md").read_text("utf-8")
    assert [
        name for name in PLATFORMS if f"| `{name}` | [{name}.md](platforms/{name}.md) |" not in index
    ] == []


def test_lines_in_a_pipe(data: Path, tmp_path: Path) -> None:
    """A few lines that tell how far it is, then a line for each number."""
    path = written(tmp_path / "a.ndjson", 300)
    counted, taken = recounted(path), taken_from(path)
    done = run("import", "ndjson", str(path), data=data)
    assert (done.returncode, done.stderr) == (0, "")
    messages = counted.messages.values()
    sent = activities(taken)
    assert done.stdout == SHOWN.format(
        records=len(taken),
        messages=len(messages),
        duplicates=len(taken) - len(messages) - len(counted.deleted),
        deletions=len(counted.deleted),
        days=len({each.at // 86_400_000 for each in messages}),
        by_bots=sum(each.by_bot for each in sent),
        files=sum(each.files for each in sent),
        bytes=sum(each.file_bytes for each in sent),
    )


def test_json(data: Path, slack: Path) -> None:
    """One object when it is over; a second run adds nothing."""
    expected = {
        "platform": "slack",
        "source": "work",
        "messages": 4,
        "duplicates": 0,
        "deletions": 0,
        "skipped": {},
        "damaged": 0,
        "days": 1,
        "by_bots": 0,
        "by_platform": 1,
        "files": 1,
        "bytes": 1000,
        "first_day": "2023-11-14",
        "last_day": "2023-11-14",
        "resumed_at": 0,
    }
    words = "import", "slack", str(slack), "--source", "work", "--org", "acme"
    assert run_json(*words, data=data) == {"import": expected}
    again = expected | {"messages": 0, "duplicates": 4, "days": 0}
    assert run_json(*words, data=data) == {"import": again}
    assert SqliteHome(data).rows("SELECT name FROM sources") == [("work",)]


def test_what_is_skipped_has_a_line_for_each_rule(data: Path, tmp_path: Path) -> None:
    """With the reader's words for it."""
    message = {"type": "message", "subtype": "message_changed", "ts": "1700000000.000100"}
    files = {**SAMPLES["slack"](), "general/2023-11-15.json": text([message])}
    done = run("import", "slack", str(folder(tmp_path / "export", files)), data=data)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "skipped: edit\t1"


def test_bars_on_a_terminal(data: Path, tmp_path: Path) -> None:
    """How much is read and folded, with what is damaged above it, then the numbers."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(written(path, 300).read_bytes() + b"nonsense\n")
    code, shown = in_terminal("import", "ndjson", str(path), data=data)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"read +━+ 100% 300 records", plain)
    assert re.search(r"folded +━+ 100%", plain)
    assert "a.ndjson: line 301: is not JSON" in shown
    assert re.search(r"^messages +\d+$", plain, re.MULTILINE)


def test_what_is_damaged(data: Path, tmp_path: Path) -> None:
    """The first twenty with their place and what is wrong, then how many more; the rest is taken in."""
    good = '{"message_id": "m%d", "at": 1700000000000, "person": "p", "space": "s", "direct": false}\n'
    path = tmp_path / "a.ndjson"
    path.write_text("".join([good % number + '{"message_id": "\u001b"}\n' for number in range(50)]))
    done = run("import", "ndjson", str(path), "--json", data=data)
    assert done.returncode == 0
    told = done.stderr.splitlines()
    assert told[0] == "a.ndjson: line 2: is not JSON"
    assert told[19:] == ["a.ndjson: line 40: is not JSON", "30 more are damaged."]
    assert '"messages": 50' in done.stdout
    assert '"damaged": 50' in done.stdout


def bomb(path: Path) -> Path:
    """A zip of a few kB that unpacks to a hundred MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack, pack.open("channels.json", "w") as member:
        for _ in range(100):
            member.write(b" " * 1_000_000)
    return path


def test_refused(data: Path, tmp_path: Path, slack: Path) -> None:
    """One sentence that says what is wrong and what was expected, and nothing is written."""
    cases = [
        ("zulip", slack, "This is not what was expected: an export of a Zulip organization"),
        ("slack", tmp_path / "nothing", "There is nothing that can be read at this path"),
        (
            "slack",
            bomb(tmp_path / "bomb.zip"),
            "It looks like a zip bomb: channels.json unpacks to 100000000",
        ),
        ("ndjson", Path("/dev/null"), "It is neither a file nor a folder"),
    ]
    for platform, path, said in cases:
        done = run("import", platform, str(path), data=data)
        assert (done.returncode, done.stdout) == (1, ""), path
        assert done.stderr.startswith(f"Error: {path}: {said}")
        assert done.stderr.count("\n") == 1
    assert [numbers(data, table) for table in ("imports", "sources", "activities")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("icq", "x"), 2, "'icq' is not one of 'slack', 'zulip', 'mattermost', 'rocketchat'"),
        (("slack",), 2, "Missing argument 'PATH'. See postroom import --help."),
        (("slack", "x", "--source", ""), 1, "--source must have 1 to 100 characters"),
        (("slack", "x", "--source", "a\nb"), 1, "without control characters"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_one_sentence(data: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """Of a command line that cannot be."""
    done = run("import", *words, data=data)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_which_organization(data: Path, slack: Path, tmp_path: Path) -> None:
    """As for other commands: by name or id, or the only one; nothing is made where there is no database."""
    done = run("import", "slack", str(slack), "--org", "nobody", data=data)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: there is no organization 'nobody'; there are acme.\n"
    arrange(data, lambda hub: hub.organizations.create("other"))
    assert "say which organization with --org" in run("import", "slack", str(slack), data=data).stderr
    assert run("import", "slack", str(slack), "--org", "other", data=data).returncode == 0
    assert "nothing of Postroom" in run("import", "slack", str(slack), data=tmp_path / "new").stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(home: PostgresHome, tmp_path: Path, number: signal.Signals) -> None:
    """It ends behind the batch that is under way, and says that the same command goes on; so it does."""
    path = written(tmp_path / "a.ndjson", 5_000)
    words = "import", "ndjson", str(path), "--database", home.address
    with home.beside() as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE dirty_days IN EXCLUSIVE MODE")
        with background(tmp_path / "import", *words) as importing:
            asyncio.run(blocked(home, "dirty_days"))
            importing.process.send_signal(number)
            other.execute("ROLLBACK")
            assert importing.process.wait(60) == 130
            assert importing.err == "Interrupted. Run the same command again to go on.\n"
    ((records,),) = home.rows("SELECT records FROM imports WHERE finished_at IS NULL")
    assert 0 < records < 5_000
    done = run(*words)
    assert done.returncode == 0
    assert f"resumed at\t{records}\n" in done.stdout
    assert f"messages\t{len(recounted(path).messages)}\n" in done.stdout


def test_the_process_that_reads_is_killed(home: PostgresHome, tmp_path: Path) -> None:
    """One sentence, and the same command goes on from what was taken in."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"".join(_long(number) for number in range(9_000)))
    words = "import", "ndjson", str(path), "--database", home.address
    with home.beside() as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE dirty_days IN EXCLUSIVE MODE")
        with background(tmp_path / "import", *words) as importing:
            asyncio.run(blocked(home, "dirty_days"))
            (reader,) = children(importing.process.pid)
            os.kill(reader, signal.SIGKILL)
            other.execute("ROLLBACK")
            assert importing.process.wait(60) == 1
            assert importing.err == (
                "Error: the process that reads the export has ended by signal 9; what was taken in stays, and"
                " the same command goes on.\n"
            )
    ((records,),) = home.rows("SELECT records FROM imports WHERE finished_at IS NULL")
    assert 0 < records < 9_000
    done = run(*words)
    assert done.returncode == 0
    assert f"resumed at\t{records}\n" in done.stdout
    assert "messages\t9000\n" in done.stdout


def _long(number: int) -> bytes:
    """A message whose space's id is so long that a pipe cannot hold all that are read."""
    return lines({"message_id": str(number), "at": AT, "person": "p", "space": "s" * 900, "direct": False})


def children(pid: int) -> list[int]:
    """The processes that this one has started, and that have not ended."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for each in threads for child in (each / "children").read_text().split()]


def test_a_database_that_is_busy(data: Path, tmp_path: Path) -> None:
    """The sentence says that nothing is lost."""
    path = written(tmp_path / "a.ndjson", 100)
    with SqliteHome(data).beside() as other:
        other.execute("BEGIN IMMEDIATE")
        done = run("import", "ndjson", str(path), data=data)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: the database is busy; try again; what was taken in stays, and the same command goes on.\n"
    )
