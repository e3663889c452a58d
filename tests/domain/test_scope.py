"""What an API key may do."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.errors import Invalid
from postroom.domain.scope import (
    DEFAULT,
    EVERYTHING,
    PROTECTED,
    RESOURCES,
    UNDIVIDED,
    Access,
    Scope,
    parse,
    permits,
    to_raw,
    visible,
)

ONE, TWO, THREE = "A" * 21, "-" * 21, "z_9" * 7
READ: Access = "read"
WRITE: Access = "write"
grantable = st.sampled_from([resource for resource in RESOURCES if resource not in PROTECTED])
access = st.sampled_from([READ, WRITE])
some_ids = st.lists(st.sampled_from([ONE, TWO, THREE]), min_size=1, max_size=3, unique=True)
divided = st.sampled_from([r for r in RESOURCES if r not in PROTECTED | UNDIVIDED])
scopes = st.lists(
    st.builds(Scope, grantable, access, st.just("*"))
    | st.builds(Scope, divided, access, some_ids.map(tuple)),
    max_size=5,
)


def raw(**changes: Any) -> dict[str, Any]:
    """One good scope, changed."""
    return {"resource": "queues", "access": "write", "targets": "*"} | changes


def complaint(value: object) -> Invalid:
    with pytest.raises(Invalid) as caught:
        parse(value)
    return caught.value


@pytest.mark.parametrize("targets", ["*", ["*"]])
def test_all_targets_have_two_spellings(targets: object) -> None:
    """`"*"` and `["*"]` are the same, and are answered as the second."""
    parsed = parse([raw(targets=targets)])
    assert parsed == (Scope("queues", "write", "*"),)
    assert to_raw(parsed) == [{"resource": "queues", "access": "write", "targets": ["*"]}]


@given(scopes)
def test_what_is_answered_can_be_sent_back(given_scopes: list[Scope]) -> None:
    """The documented shape keeps everything."""
    assert parse(to_raw(given_scopes)) == tuple(given_scopes)


@pytest.mark.parametrize("resource", sorted(UNDIVIDED))
def test_what_is_of_the_whole_organization_takes_no_ids(resource: str) -> None:
    """Events and statistics are of the whole organization: a target list would limit nothing."""
    assert parse([raw(resource=resource)])[0].targets == "*"
    assert complaint([raw(resource=resource, targets=[ONE])]).field == "scopes[0].targets"


def test_a_target_listed_twice_is_kept_once() -> None:
    """Targets are normalised, in the order given."""
    assert parse([raw(targets=[TWO, ONE, TWO])])[0].targets == (TWO, ONE)


@pytest.mark.parametrize("resource", sorted(PROTECTED))
def test_protected_resources_cannot_be_granted(resource: str) -> None:
    """Not even to read."""
    error = complaint([raw(), raw(resource=resource, access="read")])
    assert error.field == "scopes[1].resource"
    assert "protected" in error.detail


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "scopes"),
        ({"queues": {"access": "write"}}, "scopes"),
        ([raw()] * 101, "scopes"),
        (["queues"], "scopes[0]"),
        ([raw(target="*")], "scopes[0]"),
        ([raw(resource="cellars")], "scopes[0].resource"),
        ([raw(resource=["queues"])], "scopes[0].resource"),
        ([{"access": "read", "targets": "*"}], "scopes[0].resource"),
        ([raw(access="admin")], "scopes[0].access"),
        ([{"resource": "queues", "targets": "*"}], "scopes[0].access"),
        ([raw(), raw(targets=None)], "scopes[1].targets"),
        ([raw(targets=[])], "scopes[0].targets"),
        ([raw(targets=ONE)], "scopes[0].targets"),
        ([raw(targets=[ONE] * 1001)], "scopes[0].targets"),
        ([raw(targets=[ONE, "*"])], "scopes[0].targets[1]"),
        ([raw(targets=["short"])], "scopes[0].targets[0]"),
        ([raw(targets=[ONE + "\n"])], "scopes[0].targets[0]"),
        ([raw(targets=[1])], "scopes[0].targets[0]"),
    ],
)
def test_a_bad_scope_is_named(value: object, field: str) -> None:
    """The complaint says which scope, and what of it."""
    assert complaint(value).field == field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(RESOURCES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["resource", "access", "targets", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_read_or_complained_about(value: object) -> None:
    """Nothing but Invalid is raised, and nothing protected gets through."""
    try:
        parsed = parse(value)
    except Invalid:
        return
    assert all(scope.resource in set(RESOURCES) - PROTECTED for scope in parsed)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("wanted", [READ, WRITE])
def test_the_first_key_may_do_everything(resource: str, wanted: Access) -> None:
    """Protected resources too."""
    assert permits(EVERYTHING, resource, wanted, ())
    assert permits(EVERYTHING, resource, wanted, [ONE])
    assert visible(EVERYTHING, resource, wanted) is None


def test_the_default_writes_what_carries_messages_and_reads_the_rest() -> None:
    """Write on queues, listeners and messages; read on events, schemas and stats; nothing protected."""
    writable = {resource for resource in RESOURCES if permits(DEFAULT, resource, "write", ())}
    readable = {resource for resource in RESOURCES if permits(DEFAULT, resource, "read", ())}
    assert writable == {"queues", "listeners", "messages"}
    assert readable == writable | {"events", "schemas", "stats"}


def test_write_includes_read_but_read_does_not_write() -> None:
    """Access is ordered."""
    assert permits([Scope("queues", "write")], "queues", "read", [ONE])
    assert not permits([Scope("queues", "read")], "queues", "write", [ONE])
    assert not permits([Scope("queues", "write")], "messages", "read", [ONE])


def test_targets_limit_to_paths_that_hold_one_of_them() -> None:
    """One listed id in the path is enough; without ids a list may be read, and nothing made."""
    limited = [Scope("messages", "write", (ONE,))]
    assert permits(limited, "messages", "write", [ONE, THREE])
    assert not permits(limited, "messages", "write", [TWO, THREE])
    assert not permits(limited, "messages", "read", [TWO])
    assert permits(limited, "messages", "read", [])
    assert not permits(limited, "messages", "write", [])


def test_a_list_is_limited_to_what_all_scopes_show() -> None:
    """Scopes of one resource add up; one without a limit lifts it; none show nothing."""
    limited = (Scope("queues", "read", (ONE,)), Scope("queues", "write", (TWO,)))
    assert visible(limited, "queues", "read") == frozenset({ONE, TWO})
    assert visible(limited, "queues", "write") == frozenset({TWO})
    assert visible((*limited, Scope("queues", "read")), "queues", "read") is None
    assert visible(limited, "messages", "read") == frozenset()


@given(scopes, grantable, access, some_ids)
def test_more_scopes_never_permit_less(
    some: list[Scope], resource: str, wanted: Access, ids: list[str]
) -> None:
    """Several scopes add up: they permit what one of them does."""
    together = permits(some, resource, wanted, ids)
    assert together == any(permits([scope], resource, wanted, ids) for scope in some)


@given(scopes, grantable, access, st.sampled_from([ONE, TWO, THREE]))
def test_a_list_shows_what_may_be_read_alone(
    some: list[Scope], resource: str, wanted: Access, one: str
) -> None:
    """An id is in the filtered list exactly if an operation on it is permitted."""
    shown = visible(some, resource, wanted)
    assert (shown is None or one in shown) == permits(some, resource, wanted, [one])
