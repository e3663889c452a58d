"""A queue's schema, and what it makes of messages."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.errors import Invalid
from postroom.domain.schema import MAX_DEPTH, MAX_RULES, check, parse, schema_id

PERSON = {
    "person": {
        "type": "object",
        "props": {
            "name": {"type": "string", "min": 1, "max": 5},
            "age": {"type": "number", "min": 18, "max": 130, "required": False},
            "e.mail": {"type": "string", "pattern": "^[^@]+@[^@]+$", "required": False},
        },
    },
    "tags": {"type": "array", "items": {"type": "string", "enum": ["b", "a"]}, "required": False},
    "free": {"type": "object", "props": {}, "strict": False, "required": False},
    "sure": {"type": "boolean", "required": False},
}


def complaint(raw: object) -> Invalid:
    """What is said of a schema that is wrong."""
    with pytest.raises(Invalid) as caught:
        parse(raw)
    return caught.value


def fault(raw: object, data: str | bytes) -> str:
    """What is said of data that breaks a schema."""
    with pytest.raises(Invalid) as caught:
        check(parse(raw), data)
    return caught.value.detail


def satisfies(raw: object, value: Any) -> bool:
    """Whether `value`, as JSON, satisfies the schema."""
    try:
        check(parse(raw), json.dumps(value))
    except Invalid:
        return False
    return True


@pytest.mark.parametrize(
    "value",
    [
        {"person": {"name": "Ada"}},
        {"person": {"name": "Ada", "age": 18, "e.mail": "a@b"}, "tags": []},
        {"person": {"name": "Ada", "age": None}, "tags": None, "free": None},
        {
            "person": {"name": "ééééé", "age": 130.0},
            "tags": ["a", "b", "a"],
            "free": {"x": [{}]},
            "sure": False,
        },
    ],
)
def test_data_that_satisfies_the_schema_passes(value: object) -> None:
    """As text and as bytes; an optional property may be absent or null."""
    check(parse(PERSON), json.dumps(value))
    check(parse(PERSON), json.dumps(value, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ("{}", "data.person: is required"),
        ('{"person": null}', "data.person: must not be null"),
        ('{"person": []}', "data.person: must be an object"),
        ('{"person": {}}', "data.person.name: is required"),
        ('{"person": {"name": 1}}', "data.person.name: must be a string"),
        ('{"person": {"name": ""}}', "data.person.name: must have at least 1 characters"),
        ('{"person": {"name": "Adalbe"}}', "data.person.name: must have at most 5 characters"),
        ('{"person": {"name": "Ada", "age": 17}}', "data.person.age: must be at least 18"),
        ('{"person": {"name": "Ada", "age": 131}}', "data.person.age: must be at most 130"),
        ('{"person": {"name": "Ada", "age": true}}', "data.person.age: must be a number"),
        ('{"person": {"name": "Ada", "age": "18"}}', "data.person.age: must be a number"),
        (
            '{"person": {"name": "A", "e.mail": "a"}}',
            'data.person["e.mail"]: must match the pattern ^[^@]+@[^@]+$',
        ),
        ('{"person": {"name": "Ada", "size": 1}}', "data.person.size: is not declared in the queue's schema"),
        ('{"person": {"name": "Ada"}, "x": null}', "data.x: is not declared in the queue's schema"),
        ('{"person": {"name": "Ada"}, "tags": {}}', "data.tags: must be an array"),
        ('{"person": {"name": "Ada"}, "tags": ["a", "c"]}', 'data.tags[1]: must be one of "a", "b"'),
        ('{"person": {"name": "Ada"}, "tags": [null]}', "data.tags[0]: must not be null"),
        ('{"person": {"name": "Ada"}, "sure": 1}', "data.sure: must be true or false"),
        ("null", "data: must be an object"),
        ("[]", "data: must be an object"),
        ("1", "data: must be an object"),
    ],
)
def test_a_fault_says_which_rule_at_which_path(data: str, detail: str) -> None:
    """The first fault is told, with its path."""
    assert fault(PERSON, data) == detail


@pytest.mark.parametrize(
    "data", ["", "{", "person", "{'person': 1}", '{"a": NaN}', '{"a": 1e999}', b'{"a": "\xff"}']
)
def test_data_that_is_not_json_is_refused(data: str | bytes) -> None:
    """A queue with a schema takes JSON only."""
    assert fault(PERSON, data).startswith("data: must be JSON, because its queue has a schema")


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deeply_nested_data_is_refused(opening: str) -> None:
    """However deep it goes, it is a complaint and no crash."""
    raw = {"a": {"type": "object", "props": {}, "strict": False}}
    assert fault(raw, '{"a":' + opening * 200_000) == "data: is nested too deeply"


def test_long_names_are_cut_in_paths() -> None:
    """A complaint does not repeat a megabyte of what was sent."""
    assert len(fault(PERSON, json.dumps({"person": {"name": "A"}, "x" * 100_000: 1}))) < 200


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (None, "schema.age"),
        ("number", "schema.age"),
        ({}, "schema.age.type"),
        ({"type": "integer"}, "schema.age.type"),
        ({"type": ["number"]}, "schema.age.type"),
        ({"type": "number", "minimum": 1}, "schema.age.minimum"),
        ({"type": "number", "pattern": "a"}, "schema.age.pattern"),
        ({"type": "number", "strict": True}, "schema.age.strict"),
        ({"type": "number", "min": "1"}, "schema.age.min"),
        ({"type": "number", "min": None}, "schema.age.min"),
        ({"type": "number", "max": True}, "schema.age.max"),
        ({"type": "number", "min": 2, "max": 1}, "schema.age.max"),
        ({"type": "number", "required": "yes"}, "schema.age.required"),
        ({"type": "number", "required": None}, "schema.age.required"),
        ({"type": "boolean", "min": 0}, "schema.age.min"),
        ({"type": "string", "min": -1}, "schema.age.min"),
        ({"type": "string", "max": 1.5}, "schema.age.max"),
        ({"type": "string", "min": 3, "max": 2}, "schema.age.max"),
        ({"type": "string", "enum": []}, "schema.age.enum"),
        ({"type": "string", "enum": "ab"}, "schema.age.enum"),
        ({"type": "string", "enum": ["a", 1]}, "schema.age.enum"),
        ({"type": "string", "enum": ["a"] * 1001}, "schema.age.enum"),
        ({"type": "string", "pattern": 1}, "schema.age.pattern"),
        ({"type": "string", "pattern": "a" * 1001}, "schema.age.pattern"),
        ({"type": "string", "pattern": "("}, "schema.age.pattern"),
        ({"type": "string", "pattern": "(?=a)"}, "schema.age.pattern"),
        ({"type": "string", "pattern": r"(a)\1"}, "schema.age.pattern"),
        ({"type": "string", "pattern": "((((a{99}){99}){99}){99})"}, "schema.age.pattern"),
        ({"type": "array"}, "schema.age.items"),
        ({"type": "array", "items": [{"type": "number"}]}, "schema.age.items"),
        ({"type": "array", "items": {"type": "x"}}, "schema.age.items.type"),
        ({"type": "object"}, "schema.age.props"),
        ({"type": "object", "props": []}, "schema.age.props"),
        ({"type": "object", "props": {"x": 1}}, "schema.age.props.x"),
        ({"type": "object", "props": {"x y": {}}}, 'schema.age.props["x y"].type'),
        ({"type": "object", "props": {}, "strict": 1}, "schema.age.strict"),
    ],
)
def test_a_bad_rule_is_named_by_its_path(rule: object, field: str) -> None:
    """The complaint says where in the schema it is."""
    assert complaint({"name": {"type": "string"}, "age": rule}).field == field


@pytest.mark.parametrize("raw", [None, [], "x", 1, {}])
def test_a_schema_declares_properties(raw: object) -> None:
    """An empty schema would refuse every message but `{}`, which nobody means."""
    assert complaint(raw).field == "schema"


def nested(depth: int) -> dict[str, Any]:
    rule: dict[str, Any] = {"type": "number"}
    for _ in range(depth - 1):
        rule = {"type": "array", "items": rule}
    return {"a": rule}


def test_the_size_of_a_schema_is_bounded() -> None:
    """At the limits it is taken, over them refused."""
    number = {"type": "number"}
    matched = {"type": "string", "pattern": "a"}
    assert parse(nested(MAX_DEPTH))
    assert "nested" in complaint(nested(MAX_DEPTH + 1)).detail
    assert parse({str(i): number for i in range(MAX_RULES)})
    assert "rules" in complaint({str(i): number for i in range(MAX_RULES + 1)}).detail
    assert parse({str(i): matched for i in range(100)})
    assert "patterns" in complaint({str(i): matched for i in range(101)}).detail
    assert parse({"a": {"type": "string", "enum": [str(i) for i in range(1000)]}})


def test_a_pattern_is_searched_for() -> None:
    """As in JSON Schema, it may match anywhere; anchors tie it down. It counts characters, not bytes."""
    assert satisfies({"a": {"type": "string", "pattern": "b+"}}, {"a": "abc"})
    assert not satisfies({"a": {"type": "string", "pattern": "^b+$"}}, {"a": "abc"})
    assert not satisfies({"a": {"type": "string", "pattern": "^b$"}}, {"a": "b\n"})
    assert satisfies({"a": {"type": "string", "pattern": r"^\p{L}.$"}}, {"a": "éü"})


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "^(a|a)*$", "(x+x+)+y", "^(a|aa)+$", "(.*a){12}$", "^([a-z]+)*!"]
)
def test_no_pattern_backtracks(pattern: str) -> None:
    """Patterns over which a backtracking engine sits for ages are decided within the steps allowed."""
    assert not satisfies({"a": {"type": "string", "pattern": pattern}}, {"a": "a" * 20_000 + "\n"})


def test_the_work_of_patterns_is_bounded() -> None:
    """The cost of matching grows with pattern and text, so their product has a limit, over all strings."""
    costly = {"a": {"type": "array", "items": {"type": "string", "pattern": "(a?){400}a{400}b"}}}
    assert "must match the pattern" in fault(costly, json.dumps({"a": ["a" * 5_000]}))
    assert "too much text" in fault(costly, json.dumps({"a": ["a" * 50_000]}))
    assert "too much text" in fault(costly, json.dumps({"a": ["a" * 399 + "a" * 400 + "b"] * 100}))
    cheap = {"a": {"type": "string", "pattern": "^a+$"}}
    assert satisfies(cheap, {"a": "a" * 1_000_000})


def test_without_re2_only_patterns_are_refused() -> None:
    """Where there is no wheel of google-re2, schemas without patterns work as ever."""
    script = """if True:
        import sys
        sys.modules["re2"] = None
        from postroom.domain import schema
        schema.check(schema.parse({"a": {"type": "string"}}), '{"a": "b"}')
        try:
            schema.parse({"a": {"type": "string", "pattern": "b"}})
        except schema.Invalid as error:
            print(error.detail)
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("schema.a.pattern: cannot be used")


