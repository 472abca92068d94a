"""A backup needs a login above the isolation of tenants, and a restored database is complete."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.postgres import BINARIES, Database
from tests.support.write_api import Api


def _dump(database: Database, login: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [str(BINARIES / "pg_dump"), "--data-only", "--table=public.jobs", f"--file={file}"]
    return subprocess.run(
        [*command, database.url(login)], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def keeper(database: Database) -> str:
    """Create a login that may read all tables."""
    login = f"l{uuid4().hex}"
    database.ask(f"CREATE ROLE {login} LOGIN IN ROLE pg_read_all_data")
    database.ask(f"GRANT CONNECT ON DATABASE {database.name} TO {login}")
    return login


def test_a_backup_needs_bypassrls(database: Database, api: Api, keeper: str, tmp_path: Path) -> None:
    """A dump without BYPASSRLS fails instead of leaving rows out; with it the dump has all tenants."""
    api.connection.execute("SELECT set_config('storekit.tenant', %s, false)", [str(api.tenant)])
    api.connection.execute("INSERT INTO jobs (title) VALUES ('in the backup')")
    refused = _dump(database, keeper, tmp_path / "refused.sql")
    assert refused.returncode != 0
    assert "row-level security" in refused.stderr
    database.ask(f"ALTER ROLE {keeper} BYPASSRLS")
    assert _dump(database, keeper, tmp_path / "dump.sql").returncode == 0
    assert "in the backup" in (tmp_path / "dump.sql").read_text()
    database.ask(f"REVOKE ALL ON DATABASE {database.name} FROM {keeper}")
    database.ask(f"DROP ROLE {keeper}")
