"""What the notifier reacts to: every event becomes messages. What boards count is said in `activities`."""

from datetime import datetime, timedelta

from services.notifier.domain.messages import Contact, Message, Outgoing, contact_key, message_id
from services.notifier.templates import TEMPLATES, kind_of, said, template_of
from shared.clock import now
from shared.consumers.declare import Consumer
from shared.consumers.transaction import Transaction
from shared.contracts import referrals
from shared.contracts.pledges import (
    CampaignAnnounced,
    ChainMilestoneReached,
    HouseholdCheckedIn,
    InvalidationMoved,
    MemberClaimed,
    MemberClaimIssued,
    MemberClaimLapsed,
    MemberErased,
    ObservationRecorded,
    PhoneListed,
    PledgeCodeIssued,
    PledgeContested,
    PledgeDropped,
    PledgeHeld,
    PledgeInvalidated,
    PledgeSigned,
    PledgeWithdrawn,
    SignerErased,
    StreakCompleted,
    TalkHeld,
    TalkMoved,
)
from shared.events import Event
from shared.personal import PersonId

# It does not open personal fields: a box goes on as it came, and is opened only to be sent.
messages = Consumer("notifier.messages")
# Its name is new since contacts know what was proven: it reads all events again, from the first.
contacts = Consumer("notifier.proven-contacts", opens_personal=True)
Code = PledgeCodeIssued | MemberClaimIssued | referrals.PatientClaimIssued
"""What carries a one-time code to a phone."""


@messages.on(
    CampaignAnnounced,
    PledgeHeld,
    PledgeDropped,
    PledgeSigned,
    PledgeContested,
    PledgeWithdrawn,
    PledgeInvalidated,
    SignerErased,
    MemberErased,
    MemberClaimed,
    MemberClaimLapsed,
    ChainMilestoneReached,
    HouseholdCheckedIn,
    StreakCompleted,
    TalkMoved,
    TalkHeld,
    ObservationRecorded,
    PhoneListed,
    InvalidationMoved,
)
@messages.on(
    *referrals.STEPS,
    referrals.PatientErased,
    referrals.PatientClaimed,
    referrals.PatientClaimLapsed,
    referrals.BedsChanged,
    referrals.SlotMoved,
    referrals.RecordBreakGlass,
    referrals.BreakGlassReviewed,
    referrals.BreakGlassOverdue,
)
async def put_into_inboxes(event: Event, tx: Transaction) -> None:
    name = template_of(event)
    template = TEMPLATES[name]
    words = said(event, template)
    for recipient in {audience.inbox(event) for audience in template.to}:
        message = Message(
            version=1,
            recipient=recipient,
            template=name,
            kind=kind_of(name),
            said=words,
            at=event.envelope.time,
        )
        # A row that exists stays as it is: a replay neither doubles a message nor makes it unread.
        tx.insert(Message.collection, message_id(event.envelope.id, recipient), message.clear_fields())


@messages.on(PledgeCodeIssued)
async def send_code(event: PledgeCodeIssued, tx: Transaction) -> None:
    _send(event, event.signer, tx, pledge_id=event.pledge_id)


@messages.on(MemberClaimIssued)
async def send_member_claim_code(event: MemberClaimIssued, tx: Transaction) -> None:
    _send(event, event.person, tx, claim_id=event.claim_id)


@messages.on(referrals.PatientClaimIssued)
async def send_claim_code(event: referrals.PatientClaimIssued, tx: Transaction) -> None:
    _send(event, event.patient, tx, claim_id=event.claim_id)


def _send(event: Code, person: PersonId, tx: Transaction, **about: str) -> None:
    """Put a code on its way to the phone that is in the event's box."""
    expires = event.envelope.time + timedelta(minutes=event.valid_minutes)
    if event.sealed is None or expires <= now():  # replayed: nobody waits for it any more
        return
    outgoing = Outgoing(
        version=1,
        channel="sms",
        recipient=person,
        template=template_of(event),
        valid_minutes=event.valid_minutes,
        sealed=event.sealed,
        sealed_for=event.type,
        at=event.envelope.time,
        expires_at=expires,
        **about,
    )
    tx.insert(Outgoing.collection, message_id(event.envelope.id, person), outgoing.clear_fields())


@contacts.on(PledgeCodeIssued)
async def know_signer_by_phone(event: PledgeCodeIssued, tx: Transaction) -> None:
    if event.phone is not None:  # erased
        contact = await tx.load(Contact, event.signer) or Contact(id=event.signer)
        contact.typed(contact_key(tx.vault.blind_index, event.phone))
        tx.save(contact)


@contacts.on(PledgeHeld)
async def know_held_by_phone(event: PledgeHeld, tx: Transaction) -> None:
    await _proven(event.signer, event.envelope.time, tx)


@contacts.on(PledgeSigned)
async def know_counted_by_phone(event: PledgeSigned, tx: Transaction) -> None:
    await _proven(event.signer, event.envelope.time, tx)


async def _proven(signer: PersonId, at: datetime, tx: Transaction) -> None:
    """Its code was brought: a pledge is held or counted after nothing else."""
    if contact := await tx.load(Contact, signer):
        contact.prove(at)
        tx.save(contact)


@contacts.on(referrals.ReferralRequested)
async def know_who_asked(event: referrals.ReferralRequested, tx: Transaction) -> None:
    await _belongs(event.patient, event.account, tx)


@contacts.on(referrals.PatientClaimed)
async def know_who_claimed(event: referrals.PatientClaimed, tx: Transaction) -> None:
    await _belongs(event.patient, event.account, tx)


async def _belongs(patient: PersonId, account: str | None, tx: Transaction) -> None:
    contact = await tx.load(Contact, patient) or Contact(id=patient)
    contact.belong_to(account)
    tx.save(contact)


@contacts.on(SignerErased)
async def know_signer_no_more(event: SignerErased, tx: Transaction) -> None:
    await _know_no_more(event.signer, tx)


@contacts.on(referrals.PatientErased)
async def know_patient_no_more(event: referrals.PatientErased, tx: Transaction) -> None:
    await _know_no_more(event.patient, tx)


async def _know_no_more(person: PersonId, tx: Transaction) -> None:
    if contact := await tx.load(Contact, person):
        contact.forget()
        tx.save(contact)
