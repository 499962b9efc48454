"""What is said to whom about which event: one table, read it from top to bottom.

A key is an event's name, or `name/variant` where its `kind` or `state` calls for other words. `{names}`
are fields of the event, `{streak:day|days}` is one that is counted, and `place`: where it happened, in full.
A text may use numbers, days and places, never a name, a phone or free text that a person typed (an
invalidation's reason could hold a name), and nothing about anybody's health.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.notifier.code_templates import CODES
from services.notifier.domain.messages import Message
from services.notifier.referral_templates import REFERRALS
from services.notifier.wording import (
    PLACE,
    Language,
    Template,
    Text,
    checked,
    city_officers,
    county_officers,
    signer,
)
from shared.contracts import pledges, referrals
from shared.days import SHANGHAI
from shared.divisions import CITY, path_name
from shared.events import Event

PLEDGES: Mapping[str, Template] = {
    "campaign.announced": Template(
        (city_officers,),
        Text("活动已发布", "公筷公勺活动（文本第 {text_version} 版）：{opens_at} 至 {closes_at}。"),
        Text("Campaign announced", "Pledge campaign (text {text_version}): {opens_at} to {closes_at}."),
    ),
    "pledge.held": Template(
        (signer, county_officers),
        Text("承诺等待审核", "{place}有一份承诺已于 {day} 验证，审核通过后计入接龙。"),
        Text("Pledge under review", "A pledge of {place} was verified on {day} and waits for a review."),
    ),
    "pledge.dropped": Template(
        (signer,),
        Text("承诺未计入", "您的承诺已于 {day} 结束，未计入接龙。如有疑问，请联系当地妇联。"),
        Text("Pledge not counted", "Your pledge ended on {day} without being counted."),
    ),
    "pledge.dropped/lapsed": Template(
        (signer,),
        Text("承诺未完成", "活动已结束，您的承诺未完成手机验证，已于 {day} 自动结束，未计入接龙。"),
        Text("Pledge not completed", "The campaign is over; your unproven pledge ended on {day}."),
    ),
    "pledge.contested": Template(
        (signer,),
        Text(
            "有人再次为您家签署",
            "{day} 有人用别的手机号为您家签署，未计入。如非家人，请联系当地妇联。",
        ),
        Text(
            "Somebody signed for you",
            "On {day} somebody else tried to sign for your household, in vain.",
        ),
    ),
    "pledge.signed": Template(
        (signer,),
        Text("承诺已生效", "感谢您加入公筷公勺行动！您家是{place}接龙的第 {serial} 户。"),
        Text("Your pledge counts", "Thank you! Your household is number {serial} in the chain of {place}."),
    ),
    "pledge.withdrawn": Template(
        (signer,),
        Text("承诺已撤回", "您家的承诺（{place}第 {serial} 户）已于 {day} 撤回。欢迎随时再次加入。"),
        Text("Pledge withdrawn", "Your pledge (number {serial}, {place}) was withdrawn on {day}."),
    ),
    "pledge.invalidated": Template(
        (signer, county_officers),
        Text("承诺已作废", "{place}第 {serial} 户的承诺已于 {day} 作废。如有疑问，请联系当地妇联。"),
        Text("Pledge invalidated", "Pledge number {serial} of {place} was invalidated on {day}."),
    ),
    "signer.erased": Template(
        (signer,),
        Text("个人信息已删除", "您在公筷公勺行动中的个人信息已于 {day} 删除，无法恢复。"),
        Text("Personal data deleted", "Your personal data in the pledge campaign was deleted on {day}."),
    ),
    "member.claimed": Template(
        (county_officers,),
        Text("队员已认领", "{place}宣讲督导队的一名队员已将其信息归入本人账号。"),
        Text("A member signed in", "A member of the team of {place} took what is held into their account."),
    ),
    "member.claim-lapsed": Template(
        (county_officers,),
        Text("认领码已过期", "{place}宣讲督导队有一个认领码未在有效期内使用，可重新发送。"),
        Text("A code was not used", "A code to a member of the team of {place} was not used in time."),
    ),
    "member.erased": Template(
        (county_officers,),
        Text("队员退出", "{place}宣讲督导队的一名队员已退出，其个人信息已删除。"),
        Text("A member left", "A member of the team of {place} left; their personal data was deleted."),
    ),
    "chain.milestone-reached/households": Template(
        (county_officers,),
        Text("接龙达到 {value} 户", "{place}的公筷公勺接龙于 {day} 达到 {value} 户。"),
        Text(
            "{value:household|households}",
            "The chain of {place} reached {value:household|households} on {day}.",
        ),
    ),
    "chain.milestone-reached/coverage": Template(
        (county_officers,),
        Text("覆盖率达到 {value}%", "{place}的公筷公勺覆盖率于 {day} 达到 {value}%（{counted} 户）。"),
        Text(
            "{value}% coverage",
            "{place} reached {value}% coverage on {day} ({counted:household|households}).",
        ),
    ),
    "household.checked-in": Template(
        (signer,),
        Text("打卡成功", "{day} 打卡成功，您家已连续使用公筷公勺 {streak} 天。"),
        Text("Checked in", "Checked in for {day}: {streak:day|days} in a row."),
    ),
    "household.streak-completed": Template(
        (signer,),
        Text("连续 {days} 天，达成！", "祝贺！您家已连续 {days} 天使用公筷公勺。"),
        Text("{days:day|days} in a row!", "Congratulations, {days:day|days} of serving chopsticks in a row."),
    ),
    "talk.moved": Template(
        (county_officers,),
        Text("线上宣讲预告", "{place}将于 {starts_at} 举行线上宣讲。"),
        Text("Talk announced", "An online talk will be held in {place} at {starts_at}."),
    ),
    "talk.moved/cancelled": Template(
        (county_officers,),
        Text("线上宣讲已取消", "{place}原定 {starts_at} 的线上宣讲已取消。"),
        Text("Talk cancelled", "The online talk in {place} at {starts_at} was cancelled."),
    ),
    "talk.held": Template(
        (county_officers,),
        Text("线上宣讲已举行", "{place}于 {day} 举行线上宣讲，{attendees} 人参加。"),
        Text("Talk held", "An online talk was held in {place} on {day} with {attendees:attendee|attendees}."),
    ),
    "observation.recorded": Template(
        (county_officers,),
        Text(
            "新的观察记录", "{place} {day}：观察 {tables} 桌，其中 {with_serving_chopsticks} 桌使用公筷公勺。"
        ),
        Text(
            "Observation",
            "{place}, {day}: serving chopsticks at {with_serving_chopsticks} of {tables:table|tables}.",
        ),
    ),
    "phone.listed": Template(
        (city_officers,),
        Text("号码名单有变动", "有一个号码在允许或拦截名单中的设置已变动。"),
        Text("Phone lists changed", "A phone was put on, or taken off, the allow or block list."),
    ),
    "invalidation.moved": Template(
        (city_officers,),
        Text("批量作废进行中", "批量作废：符合条件 {matched} 户，已作废 {invalidated} 户。"),
        Text(
            "Bulk invalidation",
            "Bulk invalidation: {matched:matches|match}, {invalidated} invalidated so far.",
        ),
    ),
    "invalidation.moved/prepared": Template(
        (city_officers,),
        Text("批量作废待启动", "批量作废已试算：符合条件 {matched} 户，尚未执行。"),
        Text(
            "Bulk invalidation prepared", "A dry count found {matched:pledge|pledges}; nothing was done yet."
        ),
    ),
    "invalidation.moved/done": Template(
        (city_officers,),
        Text("批量作废已完成", "批量作废已完成：符合条件 {matched} 户，作废 {invalidated} 户。"),
        Text(
            "Bulk invalidation done",
            "Of {matched:matching pledge|matching pledges}, {invalidated:was|were} invalidated.",
        ),
    ),
    "invalidation.moved/lifted": Template(
        (city_officers,),
        Text("批量作废条件已解除", "批量作废条件已解除：此前作废 {invalidated} 户，此后提交的承诺正常计入。"),
        Text(
            "Bulk invalidation lifted",
            "Lifted after {invalidated:pledge|pledges}; what comes now counts again.",
        ),
    ),
    "invalidation.moved/cancelled": Template(
        (city_officers,),
        Text("批量作废已取消", "批量作废已取消：取消前作废 {invalidated} 户。"),
        Text(
            "Bulk invalidation cancelled", "Cancelled; {invalidated:pledge|pledges} invalidated before that."
        ),
    ),
}

CONTRACTS = (pledges, referrals)
"""Whose events are told: the texts are held against them when this module is loaded."""
TEMPLATES: Mapping[str, Template] = checked(
    {**CODES, **PLEDGES, **REFERRALS}, dict.fromkeys(CODES, frozenset({"code"}))
)
GONE = (
    Text(
        "较早的消息",
        "这条消息的内容已无法显示，如有疑问请联系当地妇联。",
    ),
    Text("An earlier message", "This message can no longer be shown. Please ask your women's federation."),
)
"""What is said in place of a message whose words were not kept and whose template is gone."""


def template_of(event: Event) -> str:
    """The name of the template for an event: of its variant where there is one."""
    variant = getattr(event, "kind", None) or getattr(event, "state", None)
    special = f"{event.event_name}/{variant}"
    return special if special in TEMPLATES else event.event_name


def kind_of(template: str) -> str:
    """What readers may sort messages by. An event's name says too much about a patient: hers are requests."""
    return "request" if template in REFERRALS else template


def facts_of(event: Event, template: Template) -> dict[str, Any]:
    """What the template needs of the event, as it is shown: nothing else of it is stored."""
    facts = {
        name: f"{value.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if isinstance(value, datetime) else value
        for name, value in event.model_dump(include=set(template.names)).items()
    }
    if PLACE in template.names:
        facts[PLACE] = path_name(event.division or CITY)
    return facts


def said(event: Event, template: Template) -> dict[Language, Text]:
    """What is said about an event, in every language: stored with the message, whose words never change."""
    facts = facts_of(event, template)
    return {"zh": template.text("zh", facts), "en": template.text("en", facts)}


def words_of(message: Message, language: Language) -> Text:
    """A message in a language. One from before the words were kept is made from its facts."""
    if language in message.said:
        return Text(*message.said[language])
    template = TEMPLATES.get(message.template)
    if template is None:
        return GONE[language == "en"]
    return template.text(language, _Known(message.facts))


def kind_shown(message: Message) -> str:
    """What a message is sorted by."""
    known = message.kind or kind_of(message.template)
    return known if message.kind or message.template in TEMPLATES else "earlier"


class _Known(dict[str, Any]):
    """Facts, where those that were not kept are left open."""

    def __missing__(self, _: str) -> str:
        return "…"
