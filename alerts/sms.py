"""What SMS providers have in common: registered texts, phone numbers, answers in words."""

from collections.abc import Mapping, Sequence

from alerts.model import Answer, Message, Outcome
from alerts.settings import SmsTemplate

# Providers refuse longer values; a room's name is cut rather than the whole message lost.
VALUE_MOST = 35
DETAIL_MOST = 500


def template_for(templates: Mapping[str, SmsTemplate], message: Message) -> SmsTemplate | None:
    """Return the registered text of a message in its language, or in any."""
    own = templates.get(f"{message.template}.{message.language}")
    return own or templates.get(message.template)


def has_template(templates: Mapping[str, SmsTemplate], template: str) -> bool:
    """Say whether some language of a template is registered."""
    return any(name == template or name.startswith(f"{template}.") for name in templates)


def values_of(template: SmsTemplate, message: Message) -> dict[str, str]:
    """Return the values a registered text takes, in its order; what is missing is a dash."""
    return {name: _short(message.values.get(name)) for name in template.values}


def _short(value: object) -> str:
    return "-" if value is None else str(value)[:VALUE_MOST]


def by_code(code: str, words: str, refused: Sequence[str], provider_ref: str = "") -> Outcome:
    """Return the outcome of a provider's error code: a bad number is for ever, the rest is tried
    again, for somebody may mend the account, the signature or the text meanwhile."""
    is_refused = any(code.startswith(one) for one in refused)
    answer = Answer.REFUSED if is_refused else Answer.LATER
    return Outcome(answer, f"{code}: {words}"[:DETAIL_MOST], provider_ref)
