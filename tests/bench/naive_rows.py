"""Records with columns only, written by hand: psycopg, one transaction per job.

It promises less: its tables have neither storekit's triggers nor its policies and keep no events, and a job
whose reply is lost may or may not have been done. So every comparison favours it.
"""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID, uuid4

import psycopg
from psycopg_pool import ConnectionPool

from storekit import Settings
from storekit.ids import new_ref_id
from tests.bench.records import ACTOR, TENANT

_BASE = """
    tenant_id uuid NOT NULL, id uuid NOT NULL, ref_id text NOT NULL, version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT now(), created_by text NOT NULL,
    PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, ref_id)"""
_TABLES = f"""
SET ROLE storekit_owner;
CREATE TABLE bench_naive.plain ({_BASE}, title text NOT NULL, pages bigint NOT NULL);
CREATE TABLE bench_naive.account (
    {_BASE}, number text NOT NULL, name text NOT NULL, balance bigint NOT NULL, UNIQUE (tenant_id, number)
);
CREATE TABLE bench_naive.posting (
    {_BASE}, account_id uuid NOT NULL, text text NOT NULL, amount bigint NOT NULL,
    FOREIGN KEY (tenant_id, account_id) REFERENCES bench_naive.account (tenant_id, id)
);
CREATE INDEX ON bench_naive.posting (account_id, tenant_id, ref_id);
CREATE TABLE bench_naive.note (account_id uuid NOT NULL, text text NOT NULL);
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA bench_naive TO storekit_app;
"""
_INSERT = "INSERT INTO bench_naive.{} (tenant_id, id, ref_id, created_by, {}) VALUES (%s, %s, %s, %s, {})"
_PLAIN = _INSERT.format("plain", "title, pages", "%s, %s")
_ACCOUNT = _INSERT.format("account", "number, name, balance", "%s, %s, %s")
_POSTING = _INSERT.format("posting", "account_id, text, amount", "%s, %s, %s")
_UPSERT = f"""{_ACCOUNT} ON CONFLICT (tenant_id, number) DO UPDATE
    SET name = excluded.name, balance = excluded.balance, version = account.version + 1"""
_IGNORE = f"{_ACCOUNT} ON CONFLICT (tenant_id, number) DO NOTHING"
NOTE = "INSERT INTO bench_naive.note VALUES (%s, %s)"
"""The user's SQL in a unit of work, on both sides."""

Account: TypeAlias = tuple[str, str, int]
"""Number, name and balance of an account."""


def create_row_tables(settings: Settings) -> None:
    """Create the tables in the schema of `naive.create_tables`."""
    assert settings.postgres_admin_url is not None
    with psycopg.connect(settings.postgres_admin_url.get_secret_value()) as connection:
        connection.execute(_TABLES)


class NaiveRows:
    """The jobs on a pool with its default transactions."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def save_many(self, count: int) -> None:
        """Insert one row after the other."""
        with self._pool.connection() as connection:
            for _ in range(count):
                connection.execute(_PLAIN, (*_base(), "Q3", 12))

    def upsert(self, accounts: list[Account]) -> None:
        """Insert or update by number, in psycopg's pipeline."""
        self._many(_UPSERT, accounts)

    def insert_ignore(self, accounts: list[Account]) -> None:
        """Insert new rows by number, in psycopg's pipeline."""
        self._many(_IGNORE, accounts)

    def _many(self, text: str, accounts: list[Account]) -> None:
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(text, [(*_base(), *account) for account in accounts])

    def unit(self, account: Account, postings: int, *, note: bool) -> None:
        """Insert an account, its postings and an unrelated row, and optionally a note."""
        with self._pool.connection() as connection:
            base = _base()
            connection.execute(_ACCOUNT, (*base, *account))
            for number in range(postings):
                connection.execute(_POSTING, (*_base(), base[1], "fee", number))
            connection.execute(_PLAIN, (*_base(), "Q3", 12))
            if note:
                connection.execute(NOTE, (base[1], "opened"))


def _base() -> tuple[UUID, UUID, str, str]:
    return TENANT, uuid4(), new_ref_id(), ACTOR
