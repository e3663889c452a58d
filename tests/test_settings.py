"""Settings: where each value comes from, and what is said about the ones that cannot be used."""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from postroom.settings import Setting, Settings, SettingsError, described, load


def refused(
    arguments: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(arguments or {}, environment or {}, file)
    return str(caught.value).splitlines()


def toml(directory: Path, text: str) -> Path:
    file = directory / "postroom.toml"
    file.write_text(text, "utf-8")
    return file


def test_defaults() -> None:
    """With nothing given, every setting has its default."""
    settings = load({}, {}, None)
    assert settings.data == Path("postroom-data")
    assert (settings.host, settings.port, settings.body_limit) == ("127.0.0.1", 8080, 1024 * 1024)
    assert settings.schedule == (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    assert settings.allow_network == ()
    assert (settings.log_level, settings.log_format, settings.public_url) == ("info", "auto", "")


def test_an_argument_comes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    """Arguments, environment, file, defaults: the first that names a setting decides it."""
    file = toml(tmp_path, 'port = 1\nhost = "file"\njitter = 0.5\n')
    settings = load({"port": "3"}, {"POSTROOM_PORT": "2", "POSTROOM_HOST": "env"}, file)
    assert (settings.port, settings.host, settings.jitter, settings.body_limit) == (3, "env", 0.5, 1_048_576)


def test_what_is_not_given_hides_nothing() -> None:
    """An option that was not used and a variable that is empty leave the next source its say."""
    settings = load({"port": None, "allow_network": []}, {"POSTROOM_PORT": "2", "POSTROOM_HOST": ""}, None)
    assert (settings.port, settings.host, settings.allow_network) == (2, "127.0.0.1", ())


def test_lists(tmp_path: Path) -> None:
    """A list has commas in the environment, commas or repetition as an option, and is an array in TOML."""
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    file = toml(tmp_path, 'schedule = [0, 0.5]\nallow_network = ["10.0.0.0/8", "fd00::/8"]\n')
    assert load({}, {"POSTROOM_ALLOW_NETWORK": "10.0.0.0/8, fd00::/8"}, None).allow_network == networks
    assert load({"allow_network": ["10.0.0.0/8", "fd00::/8"]}, {}, None).allow_network == networks
    assert load({"allow_network": "10.0.0.0/8,fd00::/8"}, {}, None).allow_network == networks
    assert load({}, {}, file).allow_network == networks
    assert load({}, {}, file).schedule == (0, 0.5)


def test_every_complaint_at_once(tmp_path: Path) -> None:
    """Each bad value has a line with the setting, its place, the value and what is expected."""
    file = toml(tmp_path, 'jitter = 1.5\nschedule = []\nhots = "0.0.0.0"\n')
    lines = refused({"port": "70000", "log_level": "loud"}, {"POSTROOM_BODY_LIMIT": "1MiB"}, file)
    assert set(lines) == {
        "port (option --port): '70000' should be less than or equal to 65535",
        "log_level (option --log-level): 'loud' should be 'debug', 'info', 'warning' or 'error'",
        "body_limit (environment variable POSTROOM_BODY_LIMIT): '1MiB' "
        "should be a valid integer, unable to parse string as an integer",
        f"jitter ({file}, key jitter): 1.5 should be less than or equal to 1",
        f"schedule ({file}, key schedule): [] should have at least 1 item after validation, not 0",
        f"hots ({file}, key hots): '0.0.0.0' given, but there is no such setting; did you mean host?",
    }


def test_unknown_names() -> None:
    """A name that is no setting is refused in its own spelling, with the nearest that is one."""
    assert refused(environment={"POSTROOM_BODY_LIMITS": "1"}) == [
        "body_limits (environment variable POSTROOM_BODY_LIMITS): '1' given, but there is no such setting; "
        "did you mean POSTROOM_BODY_LIMIT?"
    ]
    assert refused({"zzz": "1"}) == ["zzz (option --zzz): '1' given, but there is no such setting"]


def test_variables_that_are_no_settings() -> None:
    """What commands read to reach a server, what the caller names, and foreign variables are let be."""
    environment = {
        "POSTROOM_ORG": "o",
        "POSTROOM_X": "1",
    }
    assert load({}, {**environment, "PATH": "/bin"}, None, ignore={"POSTROOM_X"}) == load({}, {}, None)


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ("10.0.0.1/8", "has host bits set"),
        ("10.0.0.0/33", "does not appear"),
        ("everything", "does not appear"),
    ],
)
def test_bad_network(network: str, why: str) -> None:
    """A network must be one: the line names the bad member of the list."""
    (line,) = refused({"allow_network": ["127.0.0.0/8", network]})
    assert line.startswith(f"allow_network (option --allow-network): '{network}' should be a network such as")
    assert why in line


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("port", "0", "65535"),
        ("lease_time", "1", "3153600000"),
        ("jitter", "0", "1"),
        ("body_limit", "1", "1000000000"),
        ("event_retention", "2", "36500"),
        ("stop_timeout", "0", "3153600000"),
    ],
)
def test_bounds(name: str, lowest: str, highest: str) -> None:
    """Both bounds are allowed, and what lies beyond is not."""
    assert getattr(load({name: lowest}, {}, None), name) == int(lowest)
    assert getattr(load({name: highest}, {}, None), name) == int(highest)
    assert len(refused({name: str(int(lowest) - 1)})) == 1
    assert len(refused({name: str(int(highest) + 1)})) == 1


