"""Signings: hand in the form, prove the phone by its code, take the pledge back."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated

from pydantic import Field

from services.pledges import queries
from services.pledges.codes import paying_for_code
from services.pledges.domain.identity import keys_of, signing_key
from services.pledges.domain.pledge import WRONG_CODES as WRONG
from services.pledges.domain.pledge import HouseholdCounted, Pledge, code_text, new_code
from services.pledges.domain.reasons import Why
from services.pledges.domain.states import PENDING
from services.pledges.lookups import Lookups
from shared.city.days import local_day
from shared.city.divisions import CommunityCode
from shared.contracts.pledges import SignerRole
from shared.http.change import Change
from shared.http.parameters import StoreDep
from shared.http.persons import erase_keys
from shared.http.routes import Body, Router
from shared.http.views import Consent
from shared.model.clock import now
from shared.model.doors import Door
from shared.model.names import Name
from shared.model.problems import AlreadyExists, VersionConflict, WrongCode
from shared.model.text import Code, Phone
from shared.model.workflow import Actor
from shared.store.store import Store

from .callers import (
    ChosenKey,
    FreshlyProven,
    Holder,
    HolderOfCode,
    Proof,
    Proven,
    Signer,
    Signing,
    held_pledge,
    own_account,
)
from .views import PledgeView, certificate_url

router = Router(tags=["signings"])

TOKEN_BYTES = 16


class Form(Body):
    """A household's pledge. Without `door` the household is known by phone and name.

    `text_version` is the one that the household has read.
    """

    text_version: Annotated[int, Field(ge=1)]
    community: CommunityCode
    name: Name
    role: SignerRole
    phone: Phone
    door: Door | None = None
    members: Annotated[int, Field(ge=1, le=30)]
    consent: Consent


class CodeBody(Body):
    """The six digits that the phone received."""

    code: Code


class Withdrawal(Body):
    """Perhaps why."""

    reason: Why | None = None


@router.post("/campaigns/{campaign_id}/pledges", status_code=201, summary="签署承诺 / Hand in the form")
async def sign(
    campaign_id: str,
    form: Form,
    asking: Signing,
    store: StoreDep,
    chosen: ChosenKey,
) -> PledgeView:
    campaign = await Lookups.of(store).campaign_showing(campaign_id, form.text_version)
    blind = store.vault.blind_index
    keys = keys_of(blind, form.community, form.door, form.phone, form.name)
    given = form.model_dump(exclude={"consent"}) | {"account_key": own_account(store, asking.bearer)}
    given |= {"signing_key": signing_key(blind, chosen), "signer": await store.vault.new_person()}
    pledge = Pledge.signed(campaign, keys, now=now(), **given)
    async with paying_for_code(store, asking, keys.phone, campaign_id, form.community) as reasons:
        pledge.hold(reasons)
        _send_code(store, pledge)
        return await store.commit(pledge, PledgeView.of)


def _send_code(store: Store, pledge: Pledge) -> None:
    code = new_code()
    pledge.send_code(code, store.vault.blind_index(code_text(pledge.id, code)), now())


@router.get("/signings/{pledge_id}", summary="查看承诺状态 / One pledge")
async def read(pledge_id: str, _: Signer, store: StoreDep) -> PledgeView:
    return PledgeView.of(await store.load(Pledge, pledge_id))


@router.post("/signings/{pledge_id}/code", summary="重发验证码 / Send another code")
async def resend_code(pledge_id: str, asking: HolderOfCode, proof: Proven, change: Change) -> PledgeView:
    store, lookups = change.store, Lookups.of(change.store)
    async with lookups.alone(pledge_id):
        pledge = await held_pledge(change, proof, pledge_id)
        await lookups.check_open(pledge.campaign_id)
        pledge.check_code_may_be_sent(now())
        about = pledge.phone_key, pledge.campaign_id, pledge.division
        async with paying_for_code(store, asking, *about):
            await store.unseal(pledge)
            _send_code(store, pledge)
            return await store.commit(pledge, PledgeView.of)


@router.post("/signings/{pledge_id}/verify", summary="核对验证码并计入接龙 / Prove the phone and be counted")
async def verify(pledge_id: str, body: CodeBody, _: Holder, proof: Proven, change: Change) -> PledgeView:
    store, lookups = change.store, Lookups.of(change.store)
    key = store.vault.blind_index(code_text(pledge_id, body.code))
    async with lookups.alone(pledge_id):  # guesses go one after the other, each is remembered
        pledge = await held_pledge(change, proof, pledge_id)
        if not pledge.accepts(key, now()):  # a code is sent while the campaign is open, and good to its end
            raise await store.change(Pledge, pledge_id, lambda p: p.refuse_code(now()), _wrong)
        pledge.hold(await lookups.suspicions(pledge))
        if pledge.held:
            pledge.verify(now())
            return await store.commit(pledge, PledgeView.of)
        proofs = (proof, Proof("", pledge.phone_key, "", proof.since))  # the phone was proven just now
        return await count(store, pledge, lambda other: _is_held(other, proofs))


def _is_held(pledge: Pledge, proofs: Sequence[Proof]) -> bool:
    return any(pledge.is_held_by(*proof) for proof in proofs)


def _wrong(pledge: Pledge) -> WrongCode:
    return WrongCode(tries_left=WRONG - pledge.wrong_codes)


async def count(
    store: Store, pledge: Pledge, may_know: Callable[[Pledge], bool], by: Actor | None = None
) -> PledgeView:
    """Count a pledge, verifying it with the same write where that was not done before.

    Raises HouseholdCounted, which says more about the other pledge where the caller `may_know` of it.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)

    def join(joining: Pledge, serial: int) -> None:
        if joining.state is PENDING:
            joining.verify(now())
        joining.count(serial, token, now(), by)

    try:
        return await store.commit_next(pledge, pledge.chain_id, join, PledgeView.of)
    except AlreadyExists as taken:
        if taken.index != "households" or (other := await queries.counted_with(store, pledge)) is None:
            raise
        if may_know(other):
            raise HouseholdCounted(serial=other.serial, certificate=certificate_url(other.token)) from None
        await _tell_holder(store, other)
        raise HouseholdCounted() from None


async def _tell_holder(store: Store, counted: Pledge) -> None:
    """That somebody tried; who tries often costs one write a day."""
    if counted.contested_day != local_day(now()):
        with suppress(VersionConflict):  # the pledge is much in use: it was told, or will be the next time
            await store.change(Pledge, counted.id, lambda pledge: pledge.contest(now()))


@router.post("/signings/{pledge_id}/withdraw", summary="撤回承诺 / Take the pledge back")
async def withdraw(pledge_id: str, body: Withdrawal, _: Holder, proof: Proven, change: Change) -> PledgeView:
    def take_back(pledge: Pledge) -> None:
        pledge.check_holder(*proof)
        pledge.withdraw(now(), body.reason)

    return await change(Pledge, pledge_id, take_back, PledgeView.of)


@router.post("/signings/{pledge_id}/erase", summary="撤回并删除个人信息 / Withdraw and be forgotten")
async def erase(pledge_id: str, _: Holder, proof: FreshlyProven, change: Change) -> PledgeView:
    pledge = await held_pledge(change, proof, pledge_id)
    await erase_keys(change.store, pledge)
    return await change.store.change(Pledge, pledge_id, lambda p: p.forget(now()), PledgeView.of)
