"""Events of `pledges` (公筷公勺进家庭). Ids and counts only; what is personal travels sealed."""

from datetime import datetime
from enum import StrEnum

from shared.model.documents import Day
from shared.model.events import Event
from shared.model.personal import Personal, PersonId


class SignerRole(StrEnum):
    """Who signs for a household: the notice names 家庭女主人 and 党员."""

    HOSTESS = "hostess"
    PARTY_MEMBER = "party-member"
    MEMBER = "member"


class PledgeCodeIssued(Event, name="pledge.code-issued"):
    """A one-time code waits to be sent to the signer. Only the notifier opens phone and code. `account`: a
    keyed hash of the signer's account, for the inbox; None where the form came without one."""

    person_field = "signer"

    pledge_id: str
    campaign_id: str
    signer: PersonId
    valid_minutes: int
    name: Personal[str] = None
    phone: Personal[str] = None
    code: Personal[str] = None
    account: Personal[str] = None


class CampaignAnnounced(Event, name="campaign.announced"):
    """A campaign was opened, got a new text, or its window moved."""

    campaign_id: str
    title: str
    text_version: int
    opens_at: datetime
    closes_at: datetime


class PledgeHeld(Event, name="pledge.held"):
    """A verified pledge waits for the reviewer before it counts."""

    pledge_id: str
    campaign_id: str
    signer: PersonId
    reasons: list[str]
    day: Day


class PledgeDropped(Event, name="pledge.dropped"):
    """A form ended (withdrawn, invalidated, lapsed) without ever having been counted."""

    pledge_id: str
    campaign_id: str
    signer: PersonId
    state: str
    day: Day


class PledgeSigned(Event, name="pledge.signed"):
    """A household's pledge was verified and counted, under its serial in the community's chain."""

    pledge_id: str
    campaign_id: str
    chain_id: str
    text_version: int = 1
    serial: int
    signer: PersonId
    role: SignerRole
    members: int
    day: Day


class PledgeContested(Event, name="pledge.contested"):
    """Somebody else proved a phone and tried to sign for a household that is counted.

    Told to its holder, once a day at most; who tried is not said.
    """

    pledge_id: str
    campaign_id: str
    signer: PersonId
    day: Day


class PledgeWithdrawn(Event, name="pledge.withdrawn"):
    """The household took its pledge back; its serial stays used."""

    pledge_id: str
    campaign_id: str
    chain_id: str
    text_version: int = 1
    serial: int
    signer: PersonId
    day: Day
    signed_day: Day


class PledgeInvalidated(Event, name="pledge.invalidated"):
    """The federation struck a pledge out (fraud, a duplicate); its serial stays used."""

    pledge_id: str
    campaign_id: str
    chain_id: str
    text_version: int = 1
    serial: int
    signer: PersonId
    reason: str
    day: Day
    signed_day: Day


class SignerErased(Event, name="signer.erased"):
    """A signer's key was deleted: their personal data can be read nowhere any more."""

    pledge_id: str
    campaign_id: str
    signer: PersonId
    day: Day


class MilestoneKind(StrEnum):
    """What a chain has reached."""

    HOUSEHOLDS = "households"
    COVERAGE = "coverage"


class ChainMilestoneReached(Event, name="chain.milestone-reached"):
    """A community's chain reached 1, 10, 50 or 100 households, or another tenth of coverage (percent)."""

    chain_id: str
    campaign_id: str
    kind: MilestoneKind
    value: int
    counted: int
    day: Day


class HouseholdCheckedIn(Event, name="household.checked-in"):
    """A household reported a day of serving chopsticks; `streak` counts days in a row, this one included."""

    pledge_id: str
    campaign_id: str
    signer: PersonId
    day: Day
    streak: int


class StreakCompleted(Event, name="household.streak-completed"):
    """21 days in a row."""

    pledge_id: str
    campaign_id: str
    signer: PersonId
    day: Day
    days: int


class TalkMoved(Event, name="talk.moved"):
    """A team announced an online talk, or cancelled it."""

    talk_id: str
    team_id: str
    campaign_id: str
    state: str
    starts_at: datetime


class TalkHeld(Event, name="talk.held"):
    """A preacher's online talk took place."""

    talk_id: str
    team_id: str
    campaign_id: str
    attendees: int
    day: Day


class ObservationRecorded(Event, name="observation.recorded"):
    """A supervisor saw tables with and without serving chopsticks. A fact, not a penalty."""

    observation_id: str
    team_id: str
    campaign_id: str
    tables: int
    with_serving_chopsticks: int
    day: Day


class PhoneListed(Event, name="phone.listed"):
    """A phone was put on a list (`allow`, `block`) or taken off (`kind` None)."""

    entry_id: str
    kind: str | None = None


class InvalidationMoved(Event, name="invalidation.moved"):
    """A bulk invalidation was prepared, started, finished, cancelled or lifted."""

    invalidation_id: str
    state: str
    matched: int
    invalidated: int


class MemberClaimIssued(Event, name="member.claim-issued"):
    """A code waits to be sent to a member of a team, who makes with it their own what an officer wrote down.
    Only the notifier opens phone and code."""

    person_field = "person"

    claim_id: str
    person: PersonId
    valid_minutes: int
    phone: Personal[str] = None
    code: Personal[str] = None


class MemberClaimLapsed(Event, name="member.claim-lapsed"):
    """Nobody brought the code in time."""

    claim_id: str
    person: PersonId


class MemberClaimed(Event, name="member.claimed"):
    """A member brought the code: what is held about them belongs to their account."""

    team_id: str
    person: PersonId


class MemberErased(Event, name="member.erased"):
    """A member of a team asked to be forgotten: name and phone are gone."""

    team_id: str
    person: PersonId
