"""Every call of the ledger that flows make, each inside its step."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from storekit.errors import OutcomeUnknown, Unavailable
from storekit.flows.context import Context
from storekit.model.save.arguments import commit_operations, commit_parts, stage_parts, stage_targets
from storekit.model.save.plan import Plan, Write
from storekit.ports.statements import Call, Locate, Select, Statement
from storekit.ports.stores import AnswerLost, BlobRef, RolledBack
from storekit.trace import step

ROLLED_BACK = 5
"""Attempts of a transaction that Postgres ends for a deadlock; each time one of its rivals has gone on."""


@dataclass(slots=True)
class Lease:
    """How long, by the database's clock, an upload may be signed for. Renewals move it on."""

    granted_on: datetime
    sign_until: datetime

    @classmethod
    def of(cls, reply: dict[str, Any]) -> Lease:
        """Read what stage or renew granted."""
        return cls(datetime.fromisoformat(reply["now"]), datetime.fromisoformat(reply["sign_until"]))


async def stage(context: Context, plan: Plan, write: Write, key: str | None) -> dict[str, Any]:
    """Promise a write durably, before any byte leaves. One trip."""
    arguments = {
        **_claim(context, plan, write, key),
        "p_lease": context.ports.settings.lease,
        "p_parts": stage_parts(plan, write),
        "p_targets": stage_targets(plan),
    }
    return await _one(context, Call("stage_v1", arguments))


async def commit(
    context: Context,
    plan: Plan,
    write: Write,
    key: str | None,
    version_ids: Sequence[str | None],
    after: Sequence[Select],
) -> tuple[dict[str, Any], list[Any]]:
    """Make the whole write visible, and read rows back in the same transaction. One trip.

    Raises:
        OutcomeUnknown: it was sent and its answer was lost.
    """
    call = commit_call(context, plan, write, key, version_ids)
    return await _visible(context, write.write_id, call, after)


def commit_call(
    context: Context, plan: Plan, write: Write, key: str | None, version_ids: Sequence[str | None]
) -> Call:
    """Compose the call that makes a whole write visible."""
    arguments = {
        **_claim(context, plan, write, key),
        "p_parts": commit_parts(write, version_ids),
        "p_ops": commit_operations(plan, write),
    }
    return Call("commit_v1", arguments)


async def transition(
    context: Context,
    write_id: UUID,
    row: tuple[str, str],
    to: str,
    reason: str | None,
    expected_version: int | None,
    after: Sequence[Select],
) -> tuple[dict[str, Any], list[Any]]:
    """Move the state of a row (its table and ref_id), and read it back in the same transaction. One trip.

    Raises:
        OutcomeUnknown: it was sent and its answer was lost.
    """
    table, ref_id = row
    arguments = {
        **_who(context),
        "p_write_id": write_id,
        "p_entity": table,
        "p_ref_id": ref_id,
        "p_to": to,
        "p_reason": reason,
        "p_expected_version": expected_version,
    }
    return await _visible(context, write_id, Call("transition_v1", arguments), after)


async def _visible(
    context: Context, write_id: UUID, call: Call, after: Sequence[Select]
) -> tuple[dict[str, Any], list[Any]]:
    left = ROLLED_BACK
    while True:
        left -= 1
        with step(f"postgres.{call.function.removesuffix('_v1')}"):
            try:
                reply, *rows = await _pipeline(context, [call, *after])
            except AnswerLost as error:
                raise OutcomeUnknown(write_id) from error
            except RolledBack:
                # nothing of the user's ran in that transaction, so it is safe to repeat
                if not left:
                    raise
                continue
        return reply, rows


async def renew(context: Context, write: Write) -> dict[str, Any]:
    """Prolong a write's lease while its uploads go on. One trip."""
    arguments = {**_who(context), "p_write_id": write.write_id, "p_lease": context.ports.settings.lease}
    return await _one(context, Call("renew_v1", arguments))


async def abandon(context: Context, write_id: UUID) -> dict[str, Any]:
    """Decide a write: it is aborted now, or it was committed before. One trip."""
    return await _one(context, Call("abandon_v1", {**_who(context), "p_write_id": write_id}))


async def select(context: Context, statement: Select) -> list[dict[str, Any]]:
    """Read rows. One trip."""
    rows: list[dict[str, Any]]
    (rows,) = await read(context, [statement])
    return rows


async def locate(context: Context, statement: Locate) -> dict[str, BlobRef | None]:
    """Look up where blobs are. One trip."""
    found: dict[str, BlobRef | None]
    (found,) = await read(context, [statement])
    return found


async def read(context: Context, statements: Sequence[Statement]) -> list[Any]:
    """Ask several things of one moment. One trip."""
    await context.ports.ready(documents=False, blobs=False)
    with step("postgres.select"):
        return await answered(_pipeline(context, statements))


async def answered(answers: Awaitable[list[Any]]) -> list[Any]:
    """Wait for the answers to what makes nothing visible, whatever becomes of it.

    Raises:
        Unavailable: the link broke.
    """
    try:
        return await answers
    except AnswerLost as error:
        raise Unavailable("postgres", "the link broke") from error


async def _one(context: Context, call: Call) -> dict[str, Any]:
    name = f"postgres.{call.function.removesuffix('_v1')}"
    with step(name):
        (reply,) = await answered(_pipeline(context, [call]))
    answer: dict[str, Any] = reply
    return answer


def _pipeline(context: Context, statements: Sequence[Statement]) -> Awaitable[list[Any]]:
    return context.ports.ledger.pipeline(context.actor.tenant, context.actor.name, statements)


def _who(context: Context) -> dict[str, Any]:
    return {"p_tenant": context.actor.tenant, "p_actor": context.actor.name}


def _claim(context: Context, plan: Plan, write: Write, key: str | None) -> dict[str, Any]:
    return {
        **_who(context),
        "p_write_id": write.write_id,
        "p_key": key,
        "p_fingerprint": plan.fingerprint,
    }
