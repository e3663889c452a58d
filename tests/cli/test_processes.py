"""How `postroom serve` starts its processes again; that it does is tested in acceptance/test_processes.py."""

import sys

import pytest

from postroom.cli import processes


def test_pauses_grow() -> None:
    """A process that ends at once again and again is started less and less often."""
    pauses = [0.0]
    for _ in range(10):
        pauses.append(processes.next_pause(pauses[-1], lived=1))
    assert pauses == [0, 0.5, 1, 2, 4, 8, *[processes.LONGEST] * 5]


def test_no_pause_after_a_long_life() -> None:
    """A process that has lived for long is started again at once, whatever was before."""
    assert processes.next_pause(processes.LONGEST, lived=processes.SETTLED + 1) == 0


@pytest.mark.parametrize(
    ("started", "safe"), [("/usr/bin/postroom", True), ("/x/postroom/__main__.py", False)]
)
def test_no_module_of_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, started: str, safe: bool
) -> None:
    """The working directory is searched for modules only where it was for the first process."""
    monkeypatch.setattr(sys, "argv", [started, "serve"])
    assert ("-P" in processes.command(1)) is safe
