"""Every error that Postroom raises on purpose; each class has a stable code.

PostroomError
├── Malformed            the request's body or query cannot be read
├── Invalid              a field is missing, of the wrong type or breaks a rule
│   └── NameTaken
├── NotAuthenticated     no key, an unknown one or a disabled one
├── NotPermitted         the key lacks the scope or the target
├── NotFound
├── MethodNotAllowed
├── NotAcceptable
├── UnsupportedMediaType
├── TooLarge
├── Unavailable          the database is busy or full, or the process is stopping
└── StoreError           the data directory cannot be used as it is
"""

from typing import ClassVar


class PostroomError(Exception):
    """Something went wrong that Postroom can explain; `detail` says what to mend."""

    code: ClassVar[str] = "error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Malformed(PostroomError):
    """The request cannot be read."""

    code = "malformed"


class Invalid(PostroomError):
    """A field is missing, of the wrong type, or breaks a rule."""

    code = "invalid"

    def __init__(self, field: str, complaint: str) -> None:
        super().__init__(f"{field}: {complaint}")
        self.field = field


class NameTaken(Invalid):
    """The organization already has something of this kind with this name."""

    code = "name_taken"

    def __init__(self, name: str) -> None:
        super().__init__("name", f"{name!r} is taken; choose another name")


class NotAuthenticated(PostroomError):
    """No API key came with the request, or it is unknown or disabled."""

    code = "not_authenticated"


class NotPermitted(PostroomError):
    """The API key does not have the scope or the target for this operation."""

    code = "not_permitted"


class NotFound(PostroomError):
    """There is nothing with this id, or nothing at this path."""

    code = "not_found"


class MethodNotAllowed(PostroomError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not possible here; use {' or '.join(allowed)}")
        self.allowed = allowed


class NotAcceptable(PostroomError):
    """The Accept header excludes JSON, the only thing served here."""

    code = "not_acceptable"


class UnsupportedMediaType(PostroomError):
    """The body's content type is not JSON."""

    code = "unsupported_media_type"


class TooLarge(PostroomError):
    """The body is over the limit."""

    code = "too_large"


class Unavailable(PostroomError):
    """The request cannot be served now; nothing was changed, and trying again helps."""

    code = "unavailable"

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class StoreError(PostroomError):
    """The database cannot be used as it is."""

    code = "store"
