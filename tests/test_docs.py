"""The reference names everything there is, and nothing else; what the README says to type works."""

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from postroom.cli import failures
from postroom.cli.main import app
from postroom.domain import errors
from postroom.domain.errors import PostroomError
from postroom.domain.liveness import Liveness
from postroom.domain.metrics import METRICS
from postroom.domain.retry import Policy
from postroom.domain.usage import NAMES
from postroom.http.analytics_bodies import Summary
from postroom.http.call import Operation
from postroom.http.openapi import errors_of
from postroom.http.operations import OPERATIONS
from postroom.http.problems import STATUS
from postroom.settings import Setting, described
from postroom.workers import transport
from tests.acceptance.house import Postroom, clear_of_midnight, make_organization
from tests.acceptance.receiver import Received, Receiver

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is `heading`."""
    lines = (REFERENCE / page).read_text("utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    table = lines[start + 2 :]
    end = next((n for n, line in enumerate(table) if not line.startswith("|")), len(table))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[:end]]


def documented(setting: Setting) -> list[str]:
    names = [f"`{name}`" for name in (setting.option, setting.variable, setting.name)]
    return [*names, f"`{setting.default}`" if setting.default else "empty", setting.description]


def test_every_setting() -> None:
    """Option, variable, key, default and meaning of each setting, in the order of Settings."""
    assert rows("settings.md", "Option") == [documented(setting) for setting in described()]


def test_every_choice() -> None:
    """A setting with a fixed set of values has them all listed."""
    page = (REFERENCE / "settings.md").read_text("utf-8")
    choices = {setting.name: setting.choices for setting in described() if setting.choices}
    assert choices
    for name, values in choices.items():
        assert f"* `{name}`: {', '.join(f'`{value}`' for value in values)}" in page


def told(cell: str) -> list[str]:
    """What stands between backquotes in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def operation(row: Operation) -> tuple[list[str], list[str], str]:
    """Methods, paths and scope as the table shows them."""
    paths = [path for path in (row.path, row.also) if path is not None]
    return list(row.methods), paths, f"`{row.resource}` {row.access}" if row.resource else "no key"


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one of any level."""
    text = (REFERENCE / page).read_text("utf-8")
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"{page} has no {heading!r}"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def test_every_operation() -> None:
    """Methods, path and scope of each operation, and nothing else."""
    listed = [(told(methods), told(path), scope) for methods, path, scope, _ in rows("http.md", "Method")]
    assert sorted(listed) == sorted(operation(row) for row in OPERATIONS)


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: f"{row.methods[0]} {row.path}")
def test_an_operations_section(row: Operation) -> None:
    """A section for each, with each field of its body, each parameter, and the status of its own errors."""
    text = section("http.md", f"### `{row.methods[0]} {row.path}`")
    fields = row.body.__struct_fields__ if row.body else ()
    names = [each.encode_name for each in msgspec.structs.fields(row.query)]
    parameters = [name for name in names if name != "pretty"]
    assert [name for name in (*fields, *parameters) if f"`{name}`" not in text] == []
    own = {str(STATUS[error]) for error in row.errors if issubclass(error, PostroomError)}
    assert own <= set(re.findall(r"\b[45]\d\d\b", text))


def test_errors_of_every_operation() -> None:
    """The sentence about what any operation can be refused with names what the table of operations gives."""
    everywhere = {STATUS[error] for error in errors_of(OPERATIONS[-2])} | {500}
    text = section("http.md", "## Operations")
    sentence = text[text.index("Every operation can be refused") :]
    assert all(str(status) in sentence for status in everywhere)
    general = {status for row in OPERATIONS for status in map(STATUS.__getitem__, errors_of(row))}
    own = {STATUS[error] for row in OPERATIONS for error in row.errors if issubclass(error, PostroomError)}
    assert all(str(status) in sentence for status in general - own)


def family(error: type[PostroomError]) -> Iterator[type[PostroomError]]:
    """All classes under this one."""
    for each in error.__subclasses__():
        yield each
        yield from family(each)


def test_every_error() -> None:
    """Status, class and code of each error that a request can meet."""
    listed = {
        (int(status), *told(name), *told(code))
        for status, name, code, *_ in rows("errors.md", "Status")
        if code
    }
    assert listed == {(status, error.__name__, error.code) for error, status in STATUS.items()}


def test_errors_of_commands() -> None:
    """Every other error is one of commands, and its code stands in the page too."""
    others = {error for error in family(PostroomError) if error not in STATUS}
    assert {error.__module__ for error in others} <= {failures.__name__}
    text = section("errors.md", "## Errors of commands")
    assert [error.code for error in others if f"`{error.code}`" not in text] == []
    assert errors.PostroomError.code not in {error.code for error in (*STATUS, *others)}


def given_by(function: object) -> set[str]:
    """The names of errors that stand in a function's code."""
    tree = ast.parse(inspect.getsource(function))  # type: ignore[arg-type]
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {value for value in found if isinstance(value, str) and re.fullmatch(r"[a-z_]+", value)}


