"""Teams: preachers and supervisors, talks, observations."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from services.pledges.domain.identity import phone_key
from services.pledges.domain.reasons import Why
from services.pledges.domain.team import Member, Observation, Talk, TalkState, Team, TeamRole
from services.pledges.lookups import Lookups
from shared.http.callers import Officer, Worker
from shared.http.change import Change, reached
from shared.http.links import PublicLink
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.reach import OwnDivision
from shared.http.routes import Body, Router
from shared.http.views import DocumentView, GivenId, Instant, StateView
from shared.model.clock import now
from shared.model.names import Name, mask_name
from shared.model.problems import NotFound
from shared.model.text import Phone, Title
from shared.model.workflow import Actor
from shared.store.store import Store

from .callers import Anyone

router = Router(tags=["teams"])

Teams = Annotated[Listing[Team], listed(Team)]
Members = Annotated[Listing[Member], listed(Member, without=["division"])]
Talks = Annotated[Listing[Talk], listed(Talk, day="starts_at")]
Observations = Annotated[Listing[Observation], listed(Observation, day="day", own=True)]


class NewTeam(Body):
    """A team for a campaign, in a division of any level."""

    division: OwnDivision
    name: Title


class TeamView(DocumentView):
    """A team."""

    campaign_id: str
    division: str
    name: str


@router.post("/campaigns/{campaign_id}/teams", status_code=201, summary="组建宣讲督导队 / Form a team")
async def form_team(campaign_id: str, body: NewTeam, _: Officer, store: StoreDep) -> TeamView:
    await Lookups.of(store).campaign(campaign_id)
    team = Team(campaign_id=campaign_id, division=body.division, name=body.name)
    return await store.commit(team, TeamView.of)


@router.get("/campaigns/{campaign_id}/teams", summary="队伍列表 / The teams of a campaign")
async def list_teams(campaign_id: str, _: Anyone, page: Teams) -> Page[TeamView]:
    return await page({"campaign_id": campaign_id}, [("division", 1)], TeamView.of)


@router.get("/teams/{team_id}", summary="队伍 / One team")
async def read_team(team_id: str, _: Anyone, store: StoreDep) -> TeamView:
    return TeamView.of(await store.load(Team, team_id))


async def member_of(store: Store, team: Team, member_id: str) -> Member:
    """A member of the team: of others' it is not told that there are any. Raises NotFound."""
    member = await store.load(Member, member_id)
    if member.team_id != team.id:
        raise NotFound(kind=Member.collection)
    return member


# ── members ──────────────────────────────────────────────────────────────────────────────────────


class NewMember(Body):
    """A person who joins a team; with consent to keep name and phone for it."""

    name: Name
    phone: Phone
    role: TeamRole


class MemberView(DocumentView):
    """A member without what is personal."""

    team_id: str
    role: TeamRole


class NamedMember(MemberView):
    """A member with the masked name."""

    name: str

    @classmethod
    def of(cls, document: Member, **more: Any) -> Self:
        """`document` must be opened."""
        return super().of(document, name=mask_name(document.name), **more)


@router.post("/teams/{team_id}/members", status_code=201, summary="队员入队 / Join a team")
async def join(team_id: str, body: NewMember, caller: Officer, store: StoreDep) -> MemberView:
    team = await reached(store, caller, Team, team_id)
    member = Member(
        team_id=team.id,
        division=team.division,
        person=await store.vault.new_person(),
        phone_key=phone_key(store.vault.blind_index, body.phone),
        **body.model_dump(),
    )
    return await store.commit(member, MemberView.of)


@router.get("/teams/{team_id}/members", summary="队员 / The members, names masked")
async def list_members(team_id: str, caller: Worker, page: Members) -> Page[NamedMember]:
    await reached(page.store, caller, Team, team_id)
    return await page({"team_id": team_id}, [("_id", 1)], NamedMember.of, unseal=True)


# ── talks ────────────────────────────────────────────────────────────────────────────────────────


