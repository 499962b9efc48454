"""Settings: from the environment (prefix `JINGUO_`), files under /run/secrets, or these defaults."""

from pathlib import Path

from pydantic import AliasChoices, BaseModel, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRETS = "/run/secrets" if Path("/run/secrets").is_dir() else None
"""Where a container finds its secrets: a file `jinguo_kafka_password` is that setting."""


class NetworkAllowance(BaseModel):
    """What all who come from one network may do in a minute: a hall, a school, a carrier."""

    reading: int
    writing: int
    costly: int


class Settings(BaseSettings):
    """Everything an operator may set. Durations in seconds."""

    model_config = SettingsConfigDict(env_prefix="JINGUO_", extra="ignore", secrets_dir=SECRETS)

    mongodb_uri: str | None = Field(
        None, repr=False, validation_alias=AliasChoices("JINGUO_MONGODB_URI", "MONGODB_URI")
    )
    """With user and password where MongoDB asks for them. None: `jinguo up` starts a mongod of its own."""
    database_prefix: str = "jinguo"
    """Databases are `<prefix>_<service>`, `<prefix>_log` (archives) and `<prefix>_vault` (keys)."""
    kafka_bootstrap_servers: str | None = Field(
        None, validation_alias=AliasChoices("JINGUO_KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS")
    )
    """None: the embedded log, which is MongoDB itself."""
    kafka_replication_factor: int = 1
    kafka_ca_file: Path | None = None
    """The authority that signed the brokers' certificates: TLS. None: in clear."""
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    """Who this service is to Kafka (SASL, SCRAM-SHA-512)."""
    data_dir: Path = Path(".data")
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    """Where residents reach the platform: goes into QR codes. None set: this machine, at `port`."""
    master_key_file: Path | None = None
    """32 random bytes in base64. None: `jinguo up` makes `<data_dir>/master.key`."""
    master_key: SecretStr | None = None
    instance: str | None = None
    """A name that survives restarts of this replica (static Kafka membership)."""
    command_timeout: float = 1.8
    """A command or query that takes longer answers 503."""
    relay_lease: float = 3.0
    """How long a relay may be silent before another replica takes over."""
    public_requests_per_minute: int = 600
    """What one address without our cookie, one device with it, or one caller with a token may read of the
    open routes. 0: nothing is counted by address, device or caller."""
    public_writes_per_minute: int = 120
    """What they may change there."""
    public_codes_per_minute: int = 30
    """How often they may have a code sent; an address beyond it by a proof of work (http/allowances.py)."""
    networks: dict[str, NetworkAllowance] = {}
    """Networks with limits of their own, as JSON: `{"203.0.113.0/24": {"reading": 6000, "writing": 3000,
    "costly": 1000}}`. Which proxy may say what the address is, is told to uvicorn (`FORWARDED_ALLOW_IPS`)."""
    codes_per_minute: int = 600
    """Codes of one campaign, and of the city, before each further one takes a proof of work; 20 times as many
    in an hour, 100 times in a day. Of callers without a token. 0: no brake."""
    proof_of_work: bool = False
    """Every code takes a proof of work, however few are sent."""
    proof_of_work_tries: int = 5000
    """How many tries solve a challenge, on average: about a second on a phone."""
    production: bool = False
    """What is for trying things out only is refused then: the local issuer, the page of messages sent."""
    oidc_issuer: str | None = None
    """The OpenID Connect issuer of the callers' tokens. None: `jinguo up` runs one of made-up people."""
    oidc_audience: str = "jinguo"
    oidc_leeway: float = 30.0
    """How far the issuer's clock may be from ours."""
    oidc_roles_claim: str = "roles"
    """Claims may lie deeper: `realm_access.roles`."""
    oidc_org_unit_claim: str = "org_unit"
    oidc_division_claim: str = "division"
    oidc_department_claim: str = "department"
    show_outgoing_messages: bool = False
    """A local page lists the messages sent, one-time codes included: for trying things out only."""
    log_level: str = "INFO"

    @model_validator(mode="after")
    def _reached_here(self) -> "Settings":
        self.public_url = self.public_url or f"http://{self.host}:{self.port}"
        return self


_in_use: Settings | None = None


def settings() -> Settings:
    """This process's settings: those in use, else read from the environment."""
    return _in_use or use(Settings())


def use(found: Settings) -> Settings:
    """Make `found` the settings of this process."""
    global _in_use
    _in_use = found
    return found
