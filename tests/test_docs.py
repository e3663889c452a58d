"""The reference names everything there is, and nothing else."""

from pathlib import Path

from postroom.settings import Setting, described

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is `heading`."""
    lines = (REFERENCE / page).read_text("utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    table = lines[start + 2 :]
    end = next((n for n, line in enumerate(table) if not line.startswith("|")), len(table))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[:end]]


def documented(setting: Setting) -> list[str]:
    names = [f"`{name}`" for name in (setting.option, setting.variable, setting.name)]
    return [*names, f"`{setting.default}`" if setting.default else "empty", setting.description]


def test_every_setting() -> None:
    """Option, variable, key, default and meaning of each setting, in the order of Settings."""
    assert rows("settings.md", "Option") == [documented(setting) for setting in described()]


def test_every_choice() -> None:
    """A setting with a fixed set of values has them all listed."""
    page = (REFERENCE / "settings.md").read_text("utf-8")
    choices = {setting.name: setting.choices for setting in described() if setting.choices}
    assert choices
    for name, values in choices.items():
        assert f"* `{name}`: {', '.join(f'`{value}`' for value in values)}" in page
