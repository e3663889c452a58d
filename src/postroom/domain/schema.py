"""A queue's schema: the rules that the JSON in a message's data must satisfy."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from postroom.domain.errors import Invalid

try:
    import re2  # type: ignore[import-not-found,import-untyped,unused-ignore]
except ImportError:  # there are platforms without a wheel of it; only patterns need it
    re2 = None

MAX_DEPTH = 32
MAX_RULES = 1000
MAX_ENUM = 1000
MAX_PATTERNS = 100
MAX_PATTERN_LENGTH = 1000
PATTERN_MEMORY = 1 << 18
"""Bytes that RE2 may use for one pattern, its program and its caches together."""
MAX_STEPS = 20_000_000
"""Size of a pattern's program times bytes of text, summed over a message: at worst about 0.2 s."""

Fault = tuple[str, str]
"""Where in the value, as the rest of a path, and what is wrong there."""


class Work:
    """What matching may still cost in one check of one message."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps

    def covers(self, steps: int) -> bool:
        """Take `steps` off; false when they are more than was left."""
        self._left -= steps
        return self._left >= 0


class BooleanRule(msgspec.Struct, frozen=True):
    """True or false. (An addition: the documented types have no rule for them.)"""

    required: bool = True

    def fault(self, value: Any, work: Work) -> Fault | None:
        return None if isinstance(value, bool) else ("", "must be true or false")


class NumberRule(msgspec.Struct, frozen=True):
    """A number between two bounds, both included."""

    min: int | float | None = None
    max: int | float | None = None
    required: bool = True

    def fault(self, value: Any, work: Work) -> Fault | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "", "must be a number"
        if self.min is not None and value < self.min:
            return "", f"must be at least {self.min}"
        if self.max is not None and value > self.max:
            return "", f"must be at most {self.max}"
        return None


class Pattern(msgspec.Struct, frozen=True):
    """A compiled pattern; `size` is the number of instructions in its program."""

    source: str
    size: int
    search: Callable[[bytes], object | None]

    def fault(self, text: bytes, work: Work) -> Fault | None:
        if not work.covers(self.size * len(text)):
            return "", "is too much text for the patterns of the queue's schema"
        return None if self.search(text) else ("", f"must match the pattern {self.source}")


class StringRule(msgspec.Struct, frozen=True):
    """A string; `min` and `max` count characters, the pattern may match anywhere in it."""

    min: int | None = None
    max: int | None = None
    enum: frozenset[str] | None = None
    pattern: Pattern | None = None
    required: bool = True

    def fault(self, value: Any, work: Work) -> Fault | None:
        if not isinstance(value, str):
            return "", "must be a string"
        if self.min is not None and len(value) < self.min:
            return "", f"must have at least {self.min} characters"
        if self.max is not None and len(value) > self.max:
            return "", f"must have at most {self.max} characters"
        if self.enum is not None and value not in self.enum:
            return "", f"must be one of {_listed(self.enum)}"
        return self.pattern.fault(value.encode(), work) if self.pattern else None


class ArrayRule(msgspec.Struct, frozen=True):
    """An array whose items all satisfy one rule."""

    items: "Rule"
    required: bool = True

    def fault(self, value: Any, work: Work) -> Fault | None:
        if not isinstance(value, list):
            return "", "must be an array"
        for index, item in enumerate(value):
            fault = _fault(self.items, item, work)
            if fault:
                return f"[{index}]{fault[0]}", fault[1]
        return None


class ObjectRule(msgspec.Struct, frozen=True):
    """An object; a strict one has no other properties than those of its rules."""

    props: dict[str, "Rule"]
    required: bool = True
    strict: bool = True

    def fault(self, value: Any, work: Work) -> Fault | None:
        if not isinstance(value, dict):
            return "", "must be an object"
        for name, rule in self.props.items():
            fault = _fault(rule, value.get(name), work)
            if fault:
                missing = name not in value
                return _step(name) + fault[0], "is required" if missing else fault[1]
        return self._undeclared(value) if self.strict else None

    def _undeclared(self, value: dict[str, Any]) -> Fault | None:
        if value.keys() <= self.props.keys():
            return None
        name = next(name for name in value if name not in self.props)
        return _step(name), "is not declared in the queue's schema"


Rule = ObjectRule | ArrayRule | StringRule | NumberRule | BooleanRule


class Schema(msgspec.Struct, frozen=True):
    """A queue's rules, ready to check messages; make one with `parse`."""

    root: ObjectRule