def test_every_error_of_an_attempt() -> None:
    """The names that the transport gives to what goes wrong, and nothing else."""
    listed = {name for cell, *_ in rows("delivery.md", "`error`") for name in told(cell)}
    by_class = {name for _, name in transport._NAMES}
    assert listed == by_class | given_by(transport.name_of) | given_by(transport._answer)


def test_every_liveness_state() -> None:
    """All states that results can lead to."""
    results = ["", "1", "10", "000"]
    states = set()
    for result in results:
        liveness = Liveness()
        for ok in result:
            liveness = liveness.after(ok == "1", 0)
        states.add(liveness.state)
    assert [told(cell)[0] for cell, _ in rows("delivery.md", "State")] == [
        "unknown",
        "stable",
        "unstable",
        "dead",
    ]
    assert states == {"unknown", "stable", "unstable", "dead"}


def test_the_schedule() -> None:
    """The waits that are shown are those of the default policy."""
    units = {"s": 1, "min": 60, "h": 3600}
    ((_, *waits),) = rows("delivery.md", "Attempt")
    shown = [int(number) * units.get(unit, 0) for number, _, unit in (wait.partition(" ") for wait in waits)]
    assert tuple(second * 1000 for second in shown) == Policy().schedule


def test_every_counter() -> None:
    """All counters, in the order in which the answer lists them."""
    assert [told(cell)[0] for cell, _ in rows("counting.md", "Counter")] == list(NAMES)


def test_every_metric() -> None:
    """All lists of daily totals and all fields of the summary, in the order of the answers."""
    listed = [told(cell)[0] for cell, _ in rows("metrics.md", "Metric")]
    assert listed == [*METRICS, "complete"]
    assert [told(cell)[0] for cell, _ in rows("metrics.md", "Field")] == list(Summary.__struct_fields__)


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def anchors(page: Path) -> set[str]:
    """What can stand behind the # of a link to the page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to another page, or to a place in one, leads there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        if ":" not in path:
            other = (page.parent / path).resolve() if path else page
            assert other.is_file(), target
            assert not anchor or anchor in anchors(other), target


def posted(receiver: Receiver) -> list[Received]:
    """The messages among what arrived."""
    return [one for one in receiver.got("/") if one.method == "POST"]


@pytest.mark.anyio
async def test_the_readmes_first_message(tmp_path: Path) -> None:
    """Copied and pasted, the README's lines send a message, and tell of one of the day before."""
    texts = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    script = "".join(text for text in texts if "curl" in text)
    await clear_of_midnight()
    key = make_organization(tmp_path / "data").key
    async with Receiver() as receiver:
        with Postroom(tmp_path / "data") as server:
            script = script.replace("KEY=...", f"KEY={key}").replace("http://127.0.0.1:8080", server.url)
            script = script.replace("http://127.0.0.1:8081/", receiver.url("/"))
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec("sh", "-euc", script, stdout=pipe, stderr=pipe)
            answered, complaints = await process.communicate()
            assert process.returncode == 0, complaints
            (received,) = await receiver.when(lambda: posted(receiver))
    assert received.body == b"Hello"
    assert b'"message_added": 1' in answered
    assert re.search(rb'"totalMessagesSent": \[\s*1\s*\]', answered)
    documented = {told(cell)[0].lower() for cell, _ in rows("delivery.md", "Header")}
    assert documented <= set(received.headers)
    ours = {name for name in received.headers if name.startswith(("webhook-", "postroom-"))}
    assert ours <= documented


COMMON = ("--org", "--data", "--database", "--config", "--json")


def leaves(command: Any, path: tuple[str, ...] = ("postroom",)) -> Iterator[tuple[str, Any]]:
    """Each command that does something, with its name and arguments as a person writes them."""
    context = typer.Context(command)
    names = command.list_commands(context) if isinstance(command, TyperGroup) else []
    for name in names:
        yield from leaves(command.get_command(context, name), (*path, name))
    if not names:
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        shown = [each.metavar if each.required else f"[{each.metavar}]" for each in arguments]
        yield " ".join([*path, *shown]), command


def options_of(command: Any) -> dict[str, str]:
    """A row of a table for each option of the command."""
    options = [each for each in command.params if each.param_type_name == "option"]
    return {
        each.opts[0]: f"| `{' '.join(filter(None, [each.opts[0], each.metavar]))}` | {each.help} |"
        for each in options
    }


COMMANDS = list(leaves(get_command(app)))


def test_every_command() -> None:
    """A section for each command, with its arguments, and for nothing else."""
    headings = re.findall(r"^## `(.+)`$", (REFERENCE / "cli.md").read_text("utf-8"), re.MULTILINE)
    assert headings == [name for name, _ in COMMANDS]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_option(name: str, command: Any) -> None:
    """All options of a command are in its section, and its own with what its help says; no others are."""
    text, options = section("cli.md", f"## `{name}`"), options_of(command)
    common = section("cli.md", "## Options of many commands")
    settings = {setting.option for setting in described()} if name == "postroom serve" else set()
    named = set(re.findall(r"`(--[a-z-]+)", text))
    assert named == options.keys()
    for option, row in options.items():
        assert option in settings or row in (common if option in COMMON else text), option
