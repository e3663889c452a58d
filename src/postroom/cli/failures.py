"""What is said when something goes wrong: one sentence on standard error, and the code to end with."""

import sys
from collections.abc import Sequence

import typer

from postroom.domain.errors import PostroomError

FAILED, MISUSED = 1, 2


class Refused(PostroomError):
    """The command cannot be done as it was given."""

    code = "refused"


class Misused(typer.TyperException):
    """The command line cannot be read."""

    exit_code = MISUSED


def explain(error: BaseException) -> int:
    """Print what is to be said and answer the exit code; an error that nobody foresaw is raised again."""
    error = _first(error)
    if isinstance(error, BrokenPipeError):  # whoever read has gone, and knows
        return FAILED
    if isinstance(error, typer.TyperException):
        return _say([_usage(error)], error.exit_code)
    if isinstance(error, PostroomError):
        return _say([f"Error: {error.detail}."], FAILED)
    if isinstance(error, OSError) and error.strerror:
        return _say([f"Error: {_os_error(error)}."], FAILED)
    return _say(_settings_complaints(error), FAILED)


def _first(error: BaseException) -> BaseException:
    """Tasks that run together raise groups; the first of one is what the others follow from."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _say(lines: Sequence[str], code: int) -> int:
    print(*lines, sep="\n", file=sys.stderr, flush=True)
    return code


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "postroom"
    return f"Error: {error.format_message().rstrip('.')}. See {path} --help."


def _os_error(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)


def _settings_complaints(error: BaseException) -> Sequence[str]:
    from postroom.settings import SettingsError

    if isinstance(error, SettingsError):
        return error.complaints
    raise error