class NewTalk(Body):
    """An online talk by one of the team's preachers."""

    preacher_id: GivenId
    title: Title
    starts_at: Instant
    link: PublicLink | None = None


class Held(Body):
    """How many attended."""

    attendees: Annotated[int, Field(ge=0, le=1_000_000)]


class Cancellation(Body):
    """Why it will not take place."""

    reason: Why


class TalkView(StateView):
    """A talk."""

    team_id: str
    campaign_id: str
    division: str
    preacher_id: str
    title: str
    starts_at: datetime
    link: str | None
    attendees: int | None
    state: TalkState


@router.post("/teams/{team_id}/talks", status_code=201, summary="预告线上宣讲 / Schedule a talk")
async def schedule(team_id: str, body: NewTalk, caller: Worker, store: StoreDep) -> TalkView:
    team = await reached(store, caller, Team, team_id)
    preacher = await member_of(store, team, body.preacher_id)
    link = str(body.link) if body.link else None
    talk = Talk.scheduled(team, preacher, body.title, body.starts_at, link)
    return await store.commit(talk, TalkView.of)


@router.get("/teams/{team_id}/talks", summary="宣讲列表 / The talks of a team")
async def list_talks(team_id: str, _: Anyone, page: Talks) -> Page[TalkView]:
    return await page({"team_id": team_id}, [("starts_at", -1)], TalkView.of)


@router.get("/talks/{talk_id}", summary="宣讲 / One talk")
async def read_talk(talk_id: str, _: Anyone, store: StoreDep) -> TalkView:
    return TalkView.of(await store.load(Talk, talk_id))


@router.post("/talks/{talk_id}/hold", summary="宣讲已举行 / A talk took place")
async def hold(talk_id: str, body: Held, caller: Worker, change: Change) -> TalkView:
    by = Actor.of(caller)
    return await change(Talk, talk_id, lambda talk: talk.hold(body.attendees, now(), by), TalkView.of)


@router.post("/talks/{talk_id}/cancel", summary="取消宣讲 / Cancel a talk")
async def cancel(talk_id: str, body: Cancellation, caller: Worker, change: Change) -> TalkView:
    by = Actor.of(caller)
    return await change(Talk, talk_id, lambda talk: talk.cancel(body.reason, now(), by), TalkView.of)


# ── observations ─────────────────────────────────────────────────────────────────────────────────


class NewObservation(Body):
    """What a supervisor of the team saw, in a place (never in a named household)."""

    supervisor_id: GivenId
    division: OwnDivision
    tables: Annotated[int, Field(ge=1, le=10_000)]
    with_serving_chopsticks: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _no_more_than_tables(self) -> "NewObservation":
        if self.with_serving_chopsticks > self.tables:
            message = "with_serving_chopsticks 不得多于 tables / more than the tables"
            raise PydanticCustomError("more_than_tables", message)
        return self


class ObservationView(DocumentView):
    """An observation."""

    team_id: str
    division: str
    supervisor_id: str
    tables: int
    with_serving_chopsticks: int
    day: date


@router.post("/teams/{team_id}/observations", status_code=201, summary="记录督导情况 / Record an observation")
async def observe(team_id: str, body: NewObservation, caller: Worker, store: StoreDep) -> ObservationView:
    team = await reached(store, caller, Team, team_id)
    await Lookups.of(store).check_open(team.campaign_id)
    supervisor = await member_of(store, team, body.supervisor_id)
    seen = (body.division, body.tables, body.with_serving_chopsticks)
    observation = Observation.made(team, supervisor, *seen, now())
    return await store.commit(observation, ObservationView.of)


@router.get("/teams/{team_id}/observations", summary="督导记录 / The observations of a team")
async def list_observations(team_id: str, caller: Worker, page: Observations) -> Page[ObservationView]:
    await reached(page.store, caller, Team, team_id)
    return await page({"team_id": team_id}, [("at", -1)], ObservationView.of)
