"""The address of a database: which are taken, and what of them is shown."""

import string
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from postroom.domain.database import postgresql, without_password

PASSWORDS = st.text(string.printable, min_size=1, max_size=12).map(lambda text: f"<{text}>")
NO_HOST = "postgresql://me:{}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgres://me@h:5432/d", "postgres://me@h:5432/d"),
        ("postgresql://me:secret@h", "postgresql://me:***@h"),
        ("postgresql://me:@h/d", "postgresql://me:@h/d"),
        ("postgresql://me:a:b@h1:1,h2:65535/d", "postgresql://me:***@h1:1,h2:65535/d"),
        ("postgresql://me:%40%2F%25@[::1]:5432/d?sslmode=require", "postgresql://me:***@[::1]:5432/d?sslmode=require"),
        ("postgresql:///d?host=/run/postgresql", "postgresql:///d?host=/run/postgresql"),
        ("postgresql:///d?user=me&password=a@b:c&host=h&port=1,2", "postgresql:///d?user=me&password=***&host=h&port=1,2"),
        ("postgresql://h/d?sslpassword=a&application_name=x@y", "postgresql://h/d?sslpassword=***&application_name=x@y"),
        ("postgresql://%2Frun%2Fpostgresql/d", "postgresql://%2Frun%2Fpostgresql/d"),
    ],
)  # fmt: skip
def test_what_is_taken(url: str, shown: str) -> None:
    """Hosts with or without ports, several of them, sockets, escapes; only the password is hidden."""
    assert postgresql(url) == url
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("postgresql:///d", "with a host"),
        ("postgresql:///d?nohost=x", "with a host"),
        ("postgresql://", "with a host"),
        ("postgresql://h:0/d", "with a port from 1 to 65535"),
        ("postgresql://h1:1,h2:65536/d", "with a port from 1 to 65535"),
        ("postgresql:///d?host=h&port=70000", "with a port from 1 to 65535"),
        ("postgresql://h/d?port=x", "should be a PostgreSQL URL such as"),
        ("postgresql://h:port/d", "should be a PostgreSQL URL such as"),
        ("postgresql://h/d?sslmode", "should be a PostgreSQL URL such as"),
        ("postgresql://h/d?pass%77ord=x", "should be a PostgreSQL URL such as"),
        ("postgresql://h/a/b", "should be a PostgreSQL URL such as"),
        ("postgresql://h/d#f", "should be a PostgreSQL URL such as"),
        ("postgresql://[::1/d", "should be a PostgreSQL URL such as"),
        ("postgresql://h,/d", "should be a PostgreSQL URL such as"),
        ("postgresql://a b/d", "should be a PostgreSQL URL such as"),
        ("postgresql://h/d\n", "should be a PostgreSQL URL such as"),
        ("postgresql+asyncpg://h/d", "should be a PostgreSQL URL such as"),
        ("mysql://h/d", "should be a PostgreSQL URL such as"),
        ("host=h dbname=d", "should be a PostgreSQL URL such as"),
        ("", "should be a PostgreSQL URL such as"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    """What the driver would stumble over is refused with what is expected."""
    with pytest.raises(ValueError, match=why):
        postgresql(text)


@pytest.mark.parametrize(
    "text",
    ["postgresql://h:0/d", "postgresql://h", "mysql://h:3306/d", "h:5432/d", "sqlite:/srv/x", "/srv/x", ""],
)
def test_what_is_no_password_is_shown(text: str) -> None:
    """A complaint shows what was given, where no password can be in it."""
    assert without_password(text) == text


@given(PASSWORDS)
def test_an_escaped_password_is_taken_and_hidden(password: str) -> None:
    """Any password can stand in the URL, percent-encoded."""
    url = f"postgresql://me:{quote(password, safe='')}@h:5432/d"
    assert postgresql(url) == url
    assert without_password(url) == "postgresql://me:***@h:5432/d"


@given(
    PASSWORDS,
    st.sampled_from(
        [
            "postgresql://me:{}@h/d",
            NO_HOST,
            "postgresql://me@corp:{}@h:5432/d",
            "postgres://:{}@h/d?a=b@c",
            "mysql://me:{}@h/d",
            "me:{}@h/d",
            "postgresql:me:{}@h/d",
            "postgresql://h/d?password={}",
            "postgresql://h/d?x&password={}&y=z",
            "host=h password={} dbname=d",
            "host=h user=me@h PASSWORD = '{}'",
        ]
    ),
)
def test_no_password_is_shown(password: str, form: str) -> None:
    """However it is written, escaped or not, in a URL or not."""
    assume("@" not in password or form != NO_HOST)  # behind the @ would be a host
    assume("&" not in password or "password=" not in form)  # behind the & would be a parameter
    text = form.format(password)
    shown = without_password(text)
    assert "***" in shown
    assert not set(shown) & {"<", ">"}
