"""A server in the test's own process: what it ends, and in which order."""

from pathlib import Path

import pytest

from postroom.runtime import running
from postroom.settings import load

pytestmark = pytest.mark.anyio


async def test_the_loops_have_ended_when_nothing_is_taken_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one that has just found something could not write it, and complained of the database."""
    ended: list[bool] = []
    async with running(load({"data": tmp_path / "data", "port": 0}, {}, None)) as process:
        close, loops = process.hub.ledger.close, process._tasks[2:-1]

        def closed() -> None:
            ended.extend(task.done() for task in loops)
            close()

        monkeypatch.setattr(process.hub.ledger, "close", closed)
    assert len(ended) > 3
    assert all(ended)
