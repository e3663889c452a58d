"""One server process for each data directory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postroom.domain.errors import StoreError
from postroom.store import lock

HOLD = """
import sys
from pathlib import Path
from postroom.store import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holder(path: Path) -> "Iterator[subprocess.Popen[str]]":
    """Another process that holds the lock until a line is sent to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_with_the_firsts_id(tmp_path: Path) -> None:
    """The sentence says who holds the directory, which one, and what to do."""
    path = tmp_path / "postroom.lock"
    with holder(path) as first:
        with pytest.raises(StoreError) as caught, lock.held(path):
            pass
        assert f"process {first.pid} already serves {tmp_path};" in caught.value.detail
        assert "--data" in caught.value.detail
        assert path.read_text() == str(first.pid)


def test_being_refused_does_not_disturb_the_holder(tmp_path: Path) -> None:
    """A third process is refused like the second, with the first one's id."""
    path = tmp_path / "postroom.lock"
    with holder(path) as first:
        for _ in range(3):
            with pytest.raises(StoreError, match=f"process {first.pid} already"), lock.held(path):
                pass


def test_a_lock_left_by_a_dead_process_is_free(tmp_path: Path) -> None:
    """However the holder died: its id still stands in the file, and nobody minds."""
    path = tmp_path / "postroom.lock"
    with holder(path) as first:
        first.kill()
        first.wait()
        assert path.read_text() == str(first.pid)
        with lock.held(path):
            assert path.read_text() == str(os.getpid())


def test_a_lock_given_up_is_free_and_names_nobody(tmp_path: Path) -> None:
    """After a proper end the next one may have it."""
    path = tmp_path / "postroom.lock"
    with holder(path) as first:
        first.communicate("\n")
        assert first.returncode == 0
    assert path.read_text() == ""
    with lock.held(path):
        pass


def test_an_error_inside_gives_the_lock_up(tmp_path: Path) -> None:
    """A server that fails to start holds nothing."""
    path = tmp_path / "postroom.lock"
    with pytest.raises(RuntimeError, match="broke"), lock.held(path):
        raise RuntimeError("broke")
    with lock.held(path):
        pass


def test_one_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    """The rule holds within a process too, and names the process itself."""
    path = tmp_path / "postroom.lock"
    with lock.held(path), pytest.raises(StoreError, match=f"process {os.getpid()} "), lock.held(path):
        pass


def test_a_longer_id_leaves_nothing_behind(tmp_path: Path) -> None:
    """Whatever stood in the file before is gone."""
    path = tmp_path / "postroom.lock"
    path.write_text("9" * 50)
    with lock.held(path):
        assert path.read_text() == str(os.getpid())


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """It lies beside the database, and is as private."""
    path = tmp_path / "postroom.lock"
    with lock.held(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_whom_the_file_names(tmp_path: Path) -> None:
    """Somebody while the lock is held, and after that nobody, unless the holder was killed."""
    path = tmp_path / "postroom.lock"
    assert not lock.is_named(path)
    with lock.held(path):
        assert lock.is_named(path)
    assert not lock.is_named(path)
    with holder(path):
        pass
    assert lock.is_named(path)
