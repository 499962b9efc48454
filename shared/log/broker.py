"""How a Kafka cluster is reached: its addresses, TLS, and who we are there (SASL)."""

from dataclasses import dataclass, field
from typing import Any

from aiokafka.helpers import create_ssl_context

from shared.settings import Settings


@dataclass(frozen=True)
class Broker:
    """A cluster. `security`: what aiokafka's clients want to know beside the addresses."""

    bootstrap: str
    security: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "Broker":
        """As the settings name it. Raises ValueError for half of a login."""
        assert settings.kafka_bootstrap_servers
        login = settings.kafka_username, settings.kafka_password
        if (login[0] is None) != (login[1] is None):
            raise ValueError("JINGUO_KAFKA_USERNAME and JINGUO_KAFKA_PASSWORD belong together")
        tls, sasl = settings.kafka_ca_file is not None, login[0] is not None
        security: dict[str, Any] = {
            "security_protocol": ("SASL_" if sasl else "") + ("SSL" if tls else "PLAINTEXT")
        }
        if tls:
            security["ssl_context"] = create_ssl_context(cafile=str(settings.kafka_ca_file))
        if settings.kafka_username and settings.kafka_password:
            security |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": settings.kafka_username,
                "sasl_plain_password": settings.kafka_password.get_secret_value(),
            }
        return cls(settings.kafka_bootstrap_servers, security)

    @property
    def options(self) -> dict[str, Any]:
        """For any of aiokafka's clients."""
        return {"bootstrap_servers": self.bootstrap, **self.security}
