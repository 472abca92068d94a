"""Every call of the ledger that flows make, each inside its `trace.step`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from storekit.errors import OutcomeUnknown, Unavailable
from storekit.flows.context import Context
from storekit.flows.replies import (
    Decision,
    Held,
    Json,
    Lease,
    Replayed,
    Staged,
    Visible,
    decision_from,
    lease_from,
    lost,
    staged_from,
    visible_from,
)
from storekit.model.save.arguments import commit_operations, commit_parts, stage_parts, stage_targets
from storekit.model.save.plan import Write
from storekit.ports.statements import Call, Claim, Locate, Select, Statement, Written
from storekit.ports.stores import AnswerLost, BlobRef, Ledger, RolledBack
from storekit.trace import step

ROLLED_BACK = 5
"""Attempts of a transaction that Postgres rolls back because of a deadlock.

After each attempt the other transaction of the deadlock can commit. A commit locks its rows in sorted order,
so only other SQL, or a unit of work with several flushes, can be the other side. The server reports a
deadlock after `deadlock_timeout` (1 s by default), so five attempts take about 5 s.
"""


async def stage(context: Context, write: Write) -> Staged | Replayed | Held:
    """Record a write in the ledger, before any byte is uploaded. One trip.

    The sweep finds bytes only by their staged rows, never by listing a store: bytes that were uploaded first
    would stay for ever if the process died before it wrote the row.

    Raises:
        NotFound, Conflict, IdempotencyConflict, WriteLost: see `staged_from`.
    """
    arguments = {
        **_claim(context, write),
        "p_lease": context.ports.settings.lease,
        "p_parts": stage_parts(write),
        "p_targets": stage_targets(write.plan),
    }
    return staged_from(write, await _one(context, Call("stage_v1", arguments)))


async def commit(
    context: Context, write: Write, version_ids: Sequence[str | None], after: Sequence[Select] = ()
) -> Visible | Replayed | Held:
    """Make the whole write visible, and read rows in the same transaction. One trip.

    Raises:
        OutcomeUnknown: the connection broke after the call was sent.
        IdempotencyConflict, WriteLost: see `visible_from`.
    """
    call = commit_call(context, write, version_ids)
    reply, *rows = await _visible(context, write.write_id, [call, *after], "postgres.commit")
    return visible_from(write, reply, rows)


def commit_call(context: Context, write: Write, version_ids: Sequence[str | None]) -> Call:
    """Build the call that makes a whole write visible."""
    arguments = {
        **_claim(context, write),
        "p_parts": commit_parts(write, version_ids),
        "p_ops": commit_operations(write),
        **_origin(context),
    }
    return Call("commit_v1", arguments)


@dataclass(frozen=True, slots=True)
class Move:
    """A move of one row's state machine."""

    table: str
    ref_id: str
    to: str
    reason: str | None
    expected_version: int | None


async def transition(context: Context, write_id: UUID, move: Move, after: Select) -> list[Json]:
    """Move the state of a row, and read it in the same transaction. One trip.

    Raises:
        OutcomeUnknown: the connection broke after the call was sent.
        WriteLost: the call was sent twice, and the first one has not finished.
        ConfigurationError: the clock of this machine is more than a day behind.
    """
    arguments = {
        **_who(context),
        "p_write_id": write_id,
        "p_entity": move.table,
        "p_ref_id": move.ref_id,
        "p_to": move.to,
        "p_reason": move.reason,
        "p_expected_version": move.expected_version,
        **_origin(context),
    }
    call = Call("transition_v1", arguments)
    reply, rows = await _visible(context, write_id, [call, after], "postgres.transition")
    if reply["outcome"] != "committed":
        raise lost(write_id, reply)
    found: list[Json] = rows
    return found


async def claim(context: Context, statement: Claim, after: Written) -> tuple[Json | None, list[Json]]:
    """Take records of a queue, and read them in the same transaction. One trip.

    Raises:
        OutcomeUnknown: the connection broke after the call was sent.
    """
    reply, rows = await _visible(context, statement.write_id, [statement, after], "postgres.claim")
    if reply is not None and reply["outcome"] != "committed":
        raise lost(statement.write_id, reply)
    return reply, rows


async def _visible(context: Context, write_id: UUID, statements: Sequence[Statement], name: str) -> list[Any]:
    """Send a commit in its own transaction, and again if Postgres rolled it back because of a deadlock.

    The transaction contains no SQL of the user, so repeating it is safe. It is not safe after a lost
    response: the commit may have happened, and only the ledger can tell (`abandon`).
    """
    ledger, actor = _ledger(context), context.actor
    left = ROLLED_BACK
    while True:
        left -= 1
        with step(name):
            try:
                answers = await ledger.pipeline(actor.tenant, actor.name, statements)
            except AnswerLost as error:
                raise OutcomeUnknown(write_id) from error
            except RolledBack:
                if not left:
                    raise
            else:
                context.ports.committed()
                return answers


async def renew(context: Context, write: Write) -> Lease | None:
    """Extend a write's lease while its uploads go on; None if it was taken over. One trip."""
    arguments = {**_who(context), "p_write_id": write.write_id, "p_lease": context.ports.settings.lease}
    return lease_from(await _one(context, Call("renew_v1", arguments)))


async def abandon(context: Context, write_id: UUID) -> Decision:
    """Settle a write: abort it, unless it has committed. One trip.

    It waits for the row lock of a commit that is still running in the database, so the reply is final. In
    8,000 races of an abandon and a commit, exactly one of the two took effect.
    """
    decision = decision_from(
        await _one(context, Call("abandon_v1", {**_who(context), "p_write_id": write_id}))
    )
    context.ports.unresolved.end(write_id)
    return decision


async def select(context: Context, statement: Select) -> list[Json]:
    """Read rows. One trip."""
    rows: list[Json]
    (rows,) = await read(context, [statement])
    return rows


async def locate(context: Context, statement: Locate) -> dict[str, BlobRef | None]:
    """Look up where blobs are stored. One trip."""
    found: dict[str, BlobRef | None]
    (found,) = await read(context, [statement])
    return found


async def read(context: Context, statements: Sequence[Statement]) -> list[Any]:
    """Send reads that share one transaction. One trip."""
    await context.ports.ready(documents=False, blobs=False)
    return await _repeatable(context, "select", statements)


async def _one(context: Context, call: Call) -> Json:
    reply: Json
    (reply,) = await _repeatable(context, call.function.removesuffix("_v1"), [call])
    return reply


async def _repeatable(context: Context, name: str, statements: Sequence[Statement]) -> list[Any]:
    """Send statements that commit no write, so that they can be repeated if a reply is lost.

    Raises:
        Unavailable: the connection broke.
    """
    ledger, actor = _ledger(context), context.actor
    with step(f"postgres.{name}"):
        try:
            return await ledger.pipeline(actor.tenant, actor.name, statements)
        except AnswerLost as error:
            raise Unavailable("postgres", error.why, detail=str(error)) from error


def _ledger(context: Context) -> Ledger:
    """Return Postgres, inside the unit's transaction if there is one."""
    return context.transaction or context.ports.ledger


def _who(context: Context) -> dict[str, Any]:
    return {"p_tenant": context.actor.tenant, "p_actor": context.actor.name}


def _origin(context: Context) -> dict[str, Any]:
    return {"p_on_behalf_of": context.actor.on_behalf_of, "p_context": context.actor.context}


def _claim(context: Context, write: Write) -> dict[str, Any]:
    return {
        **_who(context),
        "p_write_id": write.write_id,
        "p_key": write.key,
        "p_fingerprint": write.plan.fingerprint,
    }
