"""Kill a writer during a save: nothing of it is visible, and its idempotency key makes one record."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID, uuid4

from storekit import trace
from storekit.agency import ENTITIES, ActivityOutput, ActivityRun
from storekit.api.scope import Scope
from storekit.api.store import Store
from storekit.demo.inputs import Document
from storekit.demo.job import output_of, start
from storekit.demo.screen import Screen
from storekit.demo.servers import Servers, expect
from storekit.settings import Settings

_ACTOR, _KEY = "agent:demo", "output-1"
_TABLE = ActivityOutput.storekit_table.name


def short_lease(settings: Settings) -> Settings:
    """Return settings with a short lease, so that the demo need not wait long for a dead writer."""
    return settings.model_copy(update={"lease": timedelta(seconds=2), "renew_every": timedelta(seconds=0.5)})


def kill_a_writer(directory: Path, settings: Settings, document: Document, screen: Screen) -> None:
    """Kill a process during a save, check the stores, and save again with its key.

    Raises:
        Corrupt: a store does not contain what it must.
    """
    tenant = uuid4()
    with Store.open(short_lease(settings)) as store, Servers(settings, tenant) as servers:
        scope = store.scope(tenant=tenant, actor=_ACTOR)
        run = scope.repository(ActivityRun).save(start())
        _run_writer(directory, tenant, run, document, screen)
        _nothing_is_visible(servers, document, screen)
        _one_record(scope, servers, run, document, screen)


def _run_writer(directory: Path, tenant: UUID, run: ActivityRun, document: Document, screen: Screen) -> None:
    writer = get_context("spawn").Process(
        target=_write_and_die, args=(directory, tenant, run.ref_id, document)
    )
    writer.start()
    writer.join()
    expect("end of the writer", -signal.SIGKILL, writer.exitcode)
    screen.say(f"process {writer.pid}, about to commit an output, was killed by SIGKILL")


def _write_and_die(directory: Path, tenant: UUID, run_ref_id: str, document: Document) -> None:
    """Save an output, and kill the process after the uploads and before the commit."""

    def die(step: str, phase: trace.Phase) -> None:
        if step == "postgres.commit" and phase == "started":
            os.kill(os.getpid(), signal.SIGKILL)

    with (
        Store.embedded(directory, entities=ENTITIES) as host,
        Store.open(short_lease(host.settings)) as store,
    ):
        scope = store.scope(tenant=tenant, actor=_ACTOR)
        run = scope.repository(ActivityRun).get(run_ref_id)
        with trace.listen(die):
            scope.repository(ActivityOutput).save(output_of(run, document), idempotency_key=_KEY)


def _nothing_is_visible(servers: Servers, document: Document, screen: Screen) -> None:
    parts = {part["field"]: part for part in servers.parts()}
    expect("rows of the dead writer", 0, servers.count(_TABLE))
    expect("events of the dead writer", 0, sum(event["entity"] == _TABLE for event in servers.events()))
    expect("its parts", {"metadata": "pending", "content": "pending"}, _states(servers))
    size, digest = servers.content(parts["content"])
    expect("its object", document.sha256(), digest)
    expect("its document", document.name, servers.document(parts["metadata"])["body"]["title"])
    screen.table([
        ("Postgres", f"no row in {_TABLE}, no event; 2 parts pending in the ledger"),
        ("S3", f"{size} bytes uploaded, without a reference"),
        ("MongoDB", "1 document inserted, without a reference"),
    ])  # fmt: skip
    screen.proven("no part of the save is visible")


def _one_record(scope: Scope, servers: Servers, run: ActivityRun, document: Document, screen: Screen) -> None:
    outputs, begun = scope.repository(ActivityOutput), time.monotonic()
    first = outputs.save(output_of(run, document), idempotency_key=_KEY)
    waited = time.monotonic() - begun
    again = outputs.save(output_of(run, document), idempotency_key=_KEY)
    expect("record of the same key", first.ref_id, again.ref_id)
    expect("rows of the key", 1, servers.count(_TABLE))
    expect("content", document.sha256(), again.content.sha256)
    states = sorted(part["state"] for part in servers.parts())
    expect("parts of both writers", ["aborted", "aborted", "committed", "committed"], states)
    screen.say(
        f"the same key, saved again, took {waited:.1f} s: it waited for the end of the dead writer's lease"
    )
    screen.proven(f"two more saves with the same key made one record: {first.ref_id}")


def _states(servers: Servers) -> dict[str, str]:
    return {part["field"]: part["state"] for part in servers.parts()}
