"""A campaign: the text that households pledge, in versions, and the window in which they may."""

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import BaseModel

from shared.contracts.pledges import CampaignAnnounced
from shared.model.documents import Document, Most, Publishes
from shared.model.problems import InvalidRequest, Problem

from .limits import CODE_MINUTES

MOST_TEXTS = 100
"""Versions of a text: each is shown with the campaign, and a pledge counts for each."""


class OutsideWindow(Problem):
    """The campaign is not open; `opens_at` and `closes_at` say when it is."""

    status, type = 409, "outside-window"
    title, title_en = "不在活动时间内", "Outside of the campaign's window"


class AnotherText(Problem):
    """The form shows another version than the one in force: `text_version` and `text` say which that is."""

    status, type = 409, "another-text"
    title, title_en = "承诺书已更新，请重新阅读", "Another text is in force: read it first"


class PledgeText(BaseModel):
    """One version of what is pledged."""

    number: int
    text: str
    since: datetime


class Campaign(Document):
    """`texts[-1]` is the version in force; one pledge per household counts for each version."""

    collection: ClassVar[str] = "campaigns"
    public = True
    publishes: ClassVar[Publishes] = {CampaignAnnounced: ()}

    title: str
    texts: Annotated[list[PledgeText], Most(MOST_TEXTS)]
    opens_at: datetime
    closes_at: datetime
    ends_at: datetime | None = None
    """When the last code that was sent before the end is good no more, and forms still unproven lapse; None
    once they have."""

    @classmethod
    def opened(
        cls, title: str, text: str, opens_at: datetime, closes_at: datetime, now: datetime
    ) -> "Campaign":
        """A new campaign with the first version of its text. Raises InvalidRequest."""
        campaign = cls(title=title, texts=[], opens_at=opens_at, closes_at=closes_at)
        campaign._set_window(opens_at, closes_at, now)
        campaign.revise(text, now)
        return campaign

    @property
    def text_version(self) -> int:
        """The number of the version in force."""
        return len(self.texts)

    def revise(self, text: str, now: datetime) -> None:
        """Put a new version of the text in force; every household may pledge it anew."""
        self.texts = [*self.texts, PledgeText(number=len(self.texts) + 1, text=text, since=now)]
        self._announce()

    def reschedule(self, opens_at: datetime, closes_at: datetime, now: datetime) -> None:
        """Move the window. Raises InvalidRequest."""
        self._set_window(opens_at, closes_at, now)
        self._announce()

    def ended(self, _: datetime) -> None:
        """No form waits in it any more."""
        self.ends_at = None

    def check_text(self, shown: int) -> None:
        """What a household has read is what it signs. Raises AnotherText."""
        if shown != self.text_version:
            raise AnotherText(text_version=self.text_version, text=self.texts[-1].text)

    def check_open(self, now: datetime) -> None:
        """Raises OutsideWindow."""
        if not self.opens_at <= now < self.closes_at:
            raise OutsideWindow(opens_at=self.opens_at, closes_at=self.closes_at)

    def _set_window(self, opens_at: datetime, closes_at: datetime, now: datetime) -> None:
        """A window that closes before now sent its last codes now."""
        self.opens_at, self.closes_at = opens_at, closes_at
        self.ends_at = max(closes_at, now) + timedelta(minutes=CODE_MINUTES)
        if self.opens_at >= self.closes_at:
            message = "须晚于 opens_at / must be after opens_at"
            raise InvalidRequest(errors=[{"field": "body.closes_at", "message": message, "kind": "window"}])

    def _announce(self) -> None:
        self.record(CampaignAnnounced.of(self))
