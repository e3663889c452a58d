"""Every setting, its default and its bounds in one frozen object; every complaint at once."""

import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from postroom.domain.database import postgresql, without_password

PREFIX = "POSTROOM_"
COMMAND_VARIABLES = frozenset({"POSTROOM_ORG"})
"""Variables that commands read; they are no settings."""

# SQLite holds no single value above this.
_LARGEST_BODY = 1_000_000_000
# The longest time that a timer or the database is asked for: a hundred years.
_LONGEST = 36_500 * 86_400


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        return ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"should be a network such as 10.0.0.0/8 or fd00::/8 ({error})") from error


def _directory(value: object) -> object:
    if value == "":
        raise ValueError("should be a path")
    if isinstance(value, str) and value.startswith(("postgres://", "postgresql://")):
        raise ValueError("should be a directory; name a PostgreSQL database with --database")
    return value


def _database(value: object) -> object:
    if value == "" or not isinstance(value, str):
        return value
    if value.startswith("sqlite:"):
        raise ValueError("should be a PostgreSQL URL; name the directory of an embedded database with --data")
    return postgresql(value)


def _base_url(value: object) -> object:
    """Links are made by appending paths, so the base ends without a slash."""
    if value == "" or not isinstance(value, str):
        return value
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "should be an http or https URL such as https://hub.example.com, with no user or query"
        )
    return value.rstrip("/")


