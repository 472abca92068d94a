"""A proxy before each of the three servers, and the settings of a store that connects through them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from pydantic import SecretStr

from storekit import Settings
from tests.faults.reader import address
from tests.support.proxy import Proxy

TIMEOUT = timedelta(seconds=1.5)
"""Short, but longer than the second that the pool waits before it connects again."""


@dataclass(frozen=True)
class Wire:
    """The connections of a store, which tests count and break."""

    settings: Settings
    postgres: Proxy
    mongo: Proxy
    s3: Proxy

    @property
    def flights(self) -> tuple[int, int, int]:
        """Return the number of round trips to Postgres, MongoDB and S3 so far."""
        return self.postgres.flights, self.mongo.flights, self.s3.flights

    def proxy(self, store: str) -> Proxy:
        """Return a proxy by the server's name in errors."""
        proxy: Proxy = getattr(self, store)
        return proxy

    def heal(self) -> None:
        """End all faults on all connections."""
        for proxy in (self.postgres, self.mongo, self.s3):
            proxy.heal()


@contextmanager
def wired(settings: Settings, **changes: object) -> Iterator[Wire]:
    """Put proxies between a store and its servers. URLs are still signed for the real endpoint."""
    assert settings.postgres_url
    assert settings.mongo_url
    assert settings.s3_endpoint_url
    urls = {
        "postgres_url": settings.postgres_url.get_secret_value(),
        # otherwise the heartbeats of pymongo's monitor would be counted as trips
        "mongo_url": f"{settings.mongo_url.get_secret_value()}&heartbeatFrequencyMS=3600000",
        "s3_endpoint_url": settings.s3_endpoint_url,
    }
    with (
        Proxy(*address(urls["postgres_url"])) as postgres,
        Proxy(*address(urls["mongo_url"])) as mongo,
        Proxy(*address(urls["s3_endpoint_url"])) as s3,
    ):
        through = {
            "postgres_url": SecretStr(_through(postgres, urls["postgres_url"])),
            "mongo_url": SecretStr(_through(mongo, urls["mongo_url"])),
            "s3_endpoint_url": _through(s3, urls["s3_endpoint_url"]),
            "s3_public_url": urls["s3_endpoint_url"],
            "timeout": TIMEOUT,
        }
        yield Wire(settings.model_copy(update=through | changes), postgres, mongo, s3)


def _through(proxy: Proxy, url: str) -> str:
    host, port = address(url)
    return url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")
