"""An AI agent saves its deliverable. A retry with the same idempotency key creates no second record."""

import asyncio
import sys
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel

from storekit import AsyncStore, Blob, Entity, Expired, StorekitError, blob, document

ACME = UUID("0190a2b4-6a3e-7c1d-8f00-5b7c3f1d2e4a")  # the id of the tenant in your system


class Trace(BaseModel):
    tokens: int


class Deliverable(Entity, table="deliverables"):
    title: str
    trace: Annotated[Trace | Expired, document(collection="traces", ttl=timedelta(days=30))]
    content: Annotated[Blob, blob(media_type="text/markdown")]


async def main(directory: str) -> None:
    async with AsyncStore.embedded(directory, entities=[Deliverable]) as store:
        deliverables = store.scope(tenant=ACME, actor="agent:writer").repository(Deliverable)
        text = [f"## Section {i}\n\nText of an agent.\n\n".encode() for i in range(1000)]
        made = [Deliverable(title="Plan", trace=Trace(tokens=90), content=Blob(iter(text))) for _ in range(2)]
        try:  # the second save is a retry; it could come from another process
            saved, retried = [await deliverables.save(each, idempotency_key="task-17") for each in made]
        except StorekitError as error:
            sys.exit(f"{'try again' if error.retryable else 'give up'}: {error}")
        assert retried.ref_id == saved.ref_id
        print(saved.ref_id, saved.content.size, "bytes")


asyncio.run(main(sys.argv[1]))
