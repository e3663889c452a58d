"""`postroom serve`: its options, its log, its welcome."""

import contextlib
import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from postroom.settings import described
from tests.acceptance.house import DEADLINE, LOOPBACK, command, environment, run, run_json
from tests.cli.conftest import Things
from tests.cli.shell import Background, background
from tests.support.postgres import free_port

READY = re.compile(r"^Postroom is ready at http://127\.0\.0\.1:(\d+)$", re.MULTILINE)


def ready(serving: Background) -> int:
    """The port, once it accepts requests."""
    found = serving.when(READY.search)
    assert found is not None
    return int(found.group(1))


def welcomed(serving: Background) -> list[str]:
    """The lines to be pasted, once the whole text is there."""
    serving.when(lambda out: out.endswith("\n\n"))
    return [line[4:] for line in serving.out.splitlines() if re.match(r" {4}\S| {6}-d| {6}sed| {11}\"", line)]


def two_free_ports() -> int:
    """A port that is free, as is the one after it."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            return port


def test_every_setting_is_an_option() -> None:
    """Help lists each setting with its default."""
    shown = " ".join(run("serve", "--help").stdout.split())
    for setting in described():
        assert f"{setting.option} " in shown
    assert "Default: 127.0.0.1." in shown


def test_options_environment_and_file(data: Path, tmp_path: Path) -> None:
    """An option comes before the environment, that before the file; options of lists are repeated."""
    (tmp_path / "my.toml").write_text('port = "file"\nhost = "192.0.2.1"\nschedule = [0]\n')
    words = ("serve", "--config", str(tmp_path / "my.toml"), "--data", str(data), "--port", "0")
    networks = ("--allow-network", "10.0.0.0/8", "--allow-network", "fd00::/8")
    with background(tmp_path / "run", *words, *networks, variables={"POSTROOM_HOST": "127.0.0.1"}) as serving:
        assert ready(serving) > 0
        assert serving.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_right_after_the_ready_line(data: Path, tmp_path: Path, number: int) -> None:
    """From the ready line on, both signals stop it cleanly."""
    with background(tmp_path / "run", "serve", "--port", "0", "--data", str(data)) as serving:
        ready(serving)
        assert serving.stop(number) == 0
        assert [line["event"] for line in map(json.loads, serving.err.splitlines())] == ["started", "stopped"]


def test_the_log_of_libraries(data: Path, tmp_path: Path) -> None:
    """What a library logs is a line of JSON like our own."""
    script = (
        "import logging, sys, warnings; from postroom.cli.log import configure;"
        "configure('info', sys.argv[1]);"
        "logging.getLogger('uvicorn.error').warning('over %s', 'there'); logging.getLogger('x').debug('no');"
        "warnings.warn('careful')"
    )
    for form in ("json", "auto"):
        library, warning = _logged(script, form).splitlines()
        line = json.loads(library)
        assert (line["event"], line["level"], line["logger"]) == ("over there", "warning", "uvicorn.error")
        assert line["time"].endswith("Z")
        assert "careful" in json.loads(warning)["event"]
    assert "over there" in _logged(script, "console")


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_have_no_values(form: str) -> None:
    """A traceback in the log says where, and shows no local variable."""
    script = (
        "import sys; from postroom.cli.log import configure; configure('debug', sys.argv[1])\n"
        "import structlog\n"
        "def broken(key):\n    raise ValueError('broken')\n"
        "try:\n    broken('whsec_' + 'very' + 'secret')\n"
        "except ValueError:\n    structlog.get_logger('x').exception('it_broke')\n"
    )
    logged = _logged(script, form)
    assert "it_broke" in logged
    assert "ValueError: broken" in logged
    assert "verysecret" not in logged
    assert logged.count("\n") == 1 or form == "console"


def _logged(script: str, form: str) -> str:
    interpreter = Path(command()).with_name("python")
    done = subprocess.run(
        [interpreter, "-c", script, form], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert done.stdout == ""
    return done.stderr


def test_the_welcome_works_as_it_stands(tmp_path: Path) -> None:
    """The printed lines, pasted into shells, attach a receiver and send it a message, also once more."""
    data, port = tmp_path / "data", two_free_ports()
    words = ("serve", "--welcome", "--port", str(port), "--data", str(data), "--allow-network", LOOPBACK)
    with background(tmp_path / "serve", *words) as serving:
        receiver, *script = welcomed(serving)
        assert f"listen --port {port + 1}" in receiver
        with background(tmp_path / "listen", *receiver.split()[1:]) as listening:
            listening.when(lambda out: "Listening at " in out)
            assert '"message_added": 1' in _pasted(script, tmp_path)
            listening.when(lambda out: out.count("\tHello\n") == 1)
            assert '"message_added": 2' in _pasted(script, tmp_path)
            listening.when(lambda out: out.count("\tHello\n") == 2)
        (organization,) = run_json("org", "list", data=data)["organizations"]
        assert organization["name"] == "example.com/dev"
        assert serving.out.count(_key(serving.out)) == 2
        assert _key(serving.out) not in serving.err


def _pasted(script: list[str], folder: Path) -> str:
    """What `sh` prints for the lines, started in another directory."""
    done = subprocess.run(
        ["sh", "-eu"],
        input="\n".join(script) + "\n",
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def _key(text: str) -> str:
    found = re.search(r"API key +(\S{64})$", text, re.MULTILINE)
    assert found is not None
    return found.group(1)


def test_the_welcome_says_what_is_refused(tmp_path: Path) -> None:
    """Where deliveries to this machine are refused, the text says how to allow them."""
    words = ("serve", "--welcome", "--port", "0", "--host", "0.0.0.0", "--data", str(tmp_path / "data"))
    with background(tmp_path / "run", *words) as serving:
        welcomed(serving)
        assert "--allow-network 127.0.0.0/8 in addition" in serving.out
        assert "HUB=http://127.0.0.1:" in serving.out


def test_the_welcome_of_one_who_was_here(data: Path, things: Things, tmp_path: Path) -> None:
    """Where there is an organization it is named, no key is shown, and the line to make one works."""
    with background(tmp_path / "run", "serve", "--welcome", "--port", "0", "--data", str(data)) as serving:
        (line,) = welcomed(serving)
        assert "There are organizations already (acme)." in serving.out
        assert "API key " not in serving.out
        printed = _pasted([line.replace("NAME", "mine")], tmp_path)
        assert dict(row.split("\t") for row in printed.splitlines())["name"] == "mine"


def test_the_welcome_names_the_program(data: Path, tmp_path: Path) -> None:
    """Where the shell finds `postroom` by its name, the text names it so; else with its directory."""
    words = ("serve", "--welcome", "--port", "0", "--data", str(data))
    folder = str(Path(command()).parent)
    for name, path, named in (("in", folder, "postroom"), ("out", "/nowhere", command())):
        with background(tmp_path / name, *words, variables={"PATH": path}) as serving:
            assert welcomed(serving)[0].startswith(f"{named} key create ")