def test_a_schemas_id_is_the_hash_of_its_canonical_json() -> None:
    """Neither order nor spaces matter; anything else does."""
    # printf '{"a":{"max":2,"type":"number"},"é":{"type":"string"}}' | sha256sum
    known = "a102b4ed60478c45eadaf18cde966209b972542d3aa55e68104a4b06ef6c35c9"
    assert schema_id({"é": {"type": "string"}, "a": {"type": "number", "max": 2}}) == known
    assert schema_id({"a": {"max": 2, "type": "number"}, "é": {"type": "string"}}) == known
    assert schema_id({"a": {"max": 3, "type": "number"}, "é": {"type": "string"}}) != known


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc") | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


def bounds(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, int]]:
    """Any of min and max, in order."""
    pair = st.tuples(numbers, numbers).map(sorted).map(lambda two: {"min": two[0], "max": two[1]})
    return pair | st.fixed_dictionaries({}, optional={"min": numbers}) | st.just({})


def rule(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(parts, optional={"required": st.booleans()})


strings = st.builds(lambda base, more: base | more, rule(type=st.just("string")), bounds(st.integers(0, 3)))
enums = rule(type=st.just("string"), enum=st.lists(st.sampled_from("abc"), min_size=1))
numbers = st.builds(lambda base, more: base | more, rule(type=st.just("number")), bounds(st.integers(-2, 2)))
booleans = rule(type=st.just("boolean"))
rules = st.recursive(
    strings | enums | numbers | booleans,
    lambda inner: (
        rule(type=st.just("array"), items=inner)
        | rule(
            type=st.just("object"),
            props=st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            strict=st.booleans(),
        )
    ),
    max_leaves=6,
)
raw_schemas = st.dictionaries(st.sampled_from("abc"), rules, min_size=1)
leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.text("abc", max_size=4)
likely = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)