@pytest.mark.parametrize(
    "setting", [s for s in described() if s.kind in {"integer", "number"}], ids=lambda s: s.name
)
@pytest.mark.parametrize("value", ["", " ", "x", "-1", "nan", "inf", True])
def test_numbers_are_numbers(setting: Setting, value: object) -> None:
    """No numeric setting takes text, a negative, an infinite or no number, or a truth value."""
    (line,) = refused({setting.name: value})
    assert line.startswith(f"{setting.name} (option {setting.option}): {value!r} ")


@pytest.mark.parametrize(
    "name", ["delivery_timeout", "sweep_interval", "liveness_interval_busy", "listener_concurrency"]
)
def test_zero_where_it_would_stop_or_spin(name: str) -> None:
    """Timeouts, intervals and concurrencies are above nought."""
    assert len(refused({name: "0"})) == 1


@pytest.mark.parametrize(
    "url", ["hub.example.com", "ftp://x", "http://", "http://u:p@x", "http://x?y", "http://[::1"]
)
def test_bad_public_url(url: str) -> None:
    """The links' base is an http or https URL without user or query."""
    assert "should be an http or https URL" in refused({"public_url": url})[0]


def test_public_url_ends_without_a_slash() -> None:
    """Paths that begin with a slash are appended to it."""
    assert (
        load({"public_url": "https://hub.example.com/a/"}, {}, None).public_url == "https://hub.example.com/a"
    )


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    """No file, no TOML and no UTF-8 are complaints beside the others."""
    missing = tmp_path / "missing.toml"
    assert refused({"port": "x"}, file=missing)[0] == f"{missing}: cannot be read (No such file or directory)"
    assert len(refused({"port": "x"}, file=missing)) == 2
    assert "is not TOML" in refused(file=toml(tmp_path, "port ="))[0]
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'host = "\xff"')
    assert "is not TOML" in refused(file=latin)[0]


def test_an_empty_directory_is_none(tmp_path: Path) -> None:
    """An empty `data` would be the working directory by surprise."""
    assert refused(file=toml(tmp_path, 'data = ""'))[0].endswith("'' should be a path")


def test_a_directory_is_no_url(tmp_path: Path) -> None:
    """A database given as `data` would be a directory with a strange name and a password in it."""
    (line,) = refused({"data": "postgresql://u:hidden@h/d"})
    assert line == (
        "data (option --data): 'postgresql://u:***@h/d' should be a directory; "
        "name a PostgreSQL database with --database"
    )


@pytest.mark.parametrize("name", ["database_connections", "processes", "lease_time"])
def test_bounds_of_sharing(name: str) -> None:
    """A process needs two connections, a server one process, and a lease a second."""
    shared = {"database": "postgresql://h/d"}
    least = {"database_connections": 2, "processes": 1, "lease_time": 1}[name]
    assert getattr(load({**shared, name: str(least)}, {}, None), name) == least
    assert len(refused({**shared, name: str(least - 1)})) == 1


def test_the_address_of_the_database(tmp_path: Path) -> None:
    """It is the setting `database`, or the file in `data`; a data directory beside `database` is let be."""
    file = toml(tmp_path, 'data = "/srv/x"\n')
    assert load({}, {}, file).address == load({}, {}, file).shown_database == "sqlite:/srv/x/postroom.db"
    settings = load({"database": "postgresql://u:hidden@h/d"}, {"POSTROOM_DATA": "/srv/y"}, file)
    assert settings.address == "postgresql://u:hidden@h/d"
    assert settings.shown_database == "postgresql://u:***@h/d"


