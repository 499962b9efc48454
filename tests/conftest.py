"""The real parts that tests run on: started when first asked for, once a run, whichever worker asks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from shared.local.mongod import Mongod
from tests.kit.issuing import Issuing, issuing
from tests.kit.kafka_broker import Door, ExternalBroker, KafkaBroker, SharedBroker, a_broker, running_broker
from tests.kit.memory import memory_folder
from tests.kit.servers import Shared

LONGEST = (
    "test_log_contract.py",
    "test_processes.py",
    "test_servers.py",
    "test_real_parts.py",
    "test_secured.py",
    "test_generated_requests.py",
    "test_pictures.py",
    "test_up.py",
    "test_crowds.py",
)
"""Files that take a minute and more, in their order."""


def pytest_configure() -> None:
    """Tracebacks as in production. By default one is drawn with every local: seconds, of the loop's time."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: then no worker is left alone with one of them while the others have done."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


# ── servers of the run ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def shared_by_workers(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Callable[[], AbstractContextManager[Any]]], Any]:
    """`address = shared_by_workers(name, running)`. See `Shared`."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if hasattr(pytestconfig, "workerinput") else base

    def share(name: str, running: Callable[[], AbstractContextManager[Any]]) -> Any:
        server = Shared(folder, name, running)
        # At the very end, and not of the last test: that has a time limit, and others may need it for long.
        pytestconfig.add_cleanup(server.leave)
        return server.join()

    return share


@pytest.fixture(scope="session")
def mongodb_uri(shared_by_workers: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A MongoDB that no test may harm."""

    @contextmanager
    def running() -> Iterator[str]:
        with memory_folder(tmp_path_factory.mktemp("mongod")) as folder:
            node = Mongod.start(folder, cache_gb=0.5)
            try:
                yield node.uri
            finally:
                node.kill()

    return str(shared_by_workers("mongod", running))


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[Mongod]:
    """One that the test may harm."""
    with memory_folder(tmp_path / "mongod") as folder:
        node = Mongod.start(folder)
        yield node
        node.kill()


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuing]:
    with issuing(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="session")
def kafka(shared_by_workers: Any, tmp_path_factory: pytest.TempPathFactory) -> KafkaBroker:
    """A Kafka that no test may harm."""
    spare = tmp_path_factory.mktemp("kafka")
    found = a_broker(spare)
    if isinstance(found, ExternalBroker):
        return found

    @contextmanager
    def running() -> Iterator[Any]:
        with memory_folder(spare) as folder, running_broker(folder) as broker:
            yield broker.bootstrap, broker.doors

    bootstrap, doors = shared_by_workers("kafka", running)
    return SharedBroker(bootstrap, [Door(*door) for door in doors])


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka: KafkaBroker) -> str:
    return kafka.bootstrap


@pytest.fixture(scope="module")
def own_kafka_of_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    with memory_folder(tmp_path_factory.mktemp("own_kafka")) as folder, running_broker(folder) as broker:
        yield broker


@pytest.fixture
def own_kafka(own_kafka_of_file: KafkaBroker) -> KafkaBroker:
    """One that a test may stop, kill, wipe or pause; it brings it back."""
    own_kafka_of_file.start()  # should a test before have failed to
    return own_kafka_of_file
