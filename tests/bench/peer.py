"""The peer: advanced-alchemy's FileObject over obstore, set up like its own examples.

It promises less: it uploads after its commit, so a crash between the two leaves a row without bytes. Its row
holds neither tenant nor event and is looked up by its primary key, and its session is used without the
repository, which asks Postgres more. So every comparison favours it.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from advanced_alchemy.base import UUIDBase
from advanced_alchemy.config import SQLAlchemySyncConfig, SyncSessionConfig
from advanced_alchemy.types import FileObject, StoredObject, storages
from advanced_alchemy.types.file_object.backends.obstore import ObstoreBackend
from pydantic import SecretStr
from sqlalchemy import create_engine
from sqlalchemy.orm import Mapped, mapped_column

from storekit import Settings
from tests.bench.records import CONTENT

_BACKEND = "bench"
_SCHEMA = """
SET ROLE storekit_owner;
DROP SCHEMA IF EXISTS bench_peer CASCADE;
CREATE SCHEMA bench_peer;
"""
_GRANTS = """
GRANT USAGE ON SCHEMA bench_peer TO storekit_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA bench_peer TO storekit_app;
"""


class Attachment(UUIDBase):
    __tablename__ = "attachment"
    __table_args__ = {"schema": "bench_peer"}

    title: Mapped[str]
    pages: Mapped[int]
    content: Mapped[FileObject] = mapped_column(StoredObject(backend=_BACKEND))


class Peer:
    """One session per job; its listener uploads after the session has committed."""

    def __init__(self, settings: Settings) -> None:
        _create_table(settings)
        storages.register_backend(_backend(settings))
        self._config = SQLAlchemySyncConfig(
            connection_string=_url(settings.postgres_url),
            session_config=SyncSessionConfig(expire_on_commit=False),
        )

    def save(self) -> UUID:
        """Save one new row with its file."""
        content = FileObject(
            backend=_BACKEND,
            filename=f"peer/{uuid4()}",
            content_type="application/pdf",
            content=CONTENT,
        )
        row = Attachment(title="Q3", pages=12, content=content)
        with self._config.get_session() as session:
            session.add(row)
            session.commit()
        return row.id

    def url(self, row_id: UUID) -> str:
        """Look up the file and sign a URL of it."""
        with self._config.get_session() as session:
            return session.get_one(Attachment, row_id).content.sign(expires_in=900)

    def close(self) -> None:
        """Close every connection."""
        self._config.get_engine().dispose()


def _create_table(settings: Settings) -> None:
    engine = create_engine(_url(settings.postgres_admin_url))
    with engine.begin() as connection:
        connection.exec_driver_sql(_SCHEMA)
        Attachment.metadata.create_all(connection)
        connection.exec_driver_sql(_GRANTS)
    engine.dispose()


def _backend(settings: Settings) -> ObstoreBackend:
    assert settings.s3_secret_key is not None
    return ObstoreBackend(
        key=_BACKEND,
        fs=f"s3://{settings.s3_bucket}/",
        aws_endpoint=settings.s3_endpoint_url,
        aws_region=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        aws_virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def _url(secret: SecretStr | None) -> str:
    assert secret is not None
    return secret.get_secret_value().replace("postgresql://", "postgresql+psycopg://", 1)