def test_two_places(tmp_path: Path) -> None:
    """An option --data beside a database, given wherever, is refused; nobody can say which was meant."""
    url = "postgresql://u:hidden@h/d"
    end = "too; leave one of them out"
    assert refused({"data": "here", "database": url}) == [
        f"data (option --data): 'here' given, but database (option --database) {end}"
    ]
    assert refused({"data": "here"}, {"POSTROOM_DATABASE": url}) == [
        f"data (option --data): 'here' given, but database (environment variable POSTROOM_DATABASE) {end}"
    ]
    file = toml(tmp_path, f'database = "{url}"\n')
    assert refused({"data": "here"}, file=file) == [
        f"data (option --data): 'here' given, but database ({file}, key database) {end}"
    ]
    assert load({"data": "here", "database": ""}, {}, file).database == ""


def test_an_empty_database() -> None:
    """As an option it is refused: nobody meant to start on an empty file. As a variable it is not set."""
    assert refused({"database": ""}, {"POSTROOM_DATABASE": "postgresql://h/d"}) == [
        "database (option --database): '' should be a PostgreSQL URL; for the embedded database leave it "
        "out, or give --data too"
    ]
    assert load({}, {"POSTROOM_DATABASE": ""}, None).database == ""
    assert load({"database": "", "data": "here"}, {}, None).address == "sqlite:here/postroom.db"


def test_several_processes_need_a_shared_database() -> None:
    """More than one process without a database is one complaint; with a bad database that one is enough."""
    assert load({"processes": "2", "database": "postgresql://h/d"}, {}, None).processes == 2
    assert refused(environment={"POSTROOM_PROCESSES": "2"}) == [
        "processes (environment variable POSTROOM_PROCESSES): '2' should be 1 where the setting database is "
        "empty: an embedded database has one"
    ]
    (line,) = refused({"processes": "2", "database": "mysql://h/d"})
    assert line.startswith("database (option --database): 'mysql://h/d' should be a PostgreSQL URL such as")


def test_a_file_as_database() -> None:
    """Who gives a file as `database` learns of --data."""
    (line,) = refused({"database": "sqlite:/srv/postroom.db"})
    assert line == (
        "database (option --database): 'sqlite:/srv/postroom.db' should be a PostgreSQL URL; "
        "name the directory of an embedded database with --data"
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        ({"database": "mysql://u:hidden@h/d"}, {}, ""),
        ({"databases": "postgresql://u:hidden@h/d"}, {}, ""),
        ({}, {"POSTROOM_DATABASE_URL": "postgresql://u:hidden@h/d"}, ""),
        ({}, {"POSTROOM_DB": "host=h password=hidden"}, ""),
        ({"public_url": "https://u:hidden@h"}, {}, ""),
        ({}, {}, 'database = {url = "postgresql://h/d", password = "hidden"}'),
        ({}, {}, 'database = ["postgresql://u:hidden@h/d"]'),
        ({}, {}, '[postgres]\nurl = "postgresql://u:hidden@h/d"'),
    ],
)
def test_no_complaint_has_a_password(
    tmp_path: Path, arguments: dict[str, str], environment: dict[str, str], text: str
) -> None:
    """A password is not repeated, wherever it was given and whatever is wrong with it."""
    (line,) = refused(arguments, environment, toml(tmp_path, text))
    assert "hidden" not in line


def test_settings_show_no_password() -> None:
    """Neither settings nor the error about them have the password in their text."""
    url = "postgresql://u:hidden@h/d"
    assert "hidden" not in f"{load({'database': url}, {}, None)!r}"
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"database": "mysql://u:hidden@h/d"})
    assert "hidden" not in str(caught.value)


def test_frozen() -> None:
    """Settings do not change once they are loaded."""
    settings = load({}, {}, None)
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_described() -> None:
    """Every setting is described in one sentence, and its default as written is one that is accepted."""
    assert [setting.name for setting in described()] == list(Settings.model_fields)
    for setting in described():
        assert setting.description.endswith(".")
        assert setting.description[0].isupper()
        assert load({setting.name: setting.default or None}, {}, None) == load({}, {}, None)


@given(st.dictionaries(st.sampled_from(list(Settings.model_fields)), st.text(max_size=8)))
def test_any_text_is_taken_or_complained_about(texts: dict[str, str]) -> None:
    """No text makes load fail in another way, and each complaint names a setting that was given."""
    complaints: tuple[str, ...] = ()
    try:
        load(texts, {}, None)
    except SettingsError as error:
        complaints = error.complaints
    assert {complaint.split(" ")[0] for complaint in complaints} <= set(texts)
