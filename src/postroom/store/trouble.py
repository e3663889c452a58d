"""What PostgreSQL's errors mean: to be tried again, to be told to the caller, or a mistake of ours."""

from collections.abc import Generator
from contextlib import contextmanager

import asyncpg

from postroom.domain.database import without_password
from postroom.domain.errors import StoreError, Unavailable

# Nothing was committed, and the same may well succeed: serialization failure, deadlock; a unique key or a
# reference that another transaction took or removed meanwhile, which the next look will see.
_RACES = {"40001", "40P01", "23505", "23503"}
# A server that is going down, coming up, or has become a standby.
_CHANGING = {"57P01", "57P02", "57P03", "25006"}
_LOST = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.InternalClientError)
# All that asyncpg raises where it is used as it should be.
FAILURES = (TimeoutError, asyncpg.PostgresError, *_LOST)
_OURS = (asyncpg.DataError, asyncpg.exceptions.ClientConfigurationError)
_FULL = "53100"
_NO_TLS = "rejected SSL upgrade"  # asyncpg's words
_UNUSABLE = {
    "3D000": "there is no such database; make it with CREATE DATABASE",
    "28000": "the database lets nobody in under this name",
    "28P01": "the database does not take this password",
    "42501": "this user lacks a privilege in the database",
    "42P01": "the database was not prepared for Postroom; run postroom migrate",
}


def is_lost(error: BaseException | None) -> bool:
    """Whether the connection is gone, or of no use any more."""
    return _is_cut(error) or isinstance(error, TimeoutError) or _state(error) in _CHANGING


def passes(error: Exception) -> bool:
    """Whether the same is worth trying again at once; only for what was not committed."""
    return _is_cut(error) or _state(error) in _RACES | _CHANGING


def explained(error: Exception) -> StoreError | Unavailable | None:
    """What the caller is to be told; None where the error is a mistake of ours."""
    state = _state(error)
    if state in _UNUSABLE:
        return StoreError(f"{_UNUSABLE[state]} ({error})")
    if _is_local(error) or isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return StoreError(f"the address of the database cannot be used: {error}")
    if state == _FULL:
        return Unavailable("the database cannot be written, its disk is full; try again later", 5)
    if is_lost(error):
        return Unavailable("the database is out of reach; try again", 2)
    if state[:2] in {"40", "53", "55", "57"}:
        return Unavailable("the database is busy; try again")
    return None


@contextmanager
def translated() -> Generator[None]:
    """Turns the errors of PostgreSQL into Postroom's."""
    try:
        yield
    except Exception as error:
        if told := explained(error):
            raise told from error
        raise


@contextmanager
def reaching(url: str) -> Generator[None]:
    """Around what connects first: whoever starts a program is told which server does not answer, and why."""
    try:
        with translated():
            yield
    except Unavailable as error:
        cause, shown = error.__cause__, without_password(url)
        if type(cause) is ConnectionError and _NO_TLS in str(cause):
            raise StoreError(f"the database {shown} offers no TLS, which its sslmode asks for") from cause
        if is_lost(cause):
            why = str(cause) or "no answer"
            raise Unavailable(f"the database {shown} is out of reach ({why}); try again", 2) from cause
        raise


@contextmanager
def refused_for_now() -> Generator[None]:
    """Around what connects again: who was let in before will be, once that is mended; nobody need restart.

    Raises:
        Unavailable: there is no such database now, or it lets nobody in; without names, as clients see it.
    """
    try:
        yield
    except Exception as error:
        if isinstance(explained(error), StoreError):
            raise Unavailable("the database lets this process in no more; try again later", 5) from error
        raise


@contextmanager
def in_doubt() -> Generator[None]:
    """Around what commits: where the connection is lost there, nobody knows, so it must not be done again.

    Raises:
        Unavailable: it was.
    """
    try:
        yield
    except Exception as error:
        if is_lost(error):
            raise Unavailable("the connection was lost in the middle of a commit; try again", 2) from error
        raise


def _state(error: BaseException | None) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _is_cut(error: BaseException | None) -> bool:
    return isinstance(error, _LOST) and not isinstance(error, (*_OURS, TimeoutError)) and not _is_local(error)


def _is_local(error: BaseException | None) -> bool:
    """A file of this machine, such as a certificate, cannot be read."""
    return isinstance(error, OSError) and error.filename is not None
