"""An S3 store on this machine, and what rows a store holds."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from testtime.data import places
from testtime.data.rows import SUFFIX, read_rows

BUCKET = "bucket"


@contextmanager
def object_store() -> Iterator[dict[str, str]]:
    """An empty store with one bucket; yields the environment in which programs find it."""
    import boto3  # not in the environment of vLLM's tests
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    known = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    boto3.client("s3", endpoint_url=url, region_name="us-east-1", **known).create_bucket(
        Bucket=BUCKET
    )
    try:
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
    finally:
        server.stop()


def kept(store: str) -> Counter:
    """How often each row was computed, by cell, stamp and key."""
    found: Counter = Counter()
    for name in places.find(store, SUFFIX):
        cell = name.rpartition("/")[0]
        lines = read_rows(f"{store}/{name}")
        found.update((cell, stamp, key) for stamp, rows in lines for key, _ in rows)
    return found