def naive(rule: dict[str, Any], value: Any) -> bool:
    """The documented rules, written down once more and plainly."""
    if value is None:
        return not rule.get("required", True)
    match rule["type"]:
        case "object":
            props = rule["props"]
            declared = isinstance(value, dict) and (not rule.get("strict", True) or set(value) <= set(props))
            return declared and all(naive(each, value.get(name)) for name, each in props.items())
        case "array":
            return isinstance(value, list) and all(naive(rule["items"], item) for item in value)
        case "string":
            return isinstance(value, str) and within(rule, len(value)) and value in rule.get("enum", [value])
        case "number":
            return type(value) in (int, float) and within(rule, value)
        case _:
            return isinstance(value, bool)


def within(rule: dict[str, Any], size: float) -> bool:
    return bool(rule.get("min", size) <= size <= rule.get("max", size))


@given(raw_schemas, likely | json_values)
def test_checking_agrees_with_the_rules_written_plainly(raw: dict[str, Any], value: Any) -> None:
    """Any schema, any value."""
    expected = value is not None and naive({"type": "object", "props": raw}, value)
    assert satisfies(raw, value) == expected


@given(st.dictionaries(st.text(), json_values | rules) | json_values)
def test_any_json_is_a_schema_or_a_complaint(raw: object) -> None:
    """Nothing but Invalid is raised, and it names a place in the schema."""
    complaints: list[str] = []
    try:
        parse(raw)
    except Invalid as error:
        complaints.append(error.field)
    assert all(field.startswith("schema") for field in complaints)


@given(st.text() | st.binary())
def test_any_data_is_checked_or_refused(data: str | bytes) -> None:
    """Whatever is sent, nothing but Invalid is raised."""
    with pytest.raises(Invalid):
        check(parse(PERSON), data)
