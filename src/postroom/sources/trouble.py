"""What can be wrong with an export."""

import msgspec


class Refused(Exception):
    """The path as a whole cannot be taken in; the message is a sentence that says why."""


class Unreadable(Exception):
    """A member cannot be read, or not to its end."""


class Malformed(Unreadable):
    """It is not JSON from here on."""


class Unfit(ValueError):
    """A record does not say what it must; the message quotes nothing of it."""


FAULTS = (Unfit, msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding and converting one record may raise."""


_LONGEST = 200


def complaint(error: Exception) -> str:
    """What to say of one record's error; of the record itself it has little more than names of fields."""
    if isinstance(error, (Unfit, msgspec.ValidationError)):
        told = str(error)
        return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 60]}…{told[-59:]}"
    if isinstance(error, msgspec.MsgspecError):
        return "is not JSON"
    return "is not text in UTF-8" if isinstance(error, UnicodeError) else "is nested too deeply"
