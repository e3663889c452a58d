"""Names that people give to things."""

import unicodedata

from postroom.domain.errors import Invalid

LONGEST = 200


def check_name(name: str, field: str = "name") -> str:
    """The name, when it may be used.

    Raises:
        Invalid: it is empty, too long, or holds control characters.
    """
    if not name or name != name.strip():
        raise Invalid(field, "must not be empty, or begin or end with space")
    if len(name) > LONGEST:
        raise Invalid(field, f"must have at most {LONGEST} characters")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise Invalid(field, "must not contain control characters")
    return name
