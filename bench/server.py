"""The real product on a data directory of its own: started, spoken to over HTTP, stopped by its pid."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench import load, process, receiver
from bench.variants import Variant

POSTROOM = str(Path(sys.executable).with_name("postroom"))
SERVE = "--port", "0", "--allow-network", "127.0.0.0/8"  # a free port; deliveries to loopback
READY = b"Postroom is ready at "
WITHIN = 60.0  # seconds, for what a benchmark waits for
STAMPED = json.dumps(
    {"sent": load.STAMP.decode(), "order": 4711, "customer": "Ada Lovelace", "total": 12.5},
    separators=(",", ":"),
)


KEPT = 60.0  # seconds; the server closes connections that are idle for longer than 75


class Api:
    """JSON over one connection, which is kept unless it is idle for long."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = headers or {}
        self._used = time.monotonic()

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer; OSError where the status is not 200."""
        if time.monotonic() - self._used > KEPT:
            self._connection.close()  # the next request opens it again
        given = None if body is None else json.dumps(body)
        headers = self._headers | ({"content-type": "application/json"} if given else {})
        self._connection.request(method, path, given, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        self._used = time.monotonic()
        if answer.status != 200:
            raise OSError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return json.loads(content) if content.startswith(b"{") else content


class Done(NamedTuple):
    """What a command printed, the seconds from its start to its end, and the most resident memory, MB.

    Memory is that of the command and of the processes that it has started, taken together.
    """

    output: bytes
    seconds: float
    memory: float


class Home:
    """A database with an organization, and a folder; the server may run on it or not."""

    def __init__(self, folder: Path, address: str, processes: int) -> None:
        self.address = address
        self._log = folder / "server.log"
        self._processes = processes
        self._place = ["--data", str(folder)] if address.startswith("sqlite:") else []
        made = json.loads(self._command("org", "create", "bench.example/load", "--json"))
        self.org_id: str = made["organization"]["id"]
        self.headers = {"x-api-key": made["api_key"], "accept": "application/json"}

    @contextmanager
    def serving(self, *options: str) -> Iterator["Hub"]:
        """The server on this database; its log is shown when what is done with it fails."""
        command = [POSTROOM, "serve", *self._place, *SERVE, "--processes", str(self._processes), *options]
        with self._log.open("wb") as log:
            child = process.start(command, log, self._environment())
            try:
                line = process.wait_for_line(child, READY)
                yield Hub(child.pid, int(line.rsplit(b":", 1)[1]), self.headers)
            except BaseException:
                sys.stderr.write(self._log.read_text()[-3000:])
                raise
            finally:
                process.stop(child)

    def command(self, *arguments: str) -> "Done":
        """Run a command on this database to its good end; OSError where it comes to none."""
        begin = time.monotonic()
        with tempfile.TemporaryFile() as output:
            child = subprocess.Popen(
                [POSTROOM, *arguments, *self._place], stdout=output, cwd=process.ROOT, env=self._environment()
            )
            with process.most_resident(child.pid) as memory:
                code = child.wait()
            seconds = time.monotonic() - begin
            if code:
                raise OSError(f"{arguments[0]} ended with {code}")
            output.seek(0)
            return Done(output.read(), seconds, max(memory))

    def _command(self, *arguments: str) -> bytes:
        done = subprocess.run(
            [POSTROOM, *arguments, *self._place],
            stdout=subprocess.PIPE,
            check=True,
            timeout=60,
            cwd=process.ROOT,
            env=self._environment(),
        )
        return done.stdout

    def _environment(self) -> dict[str, str]:
        """Ours, without settings that would change what is measured; a URL may have a password."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
        return ours if self._place else ours | {"POSTROOM_DATABASE": self.address}


