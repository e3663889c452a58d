"""How commands are declared, and how their words are told apart."""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

import typer
from typer.core import TyperCommand

from postroom.cli.output import on_terminal
from postroom.domain.ids import is_id


class Command(TyperCommand):
    """A command whose arguments may be ids, which begin with a hyphen as options do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the command's name."""
        return super().parse_args(ctx, arguments_last(args, self._with_value()))

    def _with_value(self) -> set[str]:
        return {
            name for option in self.params if not getattr(option, "is_flag", False) for name in option.opts
        }


def arguments_last(words: Sequence[str], with_value: Collection[str]) -> list[str]:
    """Options, then `--`, then arguments; `with_value` are the options that take the next word.

    Where the last option's value is missing, the words stay as they are: the `--` is no value.
    """
    options: list[str] = []
    arguments: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            arguments.extend(rest)
        elif _is_option(word):
            value = list(islice(rest, word in with_value))
            if word in with_value and not value:
                return list(words)
            options.extend([word, *value])
        else:
            arguments.append(word)
    return [*options, "--", *arguments]


def _is_option(word: str) -> bool:
    return word.startswith("--") or (word.startswith("-") and word != "-" and not is_id(word))


def commands() -> typer.Typer:
    """What commands are registered with; help has colours on a terminal only."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if on_terminal() else None,
    )


def group(about: str) -> typer.Typer:
    """A command that has commands, also where it has only one."""
    app = commands()
    app.callback(help=about)(lambda: None)
    return app
