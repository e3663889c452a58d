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


def complaint(error: Exception) -> str:
    """What to say of one record's error: never more of the record than its fields' names."""
    if isinstance(error, (Unfit, msgspec.ValidationError)):
        return str(error)
    if isinstance(error, msgspec.MsgspecError):
        return "is not JSON"
    return "is not text in UTF-8" if isinstance(error, UnicodeError) else "is nested too deeply"
