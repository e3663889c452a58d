"""What is said when something goes wrong: one sentence on standard error, and the code to end with."""

import errno
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from postroom.domain.errors import PostroomError

FAILED = 1


class Refused(PostroomError):
    """The command cannot be done as it was given."""

    code = "refused"


def explain(error: BaseException) -> int:
    """Print what is to be said and answer the exit code; an error that nobody foresaw is raised again."""
    error = _first(error)
    if isinstance(error, BrokenPipeError):  # whoever read has gone, and knows
        return FAILED
    if isinstance(error, typer.TyperException):
        return _say([_usage(error)], error.exit_code)
    if isinstance(error, PostroomError):
        return _say([f"Error: {error.detail.rstrip('.')}."], FAILED)
    if isinstance(error, OSError) and error.strerror:
        return _say([f"Error: {_os_error(error)}."], FAILED)
    return _say(_settings_complaints(error), FAILED)


@contextmanager
def binding(host: str, port: int) -> Iterator[None]:
    """Where an address is listened on: says what to do if that is not possible.

    Raises:
        Refused: it is not possible.
    """
    unknown = f"{host} is no address that is known here; give another --host"
    what = {
        errno.EADDRINUSE: f"the port {port} of {host} is taken; give another --port",
        errno.EADDRNOTAVAIL: f"{host} is no address of this machine; give another --host",
        errno.EACCES: f"the port {port} is reserved to the system; give a --port above 1023",
        socket.EAI_NONAME: unknown,
        socket.EAI_AGAIN: unknown,
    }
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in what:
            raise
        raise Refused(what[error.errno]) from error


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
    message = error.format_message()
    end = "" if message.endswith((".", "?")) else "."
    return f"Error: {message}{end} See {context.command_path if context else 'postroom'} --help."


def _os_error(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)


def _settings_complaints(error: BaseException) -> Sequence[str]:
    from postroom.settings import SettingsError

    if isinstance(error, SettingsError):
        return error.complaints
    raise error
