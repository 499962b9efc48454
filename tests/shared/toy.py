"""A small service on the shared parts: accounts that are paid into, and what two groups derive from it.

Every account gets a statement that lists the sequences of its events in the order they took effect, so
that 1, 2, 3, … says all at once: nothing lost, nothing twice, nothing out of order.
"""

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from fastapi import Depends, Header, Request, Response
from pydantic import Field

from shared.consumers.declare import Consumer
from shared.consumers.transaction import Transaction
from shared.host import Host
from shared.http.access import Forbidden, Rule, anyone
from shared.http.change import Change
from shared.http.parameters import StoreDep
from shared.http.pictures.receiving import TAKES_A_PICTURE, received_picture
from shared.http.routes import Body, Router
from shared.http.views import DocumentView
from shared.model.clock import now
from shared.model.documents import Document, Index, Most, Publishes
from shared.model.events import Event
from shared.model.known import ByAccount
from shared.model.personal import Personal
from shared.model.problems import AlreadyExists
from shared.service import Service
from shared.store.deadlines import Deadline
from shared.store.request_keys import PROVES
from shared.store.store import Store
from tests.kit.waiting import eventually

Anyone = Annotated[None, anyone("a toy")]


class _Uncounted(Rule):
    async def __call__(self) -> None: ...


Uncounted = Annotated[None, Depends(_Uncounted(frozenset(), "a toy, and asks nothing of the database"))]
Passbook = Annotated[str | None, Header(alias="Passbook"), PROVES]
"""Whose account it is, where it was opened with one."""
LARGE = 256 * 1024
"""Bytes that one route takes."""
POISON: set[str] = set()
"""The ids of events that the handlers cannot handle."""


class PaidIn(Event, name="ledger.paid-in"):
    """Money came into an account."""

    person_field = "owner"
    owner: str | None = None
    amount: int
    phone: Personal[str] = None


class Frozen(Event, name="ledger.frozen"):
    """An account was frozen: nobody reacts to it."""

    why: str


for _event in (PaidIn, Frozen):
    _event.source = "ledger"


class Account(Document):
    collection = "accounts"
    publishes: ClassVar[Publishes] = {PaidIn: ("amount",), Frozen: ("why",)}
    person_field = "owner"
    known_by = (ByAccount("account_key"),)
    indexes = (
        Index("numbers", [("chain", 1), ("serial", 1)], unique=True, where={"serial": {"$gt": 0}}),
        Index(
            "nickname", [("nickname", 1)], unique=True, where={"nickname": {"$type": "string"}}, tells=True
        ),
    )
    owner: str | None = None
    account_key: str = ""
    phone: Personal[str] = None
    nickname: str | None = None
    balance: int = 0
    chain: str | None = None
    serial: int = 0
    due: int = 0
    due_at: datetime | None = None
    """When what is due is paid by itself."""
    passbook: str | None = None
    letters: str = ""

    def pay(self, amount: int) -> None:
        self.balance += amount
        self.record(PaidIn.of(self, amount=amount))

    def check(self, passbook: str | None) -> None:
        """Raises Forbidden."""
        if self.passbook not in (None, passbook):
            raise Forbidden()

    def pay_due(self, at: datetime) -> None:
        self.pay(self.due)
        self.due, self.due_at = 0, None

    def forget(self, now: datetime) -> None:
        self.account_key = ""


class Statement(Document):
    collection = "statements"
    publishes: ClassVar[Publishes] = {Frozen: ("why",)}
    entries: Annotated[list[int], Most(100_000)] = Field(default_factory=list)
    """Sequences of the account's events, in the order they took effect."""
    amount: int = 0


class Poisoned(Exception):
    """The handler cannot handle it."""


totals = Consumer("ledger.totals", tables={"totals": ()})
statements = Consumer("ledger.statements")


@totals.on(PaidIn)
async def add_up(event: PaidIn, tx: Transaction) -> None:
    if event.envelope.id in POISON:
        raise Poisoned(event.envelope.id)
    tx.add("totals", "all", count=1, amount=event.amount)
    tx.put("totals", event.envelope.subject, last=event.envelope.sequence)


@statements.on(PaidIn, opens=True)
async def write_statement(event: PaidIn, tx: Transaction) -> None:
    envelope = event.envelope
    statement = await tx.load(Statement, envelope.subject) or Statement(id=envelope.subject)
    statement.entries.append(envelope.sequence)
    statement.amount += event.amount
    tx.save(statement)
    if envelope.id in POISON:
        raise Poisoned(envelope.id)


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────

router = Router()


class Opening(Body):
    id: str
    nickname: str | None = None
    due: int = 0
    due_in: float = 0
    """Seconds until then."""


