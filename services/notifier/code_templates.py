"""What goes to a phone: its `{code}` is filled in while it is sent, and kept nowhere. See `templates.py`."""

from collections.abc import Mapping

from services.notifier.wording import Template, Text

_CLAIM = Template(
    (),
    Text(
        "认领码",
        "【衢州妇联】您的认领码为 {code}，{valid_minutes} 分钟内有效。请登录本人账号输入，"
        "请勿告诉任何人，包括工作人员。",
    ),
    Text(
        "Code",
        "Enter {code} in your own account within {valid_minutes:minute|minutes}. Tell nobody, nor staff.",
    ),
)

CODES: Mapping[str, Template] = {
    "pledge.code-issued": Template(
        (),
        Text(
            "验证码",
            "【衢州妇联】您的公筷公勺承诺验证码为 {code}，{valid_minutes} 分钟内有效，请勿告诉他人。",
        ),
        Text(
            "Code", "Your serving-chopsticks pledge code is {code}, valid for {valid_minutes:minute|minutes}."
        ),
    ),
    "patient.claim-issued": _CLAIM,
    "member.claim-issued": _CLAIM,
}
