import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from xlnu.cluster.roles import everything
from xlnu.progress import Display
from xlnu.tiny.build import Built, TinyConfig, build

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before Ray is imported anywhere: nothing of ours calls home
# and nobody else on this machine can tell it what to do, nor does it write a token into anybody's home
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}  # before Ray's workers inherit them
TOP = Path(__file__).parents[1]


SERVERS, CLUSTERS = "servers", "clusters"


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Side by side, a file's tests stay together, for they share what is dear to make. So do all servers, for the
    port of their metrics is one; and all clusters of many machines: two at once are more processes than two cores
    can start in the half minute that Ray gives them. (Under pytest 9.2, marks of xdist's own groups count for
    nothing.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _kind(file) or file


def _kind(file: str) -> str:
    if "serv" in file:
        return SERVERS
    return CLUSTERS if "chaos/" in file or file.endswith("test_machines.py") else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Servers come last, when the clusters are gone."""
    items.sort(key=lambda item: _kind(item.nodeid.partition("::")[0]) == SERVERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their argument: gzip's hold the second at which they were made, and two processes that
    collected a second apart had tests of different names, of which neither ran any.
    """
    return argname if isinstance(val, bytes) else None


# moto, and one thing it lacks: keys that are limited to a prefix may not look at the bucket as a whole.
SERVE_S3 = """
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

moto = DomainDispatcherApplication(create_backend_app)

def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "HEAD" and environ["PATH_INFO"].strip("/") == "prefix-only":
        start_response("403 Forbidden", [("Content-Length", "0")])
        return [b""]
    return moto(environ, start_response)

run_simple("127.0.0.1", 0, app, threaded=True)
"""


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A real server that speaks S3, in a process of its own; its address."""
    server = subprocess.Popen([sys.executable, "-c", SERVE_S3], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    address = next(line.split()[-1] for line in server.stderr if "Running on http://" in line)
    # its log would fill the pipe and stop it
    drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
    yield address.removeprefix("http://")
    server.kill()
    server.wait()
    drain.wait()


@pytest.fixture
def s3(s3_server: str, request: pytest.FixtureRequest) -> str:
    """The URI of an empty prefix in a bucket of its own."""
    from pyarrow import fs

    bucket = f"b{abs(hash(request.node.nodeid)):x}"
    where = f"endpoint_override={s3_server}&scheme=http&region=us-east-1"
    made, _ = fs.FileSystem.from_uri(f"s3://{bucket}?{where}&allow_bucket_creation=true")
    made.create_dir(bucket)
    return f"s3://{bucket}/some/prefix?{where}"


@pytest.fixture(params=["folder", "s3"])
def store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind of store: what holds on a folder must hold on object storage."""
    if request.param == "folder":
        return str(tmp_path / "store")
    return str(request.getfixturevalue("s3"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A tiny world of seconds: all formats, and hardly any sense. XLNU_TINY_CACHE spares them, as below; and where
    the stack is tested with packages that cannot make a world, it names one that was made before.
    """
    cache = os.environ.get("XLNU_TINY_CACHE") or str(tmp_path_factory.mktemp("tiny"))
    return build(TinyConfig(size="xs", cache=cache), Display())


@pytest.fixture(scope="session")
def able(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A tiny world whose models know what they do, made by its job: 90 s on two idle cores.

    Who runs one test again and again names a cache to keep it in: XLNU_TINY_CACHE.
    """
    folder = tmp_path_factory.mktemp("able")
    # side by side, one makes it and the others wait
    whole = folder.parent.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder
    cache = os.environ.get("XLNU_TINY_CACHE", f"{whole}/able-cache")
    command = [sys.executable, str(TOP / "jobs" / "tiny.py"), f"tiny.cache={cache}", f"run.dir={folder}/run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return build(TinyConfig(cache=cache), Display())


@pytest.fixture(scope="session")
def ray_here() -> Iterator[Any]:
    """One Ray for all tests, for starting it takes seconds. Its workers can import the tests' own functions."""
    import ray

    environment = {"env_vars": {"PYTHONPATH": str(TOP)}}
    ray.init(
        num_cpus=2, resources=everything(), include_dashboard=False, log_to_driver=False, runtime_env=environment
    )
    yield ray
    ray.shutdown()
