"""Which of the forms that an operation can answer in a request's Accept header asks for."""

from postroom.domain.errors import NotAcceptable

JSON = "application/json"
CSV = "text/csv"


def chosen(accept: bytes | None, forms: tuple[str, ...]) -> str:
    """The form that the header prefers; of several alike the first.

    Raises:
        NotAcceptable: it excludes them all.
    """
    asked = (accept or b"*/*").decode("latin-1").lower()
    if asked in {"*/*", forms[0]}:
        return forms[0]
    ranges = _ranges(asked)
    best = max(forms, key=lambda form: _quality(form, ranges))  # the first of those that are alike
    if _quality(best, ranges) <= 0:
        raise NotAcceptable(_complaint(forms))
    return best


def _ranges(accept: str) -> dict[str, float]:
    """The quality of each media range in the header."""
    ranges = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        named = (each.partition("=") for each in parameters)
        ranges[kind] = min((_number(text) for name, _, text in named if name.strip() == "q"), default=1.0)
    return ranges


def _number(text: str) -> float:
    """A quality; a broken one says nothing."""
    try:
        return float(text)
    except ValueError:
        return 1.0


def _quality(form: str, ranges: dict[str, float]) -> float:
    """How much a form is wanted: as the most specific range says that it is in."""
    for kind in (form, form.partition("/")[0] + "/*", "*/*"):
        if kind in ranges:
            return ranges[kind]
    return 0.0


def _complaint(forms: tuple[str, ...]) -> str:
    if forms == (JSON,):
        return "answers are JSON; let the Accept header include application/json"
    return f"answers are {' or '.join(forms)}; let the Accept header include one of them"
