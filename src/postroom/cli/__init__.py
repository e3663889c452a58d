"""The command line: the only reader of arguments and of the environment."""

from postroom.cli.main import main

__all__ = ["main"]
