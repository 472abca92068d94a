"""Set up the three stores. Blocking and idempotent.

Migrations run first, because the database knows which collections the declared documents need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from storekit.errors import ConfigurationError
from storekit.schema.lines import Line, Migration, core, read
from storekit.settings import Settings

if TYPE_CHECKING:
    from storekit.drivers.postgres.admin.runner import Status
    from storekit.schema.lint import Finding


def migrate(
    settings: Settings,
    lines: Sequence[Line] = (),
    *,
    to: tuple[str, int] | None = None,
    dry_run: bool = False,
) -> list[Migration]:
    """Apply pending migrations of the core and of `lines`, then create bucket, collections and TTL indexes.

    Stores without settings are skipped. Returns the applied migrations.

    Args:
        lines: further lines of migrations, applied in this order after those of the core.
        to: line and number of the last migration to apply.
        dry_run: change nothing, and return the migrations that would be applied.

    Raises:
        ConfigurationError: POSTGRES_ADMIN_URL is not set, a server is not set up as required, or a pending
            file contains an open decision, in which case nothing is applied.
        UsageError: `to` does not name a migration.
        Unavailable: a server cannot be reached.
    """
    from storekit.drivers.mongo.control import ensure_collections
    from storekit.drivers.postgres.admin.catalog import collections
    from storekit.drivers.postgres.admin.runner import migrate as apply
    from storekit.drivers.s3.control import ensure_bucket

    admin = admin_url(settings)
    # Checked before anything is applied, so that a deployment does not stop half-way.
    if not dry_run and (undecided := _undecided(lines)):
        for migration in apply(admin, [core(), *lines], to=to, dry_run=True):
            if finding := undecided.get(str(migration)):
                raise ConfigurationError(f"migration {migration}, {finding}")
    applied = apply(admin, [core(), *lines], to=to, dry_run=dry_run)
    if settings.s3_bucket is not None and not dry_run:
        ensure_bucket(settings)
    if settings.mongo_url is not None and not dry_run:
        ensure_collections(settings, collections(admin))
    return applied


def status(settings: Settings, lines: Sequence[Line] = ()) -> list[Status]:
    """Return when and by whom each migration of the core and of `lines` was applied. Changes nothing."""
    from storekit.drivers.postgres.admin.runner import status as ask

    return ask(admin_url(settings), [core(), *lines])


def check(lines: Sequence[Line] = ()) -> list[tuple[Migration, list[Finding]]]:
    """Find unsafe statements in the migrations of the core and of `lines`. Needs no server."""
    from storekit.schema.lint import lint

    files = read([core(), *lines])
    return list(zip(files, lint(file.text for file in files), strict=True))


def _undecided(lines: Sequence[Line]) -> dict[str, Finding]:
    """Return the first open decision of each file, by the name of the file."""
    from storekit.schema.lint import lint

    return {
        str(file): finding
        for file in read(lines)
        for finding in reversed(lint([file.text])[0])
        if finding.rule == "undecided"
    }


def admin_url(settings: Settings) -> str:
    """Return where the login that has CREATEROLE and owns the database connects to, with TLS where it must.

    Raises:
        ConfigurationError: POSTGRES_ADMIN_URL is not set, cannot be parsed, or would connect to another
            machine without TLS.
    """
    from storekit.drivers.postgres.target import conninfo

    if settings.postgres_admin_url is None:
        raise ConfigurationError(
            "POSTGRES_ADMIN_URL is not set; it must be the URL of a login that has CREATEROLE and owns the "
            'database; for the servers of storekit up, run: eval "$(storekit env)"'
        )
    return conninfo(
        settings.postgres_admin_url.get_secret_value(), "POSTGRES_ADMIN_URL", settings.postgres_tls
    )
