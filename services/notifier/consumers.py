"""What the notifier reacts to: every event becomes messages. What boards count is said in `activities`."""

from datetime import timedelta

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
contacts = Consumer("notifier.contacts", opens_personal=True)


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
    expires = event.envelope.time + timedelta(minutes=event.valid_minutes)
    if event.sealed is None or expires <= now():  # replayed: nobody waits for it any more
        return
    outgoing = Outgoing(
        version=1,
        channel="sms",
        pledge_id=event.pledge_id,
        recipient=event.signer,
        template=template_of(event),
        valid_minutes=event.valid_minutes,
        sealed=event.sealed,
        sealed_for=event.type,
        at=event.envelope.time,
        expires_at=expires,
    )
    tx.insert(Outgoing.collection, message_id(event.envelope.id, event.signer), outgoing.clear_fields())


@contacts.on(PledgeCodeIssued)
async def know_signer_by_phone(event: PledgeCodeIssued, tx: Transaction) -> None:
    await _know(event.signer, event.phone, tx)


@contacts.on(referrals.ReferralRequested)
async def know_patient_by_phone(event: referrals.ReferralRequested, tx: Transaction) -> None:
    await _know(event.patient, event.phone, tx)


async def _know(person: PersonId, phone: str | None, tx: Transaction) -> None:
    if phone is not None:  # erased
        key = contact_key(tx.vault.blind_index, phone)
        contact = await tx.load(Contact, person) or Contact(id=person, phone_key=key)
        contact.phone_key = key
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
