"""The page of the settings, the class and the environment variables say the same."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from storekit import ConfigurationError, Settings
from storekit.settings import VARIABLES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
SOURCE = Path(__file__).parents[2] / "storekit"
HEADS = ("setting", "variable", "type", "default", "unit", "range", "meaning")


def rows() -> list[list[str]]:
    """Read the table of the page."""
    lines = PAGE.read_text().partition("\n| ")[2].partition("\n\n")[0].splitlines()
    lines[0] = f"| {lines[0]}"
    heads, _, *found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert tuple(heads) == HEADS
    return found


def kind(annotation: Any) -> str:
    """Return the name of a setting's type, without None."""
    found = [each for each in get_args(annotation) if each is not type(None)] or [annotation]
    return str(getattr(found[0], "__name__", "datetime"))


def written(value: object) -> str:
    """Return a number or a duration as the table writes it."""
    return f"{value.total_seconds() if isinstance(value, timedelta) else value:g}"


def limits(field: Any) -> str:
    """Return the range of a setting."""
    low = {
        name: getattr(each, name)
        for each in field.metadata
        for name in ("ge", "gt", "le")
        if hasattr(each, name)
    }
    match low:
        case {"ge": least, "le": most}:
            return f"{written(least)} to {written(most)}"
        case {"ge": least}:
            return f"at least {written(least)}"
        case {"gt": least}:
            return f"above {written(least)}"
    return "true, false" if field.annotation is bool else ""


def default(value: object) -> str:
    """Return the default of a setting as its variable would give it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, str) else f"`{written(value)}`"


def test_the_table_of_settings_is_the_class() -> None:
    """Each setting has one row, with the variable, type, default, range and meaning of the class."""
    expected = [
        [f"`{name}`", f"`{VARIABLES[name]}`", f"`{kind(field.annotation)}`", default(field.default)]
        for name, field in Settings.model_fields.items()
    ]
    table = rows()
    assert [row[:4] for row in table] == expected
    for (*_, unit, limited, meaning), field in zip(table, Settings.model_fields.values(), strict=True):
        assert (limited, meaning) == (limits(field), field.description)
        assert (unit == "s") == (field.annotation is timedelta)
        assert bool(unit) == (field.annotation in {timedelta, int})


def test_each_setting_has_one_variable() -> None:
    """Each setting can be set in the environment, and no two share a variable."""
    assert VARIABLES.keys() == Settings.model_fields.keys()
    assert len({*VARIABLES.values()}) == len(VARIABLES)


def test_limits_are_read_from_the_environment() -> None:
    """A life or a limit is given in seconds, as the pool's are."""
    found = Settings.from_env(
        {
            "STOREKIT_LEASE": "30",
            "STOREKIT_RENEW_EVERY": "5",
            "STOREKIT_TIMEOUT": "2.5",
            "STOREKIT_MAX_PUTS": "4",
        }
    )
    assert (found.lease, found.timeout) == (timedelta(seconds=30), timedelta(seconds=2.5))
    assert found.max_puts == 4
    assert Settings.from_env(found.to_env()) == found


def test_a_rule_about_two_settings_names_both() -> None:
    """A lease that is not longer than its renewal is refused with both settings and variables."""
    message = (
        r"^renew_every \(STOREKIT_RENEW_EVERY\) is 20 s; it must be shorter than lease \(STOREKIT_LEASE\), "
        "which is 10 s$"
    )
    with pytest.raises(ConfigurationError, match=message):
        Settings.from_env({"STOREKIT_LEASE": "10"})


def test_messages_name_a_setting_with_its_own_variable() -> None:
    """Where a message names a setting and its variable, they belong together."""
    named = [
        pair
        for file in SOURCE.rglob("*.py")
        for pair in re.findall(
            r"(\w+) \"?\n? *f?\"?\((POSTGRES_[A-Z_]+|STOREKIT_[A-Z_]+)\)", file.read_text()
        )
    ]
    assert {VARIABLES.get(setting) == variable for setting, variable in named} == {True}