def _number(value: object) -> object:
    """In TOML, true is no number, though it is one to Python."""
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network)]
Whole = Annotated[int, BeforeValidator(_number)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Wait = Annotated[Number, Field(ge=0, le=_LONGEST)]
Span = Annotated[Number, Field(gt=0, le=_LONGEST)]
Days = Annotated[Number, Field(ge=0, le=_LONGEST / 86_400)]


class Settings(BaseModel):
    """Everything an operator can set. Durations are seconds, retentions are days."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    data: Annotated[Path, BeforeValidator(_directory)] = Field(
        Path("postroom-data"),
        description="Directory of the embedded database and its lock; made if it does not exist.",
    )
    # It may have a password: to be shown only as `shown_database`.
    database: Annotated[str, BeforeValidator(_database)] = Field(
        "",
        repr=False,
        description="PostgreSQL database, as postgresql://user:password@host:5432/name; when empty, the"
        " embedded database in data.",
    )
    database_connections: Whole = Field(
        8, ge=2, description="Most connections that each process opens to PostgreSQL."
    )
    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 is every IPv4 address."
    )
    port: Whole = Field(8080, ge=0, le=65535, description="TCP port to listen on; 0 takes any free port.")
    processes: Whole = Field(
        1, ge=1, description="Processes that serve at the address together; more than one need database."
    )
    public_url: Annotated[str, BeforeValidator(_base_url)] = Field(
        "", description="Base of the links in answers; when empty, the Host of each request is used."
    )
    allow_network: tuple[Network, ...] = Field(
        (), description="Networks that deliveries may reach although they are private, loopback or reserved."
    )
    body_limit: Whole = Field(
        1_048_576, ge=1, le=_LARGEST_BODY, description="Largest request body that is accepted, in bytes."
    )
    activities_limit: Whole = Field(
        67_108_864,
        ge=1,
        le=_LARGEST_BODY,
        description="Largest request with activities, in bytes; also of what it unpacks to.",
    )
    request_timeout: Span = Field(
        30, description="Seconds within which a request must have come in, its head and then its body."
    )
    schedule: tuple[Wait, ...] = Field(
        (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400),
        min_length=1,
        description="Seconds to wait before each attempt of a delivery; after the last one it has failed.",
    )
    jitter: Number = Field(
        0.2,
        ge=0,
        le=1,
        description="Share by which each wait of the schedule is lengthened or shortened at random.",
    )
    delivery_timeout: Span = Field(
        20, description="Seconds within which a listener must answer, else the attempt has failed."
    )
    listener_concurrency: Whole = Field(16, ge=1, description="Most requests at once to one listener.")
    delivery_concurrency: Whole = Field(
        512, ge=1, description="Most requests at once to all listeners together."
    )
    liveness_interval_busy: Span = Field(
        30, description="Seconds between liveness probes of a listener with pending deliveries or failures."
    )
    liveness_interval_idle: Span = Field(
        300, description="Seconds between liveness probes of a listener with nothing pending and no failures."
    )
    liveness_timeout: Span = Field(
        10, description="Seconds until a liveness probe that is not answered has failed."
    )
    analytics_encoding: Literal["array", "string"] = Field(
        "array",
        description="How daily totals show lists where neither request nor key says: array or string.",
    )
    message_retention: Days = Field(
        30, description="Days for which a message is kept after its last delivery has ended."
    )
    # GET /events and the statistics' windows read the raw events of up to 25 hours.
    event_retention: Days = Field(
        8, ge=2, description="Days for which usage events are kept; the statistics outlive them."
    )
    sweep_interval: Span = Field(
        60, description="Seconds between two sweeps of what has outlived its retention."
    )
    fold_interval: Span = Field(
        default=5, description="Seconds between two looks for past days whose activity has changed.", gt=0
    )
    lease_time: Annotated[Number, Field(ge=1, le=_LONGEST)] = Field(
        10, description="Seconds after which the work of a process that no longer answers moves to others."
    )
    stop_timeout: Wait = Field(
        20,
        description="Seconds that requests and deliveries in flight are given to end when the server stops.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="Form of the log; auto is console on a terminal and json elsewhere."
    )

    @field_validator("processes")
    @classmethod
    def _share_a_database(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("database") == "":
            raise ValueError("should be 1 where the setting database is empty: an embedded database has one")
        return value

    @property
    def address(self) -> str:
        """The database: a postgresql: URL, which may have a password, or `sqlite:` and the file."""
        return self.database or f"sqlite:{self.data / 'postroom.db'}"

    @property
    def shown_database(self) -> str:
        """The address without its password."""
        return without_password(self.database) if self.database else self.address


class SettingsError(Exception):
    """One or more settings cannot be used; the message has a line for each."""

    def __init__(self, complaints: Iterable[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(self.complaints))


class Setting(NamedTuple):
    """What options, --help and the reference are made of."""

    name: str
    kind: Literal["choice", "integer", "list", "number", "path", "text"]
    default: str
    description: str
    choices: tuple[str, ...]

    @property
    def option(self) -> str:
        return _option(self.name)

    @property
    def variable(self) -> str:
        return _variable(self.name)


def described() -> tuple[Setting, ...]:
    """Every setting, in the order in which Settings declares them."""
    return tuple(_setting(name, field) for name, field in Settings.model_fields.items())


def load(
    arguments: Mapping[str, object],
    environment: Mapping[str, str],
    file: Path | None,
    ignore: Collection[str] = (),
) -> Settings:
    """Arguments come before the environment, the environment before the file, the file before the defaults.

    An argument that is None or an empty list, and a variable that is empty, count as not given. Variables in
    `ignore` are no settings. Raises SettingsError.
    """
    complaints: list[str] = []
    known: dict[str, _Given] = {}
    from_file = _from_file(file, complaints)
    for given in chain(from_file, _from_environment(environment, ignore), _from_arguments(arguments)):
        if given.name in Settings.model_fields:
            known[given.name] = given
        else:
            complaints.append(_unknown(given))
    complaints.extend(_two_places(known, arguments))
    complaints.extend(_no_place(arguments))
    return _validated(known, complaints)


class _Given(NamedTuple):
    name: str
    value: object
    place: str
    spell: Callable[[str], str]

    @property
    def origin(self) -> str:
        return f"{self.place} {self.spell(self.name)}"

    def told(self) -> str:
        """The beginning of a complaint."""
        return f"{self.name} ({self.origin}): {_shown(self.name, self.value)}"


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _from_arguments(arguments: Mapping[str, object]) -> Iterator[_Given]:
    for name, value in arguments.items():
        if value is not None and value not in ([], ()):
            yield _Given(name, _split(name, value), "option", _option)


def _from_environment(environment: Mapping[str, str], ignore: Collection[str]) -> Iterator[_Given]:
    for variable, value in sorted(environment.items()):
        if (
            variable.startswith(PREFIX)
            and variable not in COMMAND_VARIABLES
            and variable not in ignore
            and value
        ):
            name = variable.removeprefix(PREFIX).lower()
            yield _Given(name, _split(name, value), "environment variable", _variable)


def _from_file(file: Path | None, complaints: list[str]) -> list[_Given]:
    try:
        content = tomllib.loads(file.read_text("utf-8")) if file else {}
    except OSError as error:
        complaints.append(f"{file}: cannot be read ({error.strerror})")
    except ValueError as error:
        complaints.append(f"{file}: is not TOML ({error})")
    else:
        return [_Given(name, value, f"{file}, key", str) for name, value in content.items()]
    return []


def _split(name: str, value: object) -> object:
    """A list is written with commas, and an option for a list may be repeated."""
    field = Settings.model_fields.get(name)
    if field is None or _kind(field.annotation) != "list":
        return value
    texts = value if isinstance(value, list | tuple) else (value,)
    return tuple(part for text in texts for part in _parts(text))


def _parts(text: object) -> Iterator[object]:
    if isinstance(text, str):
        yield from (part.strip() for part in text.split(","))
    else:
        yield text


def _validated(known: Mapping[str, _Given], complaints: list[str]) -> Settings:
    try:
        settings = Settings.model_validate({name: given.value for name, given in known.items()})
    except ValidationError as error:
        complaints.extend(_bad(known[str(details["loc"][0])], details) for details in error.errors())
    if complaints:
        raise SettingsError(complaints)
    return settings


def _two_places(known: Mapping[str, _Given], arguments: Mapping[str, object]) -> Iterator[str]:
    """Whoever names a directory as an option means it, so no other setting may say otherwise."""
    data, database = known.get("data"), known.get("database")
    if arguments.get("data") is not None and data and database and database.value != "":
        yield f"{data.told()} given, but {database.name} ({database.origin}) too; leave one of them out"


def _no_place(arguments: Mapping[str, object]) -> Iterator[str]:
    """An empty option is what is left of a variable that was not set; beside --data it says what is meant."""
    if arguments.get("database") == "" and arguments.get("data") is None:
        should = "should be a PostgreSQL URL; for the embedded database leave it out, or give --data too"
        yield f"database (option --database): '' {should}"


def _unknown(given: _Given) -> str:
    near = get_close_matches(given.name, Settings.model_fields, n=1)
    hint = f"; did you mean {given.spell(near[0])}?" if near else ""
    return f"{given.told()} given, but there is no such setting{hint}"


def _bad(given: _Given, details: ErrorDetails) -> str:
    _subject, should, what = details["msg"].partition("should ")
    return f"{given._replace(value=details['input']).told()} {should + what or details['msg']}"


def _shown(name: str, value: object) -> str:
    """The value as it was given, without what may be the password of a database."""
    text = repr(value)
    if name != "database" and not any(sign in text.lower() for sign in ("postgres", "password", "@")):
        return text
    return repr(without_password(value)) if isinstance(value, str) else type(value).__name__


def _setting(name: str, field: FieldInfo) -> Setting:
    kind = _kind(field.annotation)
    choices = get_args(field.annotation) if kind == "choice" else ()
    return Setting(name, kind, _text(field.default), field.description or "", choices)


def _kind(annotation: Any) -> Literal["choice", "integer", "list", "number", "path", "text"]:
    if get_origin(annotation) is Literal:
        return "choice"
    if get_origin(annotation) is tuple:
        return "list"
    kinds: dict[object, Literal["integer", "number", "path", "text"]]
    kinds = {int: "integer", float: "number", Path: "path", str: "text"}
    return kinds[annotation]


def _text(default: object) -> str:
    """The default as an operator would write it."""
    return ",".join(map(_text, default)) if isinstance(default, tuple) else str(default)
