"""An S3 server on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import fsspec
import pytest

DEV = "needs the packages for development: pip install -e '.[dev]'"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """URL of an empty bucket; the environment says how to reach it."""
    server = pytest.importorskip("moto.server", reason=DEV)
    pytest.importorskip("s3fs", reason=DEV)
    patch = pytest.MonkeyPatch()
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3").mkdir("bucket")
    yield "s3://bucket"
    patch.undo()
    fsspec.filesystem("s3").clear_instance_cache()
    running.stop()
