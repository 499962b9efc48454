"""MongoDB and Kafka as production runs them: TLS, and somebody of one's own for each service."""

import os
import secrets
import subprocess
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import trustme
from pymongo import MongoClient

from jinguo.secrets import pem_of
from shared.local.child import end, free_port, spawn
from shared.local.mongod import find_mongod
from tests.kit.kafka_broker import START_TIMEOUT, STARTED, _java, _run

ADMIN = "admin", "admin-password"


class Authority:
    """Signs the certificates of this machine's servers."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.file)
        self.server = folder / "server.pem"
        self.server.write_bytes(pem_of(self._ca.issue_cert("127.0.0.1", "localhost")))


class SecuredMongod:
    """A replica set of one that asks for TLS and a password."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self._folder, self._authority = folder / "secured-mongodb", authority
        self.port = free_port()

    def start(self) -> None:
        self._folder.mkdir()
        key = self._folder / "members.key"
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
        self._process = spawn(
            [
                *(
                    find_mongod(),
                    "--dbpath",
                    self._folder,
                    "--port",
                    str(self.port),
                    "--bind_ip",
                    "127.0.0.1",
                ),
                *("--replSet", "rs0", "--keyFile", key, "--wiredTigerCacheSizeGB", "0.25"),
                *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", self._authority.server),
                *("--tlsCAFile", self._authority.file, "--tlsAllowConnectionsWithoutCertificates"),
            ],
            output=self._folder / "mongod.log",
        )
        with self._alone() as client:
            members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
            deadline = time.monotonic() + 30
            while not client.admin.command("hello").get("isWritablePrimary"):
                assert time.monotonic() < deadline, "no primary"
                time.sleep(0.05)
            user, password = ADMIN
            client.admin.command("createUser", user, pwd=password, roles=["root"])

    def _alone(self) -> MongoClient[dict[str, Any]]:
        """The first connection, which may make the first user."""
        return MongoClient(self.uri(None), serverSelectionTimeoutMS=20_000)

    def uri(self, login: tuple[str, str] | None) -> str:
        who = f"{login[0]}:{login[1]}@" if login else ""
        options = f"directConnection=true&tls=true&tlsCAFile={self._authority.file}"
        return f"mongodb://{who}127.0.0.1:{self.port}/?{options}" + ("&authSource=admin" if login else "")

    def stop(self) -> None:
        end(self._process, 20)


class SecuredBroker:
    """A broker that asks for TLS and SCRAM; `users` are made with it, and may do what `rights` say."""

    def __init__(
        self, folder: Path, authority: Authority, users: dict[str, str], rights: list[list[str]]
    ) -> None:
        self._folder, self._users, self._rights = folder / "secured-kafka", users, rights
        self._process: subprocess.Popen[bytes] | None = None
        port, inner, controller = free_port(), free_port(), free_port()
        self.bootstrap, self._inside = f"127.0.0.1:{port}", f"127.0.0.1:{inner}"
        self._settings: dict[str, Any] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "listeners": f"CLIENTS://:{port},INNER://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"CLIENTS://127.0.0.1:{port},INNER://127.0.0.1:{inner}",
            "inter.broker.listener.name": "INNER",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.clients.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": authority.server,
            "offsets.topic.replication.factor": 1,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
            "log.dirs": self._folder / "data",
        }

    def start(self) -> None:
        self._folder.mkdir()
        config, output = self._folder / "server.properties", self._folder / "kafka.log"
        config.write_text("".join(f"{key}={value}\n" for key, value in self._settings.items()))
        cluster = urlsafe_b64encode(b"jinguo" + os.urandom(10)).decode().rstrip("=")
        users = [f"SCRAM-SHA-512=[name={name},password={word}]" for name, word in self._users.items()]
        adding = [part for user in users for part in ("--add-scram", user)]
        _run(*_java("kafka.tools.StorageTool"), "format", "-t", cluster, "-c", config, *adding)
        self._process = spawn([*_java("kafka.Kafka"), config], output=output)
        deadline = time.monotonic() + START_TIMEOUT
        while STARTED.encode() not in output.read_bytes():
            assert self._process.poll() is None and time.monotonic() < deadline, output.read_text()[-2000:]
            time.sleep(0.05)
        give = (*_java("org.apache.kafka.tools.AclCommand"), "--bootstrap-server", self._inside, "--add")
        with ThreadPoolExecutor(2) as two:  # each is a JVM
            list(two.map(lambda right: _run(*give, *right), self._rights))

    def stop(self) -> None:
        if self._process:
            end(self._process, 20)
