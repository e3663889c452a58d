"""The address of a database: what one is, and what of it may be shown."""

import re

# Queries are read as strictly by the driver; a name that is not percent-encoded cannot hide a password.
_HOST = r"(?:\[[^\]\s@]+\]|[^\[\]:,@/?#\s]+)(?::\d{1,5})?"
_PARAMETER = r"(?:port=\d{1,5}(?:,\d{1,5})*|(?!port=)\w+=[^&#\s]+)"
_POSTGRESQL = re.compile(
    r"postgres(?:ql)?://(?:[^:@/?#\s]*(?::(?P<password>[^@/?#\s]*))?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)?(?:/[^/?#\s]*)?(?:\?(?P<query>{_PARAMETER}(?:&{_PARAMETER})*))?"
)
# Where a password may be in text that is no such URL; each group is what may be shown before it.
_PASSWORDS = tuple(
    re.compile(pattern, re.DOTALL | re.IGNORECASE)
    for pattern in (
        r"(password\s*=\s*).+",
        r"^((?:[a-z][a-z0-9+.-]*://)?[^:]*:).*(?=@)",
        r"^(?!sqlite:)([^@]*?:)(?!//|\d{1,5}(?:[,/?]|$))[^@]+$",
    )
)
_EXPECTED = "should be a PostgreSQL URL such as postgresql://user:password@host:5432/name"


def postgresql(text: str) -> str:
    """The text, if it is the URL of a PostgreSQL database; several hosts may stand in it, with commas.

    Raises:
        ValueError: it is none; says what it should be.
    """
    found = _POSTGRESQL.fullmatch(text)
    if found is None:
        raise ValueError(f"{_EXPECTED}, with / ? # @ in a name or a password written as %2F %3F %23 %40")
    hosts, query = found["hosts"] or "", found["query"] or ""
    if not hosts and not re.search(r"(^|&)host=", query):
        raise ValueError(f"{_EXPECTED}, with a host")
    if not all(0 < int(port) <= 65_535 for port in _ports(hosts, query)):
        raise ValueError(f"{_EXPECTED}, with a port from 1 to 65535")
    return text


def without_password(text: str) -> str:
    """The address as it may be shown; of text that is none, what cannot be a password."""
    found = _POSTGRESQL.fullmatch(text)
    if found is None:
        for pattern in _PASSWORDS:
            text = pattern.sub(r"\1***", text)
        return text
    if found["password"]:
        text = text[: found.start("password")] + "***" + text[found.end("password") :]
    return re.sub(r"([?&]\w*password=)[^&]+", r"\1***", text, flags=re.IGNORECASE)


def _ports(hosts: str, query: str) -> list[str]:
    within = re.search(r"(?:^|&)port=([\d,]+)", query)
    return re.findall(r":(\d+)(?:,|$)", hosts) + (within[1].split(",") if within else [])
