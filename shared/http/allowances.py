"""What whoever asks the open routes may use up.

Reading, writing, and what costs us money (a code is sent) are counted apart, and each by what tells people
apart best: an account where a token is brought, else our cookie, else the address. Who brings a cookie
shares the address with many, as in a hall or behind a carrier's NAT; who brings none has it alone. An
address that asks for many codes pays for each further one with a proof of work, and is not locked out.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

import structlog
from cachetools import TTLCache
from fastapi import Request

from shared.http import devices
from shared.http.proof_of_work import HEADER, ProofOfWork
from shared.model.roles import Bearer, Role
from shared.privacy.vault import Vault
from shared.settings import NetworkAllowance, Settings
from shared.store.rates import DAY, EVER, HOUR, MINUTE, Counted, Limit, Rates, Tally
from shared.telemetry import PROOFS

SYSTEM_SHARE = 1000
"""Another city system speaks for many: it may ask so many times as often as a person."""
CROWD = 20
"""So many times as often may all those ask together who share an address and bring our cookie."""
FREE_HOUR, FREE_DAY = 4, 10
"""What an address may cost without a proof of work, as multiples of what it may in a minute."""
IPV6_SHARES = {64: 1, 56: 4, 48: 16}
"""Of IPv6 one line has a /64, a /56 or a /48 to itself: each is counted, and may so many times as much."""
SAFE = frozenset({"GET", "HEAD"})
BRAKES = ("address", "campaign", "city", "always")
"""What may call for a proof of work: each has its metric from the start."""
for _brake in BRAKES:
    PROOFS.labels(_brake)
log = structlog.get_logger()


class Kind(StrEnum):
    """What a request is counted as."""

    READING = "reading"
    WRITING = "writing"
    COSTLY = "costly"


class Network(NamedTuple):
    """What an address lies in."""

    name: str
    share: int


@lru_cache(maxsize=4096)
def networks_of(address: str) -> Sequence[Network]:
    """An address of IPv4; the networks of one of IPv6, the smallest first. Some tests have neither."""
    try:
        found = ip_address(address)
    except ValueError:
        return [Network(address, 1)]
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    if isinstance(found, IPv4Address):
        return [Network(str(found), 1)]
    return [
        Network(str(ip_network((found, bits), strict=False)), share) for bits, share in IPV6_SHARES.items()
    ]


class Asking:
    """Who asks, as far as nothing that they typed is believed. What it costs us is counted by `spend`."""

    def __init__(self, allowances: "Allowances", bearer: Bearer | None, address: str) -> None:
        self.bearer = bearer
        self.address = address
        self.proven = False
        """They have solved a challenge for this request."""
        self._allowances = allowances

    @property
    def here(self) -> str:
        """What tells them apart from others; not to be kept in clear."""
        return f"caller|{self.bearer.id}" if self.bearer else f"address|{networks_of(self.address)[0].name}"

    async def spend(self, *tallies: Tally) -> list[Counted]:
        """Count a request, the narrowest first; beyond a brake only with a proof of work.

        Accounts are asked for none: they are limited by themselves, and known. Raises TooManyRequests,
        ProofNeeded, Unavailable.
        """
        counted = await self._allowances.rates.check(*tallies)
        over = next((one for one in counted if one.over), None)
        if over is not None and self.bearer is None and not self.proven:
            await self._allowances.rates.take_back(counted)
            self._allowances.demand(over.tally.brake)
        return counted

    async def take_back(self, counted: Sequence[Counted]) -> None:
        """What was counted was not done after all."""
        await self._allowances.rates.take_back(counted)


class Allowances:
    """Those of one process, by its settings."""

    def __init__(self, rates: Rates, vault: Vault, settings: Settings) -> None:
        self.rates = rates
        self._vault = vault
        self.limit(
            reading=settings.public_requests_per_minute,
            writing=settings.public_writes_per_minute,
            costly=settings.public_codes_per_minute,
        )
        self._networks = [(ip_network(name), own) for name, own in settings.networks.items()]
        self._always, self._secure = settings.proof_of_work, settings.public_url.startswith("https://")
        self._told: TTLCache[str, bool] = TTLCache(maxsize=100, ttl=MINUTE)
        self.work = ProofOfWork(vault.blind_index, settings.proof_of_work_tries)

    def limit(self, *, reading: int, writing: int, costly: int) -> None:
        """What one may do in a minute; without a limit on reading nobody is counted."""
        self._most = {Kind.READING: reading, Kind.WRITING: writing, Kind.COSTLY: costly}

    async def asked(self, request: Request, bearer: Bearer | None, *, costly: bool) -> Asking:
        """Count a request to an open route. Raises TooManyRequests, ProofNeeded, Unavailable."""
        asking = Asking(self, bearer, request.client.host if request.client else "")
        kind = Kind.COSTLY if costly else Kind.READING if request.method in SAFE else Kind.WRITING
        if costly and bearer is None:
            await self._look_for_proof(request, asking)
        if self._most[Kind.READING]:
            await self._count(request, kind, asking)
        return asking

    async def _look_for_proof(self, request: Request, asking: Asking) -> None:
        if (given := request.headers.get(HEADER)) is None:
            if self._always:
                self.demand("always")
            return
        if (solved := self.work.solved(given)) is None:
            raise self.work.needed("invalid")
        once = Tally(self._blind(f"proof|{solved}"), (Limit(1, EVER),), brake="used")
        if (await self.rates.check(once))[0].over:
            raise self.work.needed("used")
        asking.proven = True

    async def _count(self, request: Request, kind: Kind, asking: Asking) -> None:
        if asking.bearer is not None:
            share = SYSTEM_SHARE if asking.bearer.callers.keys() == {Role.SYSTEM} else 1
            await asking.spend(self._tally(f"caller|{asking.bearer.id}", kind, share))
            return
        device = devices.known_device(self._blind, request.cookies.get(devices.NAME))
        own = [self._tally(f"device|{device}", kind)] if device else []
        await asking.spend(*own, *self._of_address(asking.address, kind, crowd=device is not None))
        if device is None:
            request.scope[devices.SCOPE] = devices.new_device(self._blind, secure=self._secure)

    def _of_address(self, address: str, kind: Kind, *, crowd: bool) -> list[Tally]:
        if listed := self._listed(address):
            name, own = listed
            return [Tally(self._blind(f"network|{kind}|{name}"), (Limit(getattr(own, kind), MINUTE),))]
        networks, most = networks_of(address), self._most[kind]
        if kind is not Kind.COSTLY:
            who, times = ("crowd", CROWD) if crowd else ("address", 1)
            return [self._tally(f"{who}|{name}", kind, share * times) for name, share in networks]
        tallies = []
        for name, share in networks:
            free = most * share
            limits = Limit(free, MINUTE), Limit(free * FREE_HOUR, HOUR), Limit(free * FREE_DAY, DAY)
            tallies += [
                self._tally(f"crowd|{name}", kind, share * CROWD),
                Tally(self._blind(f"free|{name}"), limits, brake="address"),
            ]
        return tallies

    def _tally(self, who: str, kind: Kind, share: int = 1) -> Tally:
        return Tally(self._blind(f"{kind}|{who}"), (Limit(self._most[kind] * share, MINUTE),))

    def _listed(self, address: str) -> tuple[str, NetworkAllowance] | None:
        """The network of the settings that an address lies in."""
        if not self._networks:
            return None
        try:
            found = ip_address(address)
        except ValueError:
            return None
        inside = ((str(network), own) for network, own in self._networks if found in network)
        return next(inside, None)

    def demand(self, brake: str) -> None:
        """Ask for a proof of work, and tell those who watch. Raises ProofNeeded."""
        PROOFS.labels(brake).inc()
        if brake not in self._told:
            self._told[brake] = True
            log.warning("proofs of work are asked for", brake=brake)
        raise self.work.needed(brake)

    def _blind(self, value: str) -> str:
        return self._vault.blind_index(value)