class Hub:
    """The running server."""

    def __init__(self, pid: int, port: int, headers: dict[str, str]) -> None:
        self.pid = pid
        self.port = port
        self.headers = headers
        self.api = Api(port, headers)

    def resident(self, field: str = "VmRSS") -> float:
        """Resident MB of the largest of its processes; VmHWM is the most there was."""
        return max(process.resident(pid, field) for pid in process.family(self.pid))

    def queue(self, name: str) -> "Queue":
        """A new queue."""
        return Queue(self, self.api("POST", "/queues", {"name": name})["queue"]["id"])

    def get(self, path: str) -> bytes:
        """The bytes of a GET request, for the load generator."""
        return load.request("GET", path, headers=self.headers)


class Queue:
    """A queue and the listeners made here."""

    def __init__(self, hub: Hub, identifier: str) -> None:
        self.hub = hub
        self.path = f"/queues/{identifier}"
        self.listeners: list[str] = []

    def listen(self, name: str, port: int, path: str = "/ok", **more: str) -> None:
        """Attach a listener to the receiver on that port."""
        base = f"http://127.0.0.1:{port}"
        body = {"name": name, "notify_url": base + path, "liveness_url": base + "/ok"}
        made = self.hub.api("POST", f"{self.path}/listeners", body)["listener"]
        self.listeners.append(f"{self.path}/listeners/{made['id']}")
        if more:
            self.hub.api("PUT", self.listeners[-1], more)

    def post(self) -> bytes:
        """The bytes of a request that publishes one stamped message."""
        return load.request("POST", f"{self.path}/messages", message(), self.hub.headers)

    def publish(self) -> None:
        """Publish one message."""
        self.hub.api("POST", f"{self.path}/messages", {"data": STAMPED})

    def counts(self, listener: int = 0) -> dict[str, Any]:
        """The counts of one listener."""
        counts: dict[str, Any] = self.hub.api("GET", self.listeners[listener])["listener"]["messages"]
        return counts

    def drain(self, pause: float = 0.01) -> float:
        """Wait until the first listener acknowledged all it is owed; when that was seen, monotonic s."""
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            counts = self.counts()
            if counts["acknowledged_count"] >= counts["accepted_count"]:
                return time.monotonic()
            time.sleep(pause)
        raise TimeoutError(f"not delivered within {WITHIN:.0f} s: {counts}")


class Receiver:
    """The receiver's own report."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._api = Api(port)

    def reset(self) -> None:
        """Forget what arrived."""
        self._api("POST", "/reset")

    def report(self) -> receiver.Report:
        """What arrived since the last reset."""
        return msgspec.convert(self._api("GET", "/report"), receiver.Report)

    def wait(self, received: int) -> receiver.Report:
        """Wait until so many arrived; TimeoutError where they do not."""
        report = self.wait_at_most(received, WITHIN)
        if report.received < received:
            raise TimeoutError(f"{report.received} of {received} messages arrived within {WITHIN:.0f} s")
        return report

    def wait_at_most(self, received: int, seconds: float) -> receiver.Report:
        """Wait until so many arrived, or the time is over."""
        deadline = time.monotonic() + seconds
        while (report := self.report()).received < received and time.monotonic() < deadline:
            time.sleep(0.02)
        return report


def message() -> bytes:
    """The body that publishes one stamped message."""
    return json.dumps({"data": STAMPED}).encode()


@contextmanager
def home(variant: Variant) -> Iterator[Home]:
    """An organization in a database of its own, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="postroom-bench-"))
    try:
        with variant.database(folder) as address:
            yield Home(folder, address, variant.processes)
    finally:
        shutil.rmtree(folder)


def processor_seconds(hub: Hub, variant: Variant) -> tuple[float, float]:
    """Processor time so far, of all processes of the server and of all of PostgreSQL."""
    database = variant.postgres.processor_seconds() if variant.postgres else 0.0
    return process.processor_seconds(hub.pid), database


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver in its own process."""
    with process.serving("bench.receiver") as port:
        yield Receiver(port)


def run_load(job: load.Job) -> load.Result:
    """Run a load; OSError where an answer is missing or not 200."""
    result = process.run("bench.load", job, load.Result)
    if set(result.statuses) != {"200"} or result.lost or result.unanswered:
        raise OSError(f"the load met {result.statuses}, {result.lost} lost, {result.unanswered} unanswered")
    return result
