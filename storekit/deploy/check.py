"""Check the stores that have settings, at once and in bounded time. Never raises for a store. Blocking."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Thread
from time import monotonic
from typing import Literal

from storekit.errors import StorekitError
from storekit.model.values.check_report import CheckReport, Problem, StoreCheck
from storekit.settings import Settings
from storekit.trace import step

_Name = Literal["postgres", "mongo", "s3"]
_Found = tuple[str | None, list[tuple[str, str]]]
_VARIABLES: dict[_Name, str] = {"postgres": "POSTGRES_URL", "mongo": "MONGO_URL", "s3": "S3_ENDPOINT_URL"}


def check(settings: Settings) -> CheckReport:
    """Return the state of Postgres, and of MongoDB and S3 if they have settings: one trip for each.

    It takes a little more than `timeout`, however many stores do not respond.
    """
    probes = {"postgres": _postgres}
    probes |= {"mongo": _mongo} if settings.mongo_url else {}
    probes |= {"s3": _s3} if settings.s3_bucket else {}
    found: dict[str, StoreCheck] = {}

    def run(name: _Name, probe: Callable[[Settings], _Found]) -> None:
        found[name] = _checked(name, probe, settings)

    # Threads that end with the process: a server that accepts a connection and never responds must not
    # hold the caller up, and no client library bounds all phases of a connection.
    threads = [
        Thread(target=copy_context().run, args=(run, name, probe), daemon=True)
        for name, probe in probes.items()
    ]
    ends = monotonic() + settings.timeout.total_seconds() + 1
    for each in threads:
        each.start()
    for each in threads:
        each.join(max(0.0, ends - monotonic()))
    seconds = settings.timeout.total_seconds()
    late = Problem(f"no response within {seconds:g} s", "check that the server runs, and check its address")
    names: list[_Name] = [name for name in _VARIABLES if name in probes]
    return CheckReport(tuple(found.get(name, StoreCheck(name, None, (late,))) for name in names))


def _checked(name: _Name, probe: Callable[[Settings], _Found], settings: Settings) -> StoreCheck:
    try:
        with step(f"{name}.check"):
            version, problems = probe(settings)
    except StorekitError as error:
        return StoreCheck(name, None, (_problem(name, error),))
    except Exception as error:  # the report must still contain the other stores
        what = f"the check failed ({type(error).__name__})"  # its text may contain a password
        return StoreCheck(name, None, (Problem(what, f"check {_VARIABLES[name]}"),))
    return StoreCheck(name, version, tuple(Problem(*each) for each in problems))


def _problem(name: _Name, error: StorekitError) -> Problem:
    """Split an error into what is wrong and the remedy, which follows the first semicolon."""
    text = str(error)
    if error.retryable:
        what, _, _ = text.removeprefix(f"{name} is unavailable: ").partition("; ")
        return Problem(what, f"check that the server runs, and check {_VARIABLES[name]}")
    what, _, remedy = text.partition("; ")
    return Problem(what, remedy or f"check {_VARIABLES[name]}")


def _postgres(settings: Settings) -> _Found:
    from storekit.drivers.postgres.probe import check as probe

    return probe(settings)


def _mongo(settings: Settings) -> _Found:
    from storekit.drivers.mongo.probe import check as probe

    return probe(settings)


def _s3(settings: Settings) -> _Found:
    from storekit.drivers.s3.probe import check as probe

    return probe(settings)