class Payment(Body):
    amount: int = Field(ge=1, le=1000)


class AccountView(DocumentView):
    balance: int


@router.post("/accounts", status_code=201)
async def open_account(
    opening: Opening, _: Anyone, store: StoreDep, passbook: Passbook = None
) -> AccountView:
    due_at = now() + timedelta(seconds=opening.due_in) if opening.due else None
    account = Account(
        id=opening.id, nickname=opening.nickname, due=opening.due, due_at=due_at, passbook=passbook
    )
    return await store.commit(account, AccountView.of)


@router.post("/accounts/{account_id}/payments")
async def pay_in(
    account_id: str, payment: Payment, _: Anyone, change: Change, passbook: Passbook = None
) -> AccountView:
    def pay(account: Account) -> None:
        account.check(passbook)
        account.pay(payment.amount)

    return await change(Account, account_id, pay, AccountView.of)


class Letter(Body):
    text: str


class LettersView(AccountView):
    """An answer that grows with what is kept."""

    letters: str


@router.post("/accounts/{account_id}/letters")
async def write_letter(account_id: str, letter: Letter, _: Anyone, store: StoreDep) -> LettersView:
    def keep(account: Account) -> None:
        account.letters += letter.text
        account.pay(1)

    return await store.change(Account, account_id, keep, LettersView.of)


@router.post("/accounts/all/close")
async def close_all(_: Anyone, store: StoreDep) -> list[AccountView]:
    """A request that no single document answers."""

    async def close() -> list[AccountView]:
        open_ = await store.select(Account, {"balance": {"$gt": 0}}, sort=[("_id", 1)])
        return [
            await store.change(Account, account.id, lambda a: a.pay(-a.balance), AccountView.of)
            for account in open_
        ]

    return await store.once(close)


@router.get("/accounts/{account_id}")
async def show(account_id: str, _: Uncounted, store: StoreDep) -> AccountView:
    return AccountView.of(await store.load(Account, account_id))


@router.put("/accounts/{account_id}/picture", max_body_size=LARGE)
async def measure_picture(account_id: str, request: Request, _: Anyone) -> int:
    return len(await request.body())


@router.put("/accounts/{account_id}/portrait", **TAKES_A_PICTURE)
async def clean_portrait(account_id: str, request: Request, _: Anyone) -> Response:
    return Response(await received_picture(request), media_type="image/jpeg")


@router.get("/bug")
async def bug(_: Uncounted) -> None:
    raise RuntimeError("the secret of the house")


service = Service(
    "ledger",
    "账本",
    routers=[router],
    documents=[Account, Statement],
    consumers=[totals, statements],
    deadlines=[Deadline(Account, "due_at", Account.pay_due)],
)
source_only = Service("ledger", "账本", routers=[router], documents=[Account, Statement])
"""The same service without its consumers: for tests that drive them by hand."""


# ── what tests do with it ────────────────────────────────────────────────────────────────────────────


async def opened(store: Store, *ids: str) -> None:
    """Make accounts that may exist already."""
    for account_id in ids:
        try:
            await store.commit(Account(id=account_id))
        except AlreadyExists:
            continue


async def paid(store: Store, *ids: str, amount: int = 1) -> None:
    """Pay into accounts, one after the other, opening them where needed."""
    for account_id in ids:
        account = await store.find(Account, account_id) or Account(id=account_id)
        account.pay(amount)
        await store.commit(account)


async def entries(store: Store, *ids: str) -> list[list[int]]:
    """The statements of some accounts."""
    found = [await store.find(Statement, account_id) for account_id in ids]
    return [statement.entries if statement else [] for statement in found]


async def counted(store: Store, generation: int = 0) -> int:
    """How many payments the table of totals holds."""
    table = f"totals@{generation}" if generation else "totals"
    row = await store.database[table].find_one({"_id": "all"})
    return row["count"] if row else 0


async def positions(host: Host, group: str) -> dict[int, int]:
    """How far a group is in each partition."""
    runtime = next(runtime for runtime in host.runtimes if runtime.consumer.group == group)
    return (await runtime.cursors.positions()).get("ledger", {})


async def settled(host: Host, seconds: float = 20) -> None:
    """Wait until every committed event is archived and consumed, parked ones aside."""
    store, archive = host.stores["ledger"], host.archives["ledger"]

    async def nothing_waits() -> bool:
        if await store.collection(Account).find_one({"outbox.0": {"$exists": True}}, {"_id": 1}):
            return False
        lags = [await archive.lag(await positions(host, r.consumer.group)) for r in host.runtimes]
        return not any(lags)

    await eventually(nothing_waits, seconds, "settled")
