"""The steps of the demo, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from storekit.agency import ENTITIES
from storekit.api.scope import Scope
from storekit.api.store import Store
from storekit.demo.check import fetch, read_back
from storekit.demo.crash import kill_a_writer
from storekit.demo.inputs import Document, documents
from storekit.demo.job import Saved, save
from storekit.demo.screen import Screen
from storekit.demo.servers import Servers, expect
from storekit.embedded import down, status


def run(files: Path | None, directory: Path | None, screen: Screen) -> None:
    """Save records of real input, check them on the servers, kill a writer, and check again.

    Args:
        files: every *.md file in it becomes an output and a post, every *.pdf file a contract; by default
            storekit's README, and a contract.
        directory: the data directory of the servers, which is kept; by default a temporary one.

    Raises:
        Corrupt: a store does not contain what it must.
    """
    found = documents(files)
    with _servers_of(directory) as home:
        store = Store.embedded(home, entities=ENTITIES)
        with screen.chapter("Start PostgreSQL, S3 and MongoDB, and migrate them"):
            store.__enter__()
        with store:
            _steps(store, home, found, screen)
    screen.end("every promise was kept")


def _steps(store: Store, home: Path, found: Sequence[Document], screen: Screen) -> None:
    tenant = uuid4()
    scope = store.scope(tenant=tenant, actor="agent:demo")
    with Servers(store.settings, tenant) as servers:
        with screen.chapter("Save a run, its outputs, a tool call, blog posts and contracts"):
            saved = save(scope, found)
            _count(saved, screen)
        with screen.chapter("Read every field back with psycopg, pymongo and boto3"):
            _read_all_back(servers, saved, screen)
        with screen.chapter("Fetch every content URL with urllib"):
            _fetch_all(scope, saved, screen)
        with screen.chapter("Read the events"):
            _read_events(servers, saved, screen)
    with screen.chapter("Kill a writer during a save"):
        kill_a_writer(home, store.settings, found[0], screen)


@contextmanager
def _servers_of(directory: Path | None) -> Iterator[Path]:
    """Yield a directory for the servers, and stop them afterwards unless they ran before."""
    with TemporaryDirectory(prefix="storekit-demo-") if directory is None else nullcontext(directory) as name:
        home = Path(name)
        ran = any(server.running for server in status(home))
        try:
            yield home
        finally:
            if not ran:
                down(home)


def _count(saved: Saved, screen: Screen) -> None:
    for table, number in Counter(record.storekit_table.name for record in saved.records).items():
        screen.say(f"{number:4} {table}")


def _read_all_back(servers: Servers, saved: Saved, screen: Screen) -> None:
    """Check all records, and print the first of each table."""
    inputs = {ref_id: document for _, ref_id, _, document in saved.contents()}
    shown, fields = set[str](), 0
    for record in saved.records:
        facts = list(read_back(servers, record, inputs.get(record.ref_id)))
        fields += len(record.storekit_table.types) + len(record.storekit_table.parts)
        table = record.storekit_table.name
        if table not in shown:
            shown.add(table)
            screen.say(f"{table} {record.ref_id}")
            screen.table(facts)
    screen.proven(f"{fields} fields of {len(saved.records)} records are in their store, as they were saved")


def _fetch_all(scope: Scope, saved: Saved, screen: Screen) -> None:
    fetched = total = 0
    for entity, ref_id, field, document in saved.contents():
        size = fetch(scope.repository(entity).url(ref_id, field), document)
        screen.say(f"{size:9} bytes  {document.name}")
        fetched, total = fetched + 1, total + size
    screen.proven(f"SHA-256 of {fetched} contents, {total} bytes, equals that of the input")


def _read_events(servers: Servers, saved: Saved, screen: Screen) -> None:
    """Print the events of the run, and check that each change of each record has exactly one event."""
    events = servers.events()
    screen.table([
        (f"{event['occurred_on']:%H:%M:%S.%f}", event["type"], f"version {event['version']}", event["actor"])
        for event in events
        if event["ref_id"] in (saved.run.ref_id, saved.call.ref_id)
    ])  # fmt: skip
    changes = [(record.ref_id, n) for record in saved.records for n in range(1, (record.version or 0) + 1)]
    expect("events", sorted(changes), sorted((event["ref_id"], event["version"]) for event in events))
    screen.proven(f"{len(changes)} changes, {len(events)} events")