def parse(raw: object) -> Schema:
    """The schema given as decoded JSON. Invalid names the rule that is wrong, as `schema.age.type`."""
    if raw == {}:
        raise Invalid("schema", "must declare a property; leave it out to take any data")
    return Schema(ObjectRule(_props(raw, "schema", _Tally())))


def schema_id(raw: object) -> str:
    """SHA-256, in hex, of the canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check(schema: Schema, data: bytes | str) -> None:
    """Raise Invalid, with rule and path, unless `data` is JSON that satisfies the schema."""
    fault = schema.root.fault(_decoded(data), Work())
    if fault:
        raise Invalid(f"data{fault[0]}", fault[1])


def _decoded(data: bytes | str) -> Any:
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise Invalid("data", "is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Invalid("data", f"must be JSON, because its queue has a schema: {error}") from error


def _fault(rule: Rule, value: Any, work: Work) -> Fault | None:
    """What is wrong with a property's or an item's value; null counts as absent."""
    if value is None:
        return ("", "must not be null") if rule.required else None
    return rule.fault(value, work)


def _step(name: str) -> str:
    """One step of a path into an object."""
    shown = name if len(name) <= 64 else name[:63] + "…"
    return f".{shown}" if re.fullmatch(r"[\w-]+…?", shown) else f"[{json.dumps(shown, ensure_ascii=False)}]"


def _listed(choices: frozenset[str]) -> str:
    shown = [_shown(choice) for choice in sorted(choices)[:10]]
    return ", ".join(shown) + (", …" if len(choices) > 10 else "")


def _shown(choice: str) -> str:
    return json.dumps(choice if len(choice) <= 64 else choice[:63] + "…", ensure_ascii=False)


# Reading a schema. Schemas come from users, so everything about their size is bounded.


class _Tally:
    """What has been read of one schema so far."""

    def __init__(self) -> None:
        self.rules = 0
        self.patterns = 0


Raw = Mapping[str, Any]
_Reader = Callable[[Raw, str, _Tally, int], Rule]


def _rule(raw: object, path: str, tally: _Tally, depth: int) -> Rule:
    tally.rules += 1
    if tally.rules > MAX_RULES:
        raise Invalid("schema", f"must have at most {MAX_RULES} rules")
    if depth > MAX_DEPTH:
        raise Invalid("schema", f"must be nested at most {MAX_DEPTH} deep")
    if not isinstance(raw, dict):
        raise Invalid(path, "must be a rule: an object with a type")
    read, keys = _reader(raw, path)
    unknown = next((key for key in raw if key not in keys), None)
    if unknown is not None:
        raise Invalid(path + _step(str(unknown)), f"is unknown here; use {', '.join(keys)}")
    return read(raw, path, tally, depth)


def _reader(raw: Raw, path: str) -> "tuple[_Reader, tuple[str, ...]]":
    kind = raw.get("type")
    if not isinstance(kind, str) or kind not in _READERS:
        raise Invalid(f"{path}.type", f"must be one of {', '.join(_READERS)}")
    return _READERS[kind]


def _object(raw: Raw, path: str, tally: _Tally, depth: int) -> ObjectRule:
    props = _props(raw.get("props"), f"{path}.props", tally, depth)
    return ObjectRule(props, _flag(raw, path, "required"), _flag(raw, path, "strict"))


def _props(raw: object, path: str, tally: _Tally, depth: int = 0) -> dict[str, Rule]:
    if not isinstance(raw, dict):
        raise Invalid(path, "must be an object: property names and their rules")
    return {name: _rule(rule, path + _step(name), tally, depth + 1) for name, rule in raw.items()}


def _array(raw: Raw, path: str, tally: _Tally, depth: int) -> ArrayRule:
    items = _rule(raw.get("items"), f"{path}.items", tally, depth + 1)
    return ArrayRule(items, _flag(raw, path, "required"))


def _string(raw: Raw, path: str, tally: _Tally, depth: int) -> StringRule:
    low, high = _length(raw, path, "min"), _length(raw, path, "max")
    _in_order(low, high, path)
    return StringRule(low, high, _enum(raw, path), _pattern(raw, path, tally), _flag(raw, path, "required"))


def _number(raw: Raw, path: str, tally: _Tally, depth: int) -> NumberRule:
    low, high = _bound(raw, path, "min"), _bound(raw, path, "max")
    _in_order(low, high, path)
    return NumberRule(low, high, _flag(raw, path, "required"))


def _boolean(raw: Raw, path: str, tally: _Tally, depth: int) -> BooleanRule:
    return BooleanRule(_flag(raw, path, "required"))


_READERS: dict[str, tuple[_Reader, tuple[str, ...]]] = {
    "object": (_object, ("type", "props", "required", "strict")),
    "array": (_array, ("type", "items", "required")),
    "string": (_string, ("type", "pattern", "enum", "min", "max", "required")),
    "number": (_number, ("type", "min", "max", "required")),
    "boolean": (_boolean, ("type", "required")),
}


def _flag(raw: Raw, path: str, key: str) -> bool:
    value = raw.get(key, True)
    if not isinstance(value, bool):
        raise Invalid(f"{path}.{key}", "must be true or false")
    return value


def _bound(raw: Raw, path: str, key: str) -> int | float | None:
    if key not in raw:
        return None
    value = raw[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Invalid(f"{path}.{key}", "must be a number")
    return value


def _length(raw: Raw, path: str, key: str) -> int | None:
    value = _bound(raw, path, key)
    if value is None:
        return None
    if not isinstance(value, int) or value < 0:
        raise Invalid(f"{path}.{key}", "must be a number of characters: an integer from 0 on")
    return value


def _in_order(low: float | None, high: float | None, path: str) -> None:
    if low is not None and high is not None and low > high:
        raise Invalid(f"{path}.max", "must not be less than min")


def _enum(raw: Raw, path: str) -> frozenset[str] | None:
    if "enum" not in raw:
        return None
    value = raw["enum"]
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ENUM:
        raise Invalid(f"{path}.enum", f"must be an array of 1 to {MAX_ENUM} strings")
    if not all(isinstance(choice, str) for choice in value):
        raise Invalid(f"{path}.enum", "must hold nothing but strings")
    return frozenset(value)


def _pattern(raw: Raw, path: str, tally: _Tally) -> Pattern | None:
    if "pattern" not in raw:
        return None
    value, path = raw["pattern"], f"{path}.pattern"
    tally.patterns += 1
    if not isinstance(value, str) or len(value) > MAX_PATTERN_LENGTH:
        raise Invalid(path, f"must be a string of at most {MAX_PATTERN_LENGTH} characters")
    if tally.patterns > MAX_PATTERNS:
        raise Invalid("schema", f"must have at most {MAX_PATTERNS} patterns")
    return _compiled(value, path)


def _compiled(source: str, path: str) -> Pattern:
    """Patterns come from users and run on what users send, so they need an engine of linear time: RE2."""
    if re2 is None:
        raise Invalid(path, "cannot be used: this server was installed without the package google-re2")
    options = re2.Options()
    options.max_mem, options.never_capture, options.log_errors = PATTERN_MEMORY, True, False
    try:
        compiled = re2.compile(source, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise Invalid(path, f"must be a regular expression in RE2's syntax: {reason}") from error
    return Pattern(source, compiled.programsize, compiled.search)
