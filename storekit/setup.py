"""Set the three stores up: migrations first, then what they say the others need. Blocking, idempotent."""

from __future__ import annotations

from collections.abc import Sequence

from storekit.errors import ConfigurationError
from storekit.lines import Line, core
from storekit.settings import Settings


def migrate(settings: Settings, lines: Sequence[Line] = ()) -> None:
    """Apply pending migrations of the core and of `lines`, then create bucket, collections and TTL indexes.

    Stores that are not set are left out.

    Raises:
        ConfigurationError: POSTGRES_ADMIN_URL is not set, or a server is not as it must be.
        Unavailable: a server could not be reached.
    """
    from storekit.drivers.mongo.control import ensure_collections
    from storekit.drivers.postgres.catalog import collections
    from storekit.drivers.postgres.migrate import migrate as apply
    from storekit.drivers.s3.control import ensure_bucket

    if settings.postgres_admin_url is None:
        raise ConfigurationError("POSTGRES_ADMIN_URL is not set: a login that may become storekit_owner")
    admin = settings.postgres_admin_url.get_secret_value()
    apply(admin, [core(), *lines])
    if settings.s3_bucket is not None:
        ensure_bucket(settings)
    if settings.mongo_url is not None:
        ensure_collections(settings, collections(admin))
