"""Limits of settings and arguments, and the classification of the server's errors."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pydantic
import pytest

from storekit import Blob, ConfigurationError, Settings, StorekitError, UsageError
from storekit.drivers.postgres.errors import error_for
from storekit.errors import ConstraintViolation, Unavailable, ValidationError
from storekit.model.values.disposition import is_inert
from storekit.ports.stores import RolledBack
from storekit.testing import memory_store
from tests.support.entities import Report


@pytest.mark.parametrize(
    "wrong",
    [
        {"lease": timedelta(seconds=0.5), "renew_every": timedelta(seconds=0.1)},
        {"lease": timedelta(days=2)},
        {"lease": timedelta(seconds=20), "renew_every": timedelta(seconds=20)},
        {"renew_every": timedelta()},
        {"idempotency_wait": timedelta(seconds=-1)},
        {"timeout": timedelta(seconds=0.01)},
        {"max_url_lifetime": timedelta()},
        {"max_url_lifetime": timedelta(days=8)},
    ],
)
def test_a_limit_out_of_its_range_is_refused(wrong: dict[str, timedelta]) -> None:
    """A lease is 1 s to 1 day and longer than its renewal, a timeout at least 0.1 s, a URL 1 s to 7 days."""
    with pytest.raises(pydantic.ValidationError):
        Settings.model_validate(wrong)


def test_an_invalid_variable_is_named_without_its_value() -> None:
    """`from_env` raises ConfigurationError with the name of the variable, never with its value."""
    environ: Any = {"MONGO_URL": ["hunter2"]}
    with pytest.raises(ConfigurationError, match="MONGO_URL") as caught:
        Settings.from_env(environ)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None
    with pytest.raises(pydantic.ValidationError) as refused:
        Settings.model_validate({"mongo_url": ["hunter2"]})
    assert "hunter2" not in str(refused.value)


def test_help_does_not_print_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read at the call, and no signature shows it."""
    assert inspect.signature(Settings.from_env).parameters["environ"].default is None
    monkeypatch.setenv("S3_BUCKET", "of-the-environment")
    assert Settings.from_env().s3_bucket == "of-the-environment"


@pytest.mark.parametrize(
    ("media_type", "inert"),
    [
        ("image/png", True),
        ("video/mp4", True),
        ("audio/ogg", True),
        ("text/plain; charset=utf-8", True),
        ("application/pdf", True),
        ("image/svg+xml", False),
        ("text/html", False),
        ("text/plain, text/html", False),
        ("multipart/x-mixed-replace", False),
        ("application/x-shockwave-flash", False),
        ("text/plainer", False),
        ("", False),
    ],
)
def test_inline_media_types(media_type: str, inert: bool) -> None:
    """Inline is allowed for images, audio, video, plain text, PDF and JSON; all else is downloaded."""
    assert is_inert(media_type) is inert
    with memory_store(Report) as store:
        reports = store.scope(tenant=uuid4(), actor="test").repository(Report)
        body = Blob(b"%PDF", media_type=media_type or None)
        saved = reports.save(Report(title="t", pdf=body))
        if inert or not media_type:
            assert reports.url(saved.ref_id, "pdf", inline=True)
        else:
            with pytest.raises(UsageError, match="inline"):
                reports.url(saved.ref_id, "pdf", inline=True)


def test_download_as_must_be_a_str() -> None:
    """A download_as of another type raises UsageError before any trip."""
    wrong: Any = 7
    with memory_store(Report) as store:
        reports = store.scope(tenant=uuid4(), actor="test").repository(Report)
        with pytest.raises(UsageError, match="download_as"):
            reports.url("0" * 26, "pdf", download_as=wrong)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("54000", ValidationError),
        ("53400", ValidationError),
        ("58030", Unavailable),
        ("53300", Unavailable),
        ("57P01", Unavailable),
        ("55006", Unavailable),
        ("55P03", Unavailable),
        ("55000", StorekitError),
        ("55P04", StorekitError),
        ("55P02", ConfigurationError),
        ("57P04", ConfigurationError),
        ("58P01", ConfigurationError),
        ("40001", RolledBack),
        ("40002", ConstraintViolation),
    ],
)
def test_classification_of_server_limits_and_failures(state: str, kind: type[StorekitError]) -> None:
    """A failing disk and a lock are retryable; what fails again is not, such as too large a request."""
    error = error_for(state, "it said so")
    assert type(error) is kind
    assert error.retryable is issubclass(kind, Unavailable)


ENGLISH = {
    "role": 'role "storekit_owner" does not exist',
    "enum": 'invalid input value for enum calls_status: "lost"',
    "missing": 'insert or update on table "calls" violates foreign key constraint "calls_run_fkey"',
    "needed": 'update or delete on table "runs" violates foreign key constraint "calls_run_fkey" on ...',
}
GERMAN = {
    "role": "Rolle »storekit_owner« existiert nicht",
    "enum": "ungültiger Eingabewert für Enum calls_status: »lost«",
    "missing": "Einfügen oder Aktualisieren in Tabelle »calls« verletzt Fremdschlüssel-Constraint ...",
    "needed": "Aktualisieren oder Löschen in Tabelle »runs« verletzt Fremdschlüssel-Constraint ...",
}


@pytest.mark.parametrize("said", [ENGLISH, GERMAN], ids=["english", "german"])
def test_missing_roles_raise_configuration_error(said: dict[str, str]) -> None:
    """On a server that was never migrated, the admin gets ConfigurationError that says to migrate."""
    error = error_for("22023", said["role"], source="call_string_check_hook")
    assert isinstance(error, ConfigurationError)
    assert str(error).endswith("run storekit migrate")
    assert isinstance(error_for("22023", said["role"], source="generate_series_step_int4"), ValidationError)


@pytest.mark.parametrize("said", [ENGLISH, GERMAN], ids=["english", "german"])
def test_an_unknown_enum_label_raises_configuration_error(said: dict[str, str]) -> None:
    """An enum label that the database lacks asks for a migration; other bad input is a ValidationError."""
    assert isinstance(error_for("22P02", said["enum"], source="enum_in"), ConfigurationError)
    assert isinstance(error_for("22P02", said["enum"], source="pg_strtoint32_safe"), ValidationError)


@pytest.mark.parametrize("said", [ENGLISH, GERMAN], ids=["english", "german"])
@pytest.mark.parametrize(
    ("state", "message", "fact"),
    [
        ("23503", "missing", "a referenced record does not exist in this tenant"),
        ("23001", "needed", "other records still refer to this one"),
    ],
)
def test_a_broken_reference_has_its_constraint(
    state: str, message: str, fact: str, said: dict[str, str]
) -> None:
    """The error of a foreign key has its constraint, and says which record is missing or still referenced."""
    error = error_for(state, said[message], "", "calls_run_fkey")
    assert isinstance(error, ConstraintViolation)
    assert error.constraint == "calls_run_fkey"
    assert str(error).startswith(f"{fact} (calls_run_fkey)")
    assert (said[message] in str(error), said[message] in str(error.detail)) == (False, True)
