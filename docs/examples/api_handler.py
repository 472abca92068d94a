"""An API that redirects to content URLs: a request costs one look-up and one signature."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import RedirectResponse

from storekit import AsyncRepository, AsyncStore, Blob, Entity, NotFound, ValidationError, blob


class Report(Entity, table="reports"):
    title: str
    body: Annotated[Blob, blob(media_type="application/pdf")]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncStore.embedded("data", entities=[Report]) as app.state.store:
        yield


app = FastAPI(lifespan=lifespan)


def reports(request: Request, tenant: Annotated[UUID, Header()]) -> AsyncRepository[Report]:
    return request.app.state.store.scope(tenant=tenant, actor="api").repository(Report)


@app.get("/reports/{ref_id}/body")
async def body(ref_id: str, found: Annotated[AsyncRepository[Report], Depends(reports)]) -> RedirectResponse:
    try:
        return RedirectResponse(await found.url(ref_id, "body", expires_in=60))
    except (NotFound, ValidationError) as error:
        raise HTTPException(404, str(error)) from error
