"""What the parts of a platform in containers know each other by: certificates and passwords, made once.

Every part has a folder with what is its own and nothing else; the authority's key stays with the maker.
"""

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from jinguo.kafka_rights import OPERATOR, SUBSCRIBER, rights
from jinguo.services import SERVICES

SERVERS = "mongo", "kafka", "localhost", "127.0.0.1"
"""The names that the certificate of the servers is good for."""
ADMINISTRATOR = "administrator"
"""Who makes the MongoDB users."""
OWN_USERS = [OPERATOR, *(service.name for service in SERVICES)]
PREFIX = "jinguo"
"""Of databases and topics, as the settings have it by default."""
MONGO, KAFKA, OURS = 999, 1000, 10001
"""The users that the images run as."""
MOUNTED = "/run/secrets"
"""Where each part finds its folder."""


def pem_of(certificate: trustme.LeafCert) -> bytes:
    """Private key (PKCS #8, which Kafka asks for) and certificates, in one file."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem + b"".join(part.bytes() for part in certificate.cert_chain_pems)


@dataclass(frozen=True)
class Kept:
    """What was made once. `passwords`: user -> password; a user of Kafka has another one than in MongoDB."""

    authority: str
    server: str
    passwords: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> "Kept":
        """What the folder has; made where it has nothing yet, as for a service that is new."""
        file = folder / "kept.json"
        kept = cls(**json.loads(file.read_text())) if file.exists() else cls._certified()
        users = {*OWN_USERS, ADMINISTRATOR, "members", *map(at_kafka, [*OWN_USERS, SUBSCRIBER])}
        if missing := users - kept.passwords.keys():
            kept.passwords.update({user: secrets.token_hex(24) for user in missing})
            _put(file, json.dumps(asdict(kept)), os.getuid())
        return kept

    @classmethod
    def _certified(cls) -> "Kept":
        ca = trustme.CA(organization_name="巾帼 Jinguo")
        return cls(ca.cert_pem.bytes().decode(), pem_of(ca.issue_cert(*SERVERS)).decode(), {})


def hand_out(made: Path, parts: Path) -> None:
    """Put into each part's folder what is its own; again changes nothing.

    `made`: what is kept by the maker. `parts`: a folder for each part. As root, who may give files away.
    """
    kept = Kept.of(made)
    words = kept.passwords
    mongo = {"server.pem": kept.server, "members.key": words["members"], "password": words[ADMINISTRATOR]}
    _fill(parts / "mongo", MONGO, kept, mongo)
    kafka = {
        "server.pem": kept.server,
        "users": _lines(f"{user} {words[at_kafka(user)]}" for user in [*OWN_USERS, SUBSCRIBER]),
        "rights": _lines(" ".join(right) for right in rights(PREFIX)),
        "city.properties": _lines(_subscriber(kept.authority, words[at_kafka(SUBSCRIBER)])),
    }
    _fill(parts / "kafka", KAFKA, kept, kafka)
    for user in OWN_USERS:
        _fill(parts / user, OURS, kept, _at_mongodb(user, words[user]) | _login(user, words[at_kafka(user)]))
    told = {"users.json": json.dumps({user: words[user] for user in OWN_USERS})}
    _fill(parts / ADMINISTRATOR, OURS, kept, told | _at_mongodb(ADMINISTRATOR, words[ADMINISTRATOR]))


def at_kafka(user: str) -> str:
    """The name that a user's password for Kafka is kept under."""
    return f"{user}@kafka"


def _at_mongodb(user: str, password: str) -> dict[str, str]:
    """Files named as settings: see `shared.settings.SECRETS`."""
    ca = quote(f"{MOUNTED}/ca.pem", safe="")
    options = f"replicaSet=rs0&authSource=admin&tls=true&tlsCAFile={ca}"
    return {"jinguo_mongodb_uri": f"mongodb://{user}:{password}@mongo:27017/?{options}"}


def _login(user: str, password: str) -> dict[str, str]:
    """The same for Kafka."""
    return {
        "jinguo_kafka_username": user,
        "jinguo_kafka_password": password,
        "jinguo_kafka_ca_file": f"{MOUNTED}/ca.pem",
    }


def _subscriber(authority: str, password: str) -> list[str]:
    """What Kafka's own clients want to be told."""
    login = f'username="{SUBSCRIBER}" password="{password}"'
    return [
        "security.protocol=SASL_SSL",
        "sasl.mechanism=SCRAM-SHA-512",
        f"sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required {login};",
        "ssl.truststore.type=PEM",
        "ssl.truststore.certificates=" + authority.strip().replace("\n", "\\n"),
    ]


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _fill(folder: Path, owner: int, kept: Kept, files: dict[str, str]) -> None:
    for name, text in (files | {"ca.pem": kept.authority}).items():
        _put(folder / name, text, owner)


def _put(file: Path, text: str, owner: int) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
        os.chown(descriptor, owner, owner)
    fresh.replace(file)
