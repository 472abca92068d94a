"""The compose file, checked without a container engine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "infra" / "docker-compose.yml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
SECRET = re.compile(r"PASSWORD|KEY|SECRET")


def test_compose_has_the_three_stores() -> None:
    """Compose starts Postgres, MongoDB and an S3 server, each with a pinned version."""
    assert SERVICES.keys() == {"postgres", "mongo", "s3"}
    assert all(re.search(r":\d", service["image"]) for service in SERVICES.values())


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_loopback(name: str) -> None:
    """The ports of the stores are bound to loopback only."""
    assert SERVICES[name]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


@pytest.mark.parametrize("name", SERVICES)
def test_each_store_has_a_health_check_and_a_volume(name: str) -> None:
    """Each store has a health check, and keeps its data in a named volume."""
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD-SHELL"
    assert {volume.split(":")[0] for volume in SERVICES[name]["volumes"]} & yaml.safe_load(TEXT)[
        "volumes"
    ].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_has_a_default(name: str) -> None:
    """Passwords and keys come from the environment, and compose does not start without them."""
    secrets = {key: value for key, value in SERVICES[name]["environment"].items() if SECRET.search(key)}
    assert secrets
    assert all(re.match(r"\$\{[A-Z_]+:\?", value) for value in secrets.values())


def test_the_example_has_every_variable() -> None:
    """infra/.env.example has a line without a value for each required variable."""
    wanted = set(re.findall(r"\$\{([A-Z_]+):\?", TEXT))
    lines = (ROOT / "infra" / ".env.example").read_text().splitlines()
    assert {line.removesuffix("=") for line in lines if line.endswith("=")} == wanted


def test_mongo_is_a_replica_set_of_one() -> None:
    """MongoDB runs as a replica set of one, initiated by its health check, for majority writes."""
    mongo = SERVICES["mongo"]
    assert "--replSet storekit" in mongo["entrypoint"][-1]
    assert '_id: "storekit", members: [{_id: 0, host: "127.0.0.1:27017"}]' in mongo["healthcheck"]["test"][-1]


def test_every_file_that_compose_mounts_exists() -> None:
    """Each file that compose mounts from the repository exists, and scripts are executable."""
    mounted = [v.split(":")[0] for s in SERVICES.values() for v in s["volumes"] if v.startswith("./")]
    assert mounted
    assert all((ROOT / "infra" / path).stat().st_mode & 0o111 for path in mounted)


POLICIES = [
    json.loads(block)
    for block in re.findall(
        r"^```json\n(.*?)^```$", (ROOT / "docs/howto/administer.md").read_text(), re.MULTILINE | re.DOTALL
    )
]


def _actions(policy: dict[str, Any]) -> set[str]:
    return {action.removeprefix("s3:") for each in policy["Statement"] for action in each["Action"]}


def test_the_s3_policies_allow_what_the_code_calls() -> None:
    """The policies of the page on administration are valid, and only the worker's deletes content."""
    app, worker, migrate = map(_actions, POLICIES)
    assert app >= {"PutObject", "GetObject", "GetObjectVersion", "ListBucket", "GetBucketVersioning"}
    assert not {each for each in app | migrate if "Delete" in each}
    assert worker >= {"DeleteObject", "DeleteObjectVersion", "AbortMultipartUpload"}
    control = (ROOT / "storekit/drivers/s3/control.py").read_text()
    names = {
        "head_bucket": "ListBucket",
        "get_object_lock_configuration": "GetBucketObjectLockConfiguration",
        "get_bucket_lifecycle_configuration": "GetLifecycleConfiguration",
        "put_bucket_lifecycle_configuration": "PutLifecycleConfiguration",
        "get_bucket_cors": "GetBucketCORS",
        "put_bucket_cors": "PutBucketCORS",
        "get_bucket_versioning": "GetBucketVersioning",
        "create_bucket": "CreateBucket",
    }
    called = set(re.findall(r"client\.(\w+)\(Bucket=|client\.(\w+)\(", control))
    calls = {first or second for first, second in called} - {"close"}
    assert {names[each] for each in calls} <= migrate
