"""Import times in new processes, minus that of the bare interpreter, in CPU time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

from storekit import Settings
from tests.bench.measure import Cost, Costs, Variant, compare

_URL_PATH = "import storekit, storekit.drivers.postgres.ledger, storekit.drivers.s3.blobs"
_CODE = {
    "bare": "pass",
    "pydantic": "from pydantic import BaseModel",
    "storekit": "import storekit",
    "storekit again": "import storekit",
    "url path": _URL_PATH,
}
_PROBE = """
import statistics
import sys
import time
from tests.bench.records import ACTOR, TENANT, Report
from storekit import NotFound, Settings, Store
from storekit.ids import new_ref_id
from uuid import UUID
with Store.open(Settings.from_env()) as store:
    try:
        store.scope(tenant=UUID(sys.argv[1]), actor=ACTOR).repository(Report).url(sys.argv[2], "content")
    finally:
        print(*sorted({"boto3", "botocore", "pymongo", "bson"} & set(sys.modules)))
"""


def import_costs(rounds: int) -> Costs:
    """Measure each import in processes of its own."""
    return compare({name: _variant(code) for name, code in _CODE.items()}, rounds)


def net(costs: Costs, name: str) -> Cost:
    """Return milliseconds beyond a bare interpreter, as medians."""
    medians = {
        each: Cost(*(statistics.median(column) for column in zip(*costs[each], strict=True)))
        for each in (name, "bare")
    }
    return Cost(*((a - b) * 1000 for a, b in zip(medians[name], medians["bare"], strict=True)))


def heavy_modules(settings: Settings, tenant: object, ref_id: str) -> str:
    """Sign a URL in a new process, and return the clients that it imported without need."""
    ran = subprocess.run(
        [sys.executable, "-c", _PROBE, str(tenant), ref_id],
        env={**os.environ, **environment(settings)},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


def environment(settings: Settings) -> Mapping[str, str]:
    """Return the environment of a new process with Postgres and S3."""
    secrets = {"POSTGRES_URL": settings.postgres_url, "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key}
    return {
        **{name: secret.get_secret_value() for name, secret in secrets.items() if secret},
        "S3_ENDPOINT_URL": settings.s3_endpoint_url or "",
        "S3_BUCKET": settings.s3_bucket or "",
        "AWS_REGION": settings.s3_region,
        "AWS_ACCESS_KEY_ID": settings.s3_access_key or "",
    }


def _variant(code: str) -> Variant:
    def variant() -> Cost:
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", code])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{code!r} ended with {process.returncode}")
        return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)

    return variant
