"""What is stored of a secret."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.api_key import digest_of


def test_a_digest_is_the_sha256_of_the_secret() -> None:
    """The database never holds the secret itself."""
    assert digest_of("secret") == hashlib.sha256(b"secret").digest()


@given(st.text(st.characters(max_codepoint=127)), st.text(st.characters(max_codepoint=127)))
def test_only_the_same_secret_has_the_same_digest(one: str, other: str) -> None:
    """Another secret is another key."""
    assert (digest_of(one) == digest_of(other)) is (one == other)


@given(st.binary())
def test_whatever_a_header_holds_has_a_digest(raw: bytes) -> None:
    """Bytes that are no UTF-8 are an unknown secret, and no error."""
    assert digest_of(raw.decode("utf-8", "surrogateescape")) == hashlib.sha256(raw).digest()
