"""Channels against real servers: what arrives there, and what a failure is told as."""

import email
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from message_servers import (
    HttpServer,
    Request,
    SmtpServer,
    aliyun_signature_fits,
    tencent_signature_fits,
)

from alerts.channels import build_channels
from alerts.model import Answer, Channel, Message
from alerts.settings import MessageSettings
from domain.errors import InvalidInput
from domain.messages import Recipient

NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)
LI = Recipient("s1", "Li Lei", "13800000001", "li+e@example.edu")
NOBODY = Recipient("s2", "Han")


def channel(**settings: Any) -> Channel:
    settings.setdefault("kind", "apprise")
    (made,) = build_channels(MessageSettings.model_validate({"channels": {"test": settings}}))
    return made


def message(of: Channel, **more: Any) -> Message:
    usual: dict[str, Any] = {
        "id": "0123abcd", "key": "k", "topic": "t", "channel": of.name,
        "address": of.address_of(LI), "template": "level-warn", "title": "Low balance",
        "body": "B1 101: 8.50", "created_at": NOON, "due_at": NOON, "person": "s1",
        "values": {"room": "101", "balance": "8.50", "days": None},
    }  # fmt: skip
    return Message(**(usual | more))


@pytest.fixture
def web() -> Iterator[HttpServer]:
    with HttpServer(lambda _: (200, {})) as server:
        yield server


def test_a_webhook_gets_title_body_and_an_idempotency_key(web: HttpServer) -> None:
    hook = channel(url=f"json://{web.host}/notices/{{person}}?+Idempotency-Key={{message}}")
    outcome = hook.send(message(hook))
    assert outcome.answer is Answer.SENT
    (request,) = web.got
    assert request.path.rstrip("/") == "/notices/s1"
    assert request.headers["idempotency-key"] == "0123abcd"
    assert (request.json()["title"], request.json()["message"]) == ("Low balance", "B1 101: 8.50")


def test_a_webhook_that_answers_500_is_tried_again_and_says_why(web: HttpServer) -> None:
    web.answer = lambda _: (500, {})
    hook = channel(url=f"json://user:very-secret@{web.host}/{{person}}")
    outcome = hook.send(message(hook))
    assert outcome.answer is Answer.LATER
    assert "500" in outcome.detail
    assert "very-secret" not in outcome.detail


def test_a_webhook_that_is_not_there_is_tried_again() -> None:
    with HttpServer(lambda _: (200, {})) as gone:
        host = gone.host
    hook = channel(url=f"json://{host}/{{person}}", timeout_s=1)
    assert hook.send(message(hook)).answer is Answer.LATER


def test_an_email_arrives_in_chinese_with_its_attachment(tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    report.write_text("a,b\n")
    with SmtpServer() as smtp:
        mail = channel(
            url=f"mailto://127.0.0.1:{smtp.port}?from=station@example.edu&to={{email}}&mode=insecure"
        )
        outcome = mail.send(
            message(mail, title="电费余额不足", body="仅剩 8.50 元", attachments=(str(report),))
        )
    assert outcome.answer is Answer.SENT
    (got,) = smtp.mails
    assert (got.sender, got.to) == ("station@example.edu", ["li+e@example.edu"])
    parsed = email.message_from_string(got.data, policy=default)
    assert parsed["Subject"] == "电费余额不足"
    body = parsed.get_body(("html", "plain"))
    assert body is not None
    assert "仅剩 8.50 元" in body.get_content()
    assert [part.get_filename() for part in parsed.iter_attachments()] == ["report.csv"]


def test_a_mail_that_is_refused_is_tried_again_and_names_the_mailbox() -> None:
    with SmtpServer() as smtp:
        smtp.refuse = "550 no such mailbox"
        mail = channel(url=f"mailto://127.0.0.1:{smtp.port}?from=a@example.edu&to={{email}}")
        outcome = mail.send(message(mail))
    assert outcome.answer is Answer.LATER
    assert "li+e@example.edu" in outcome.detail  # apprise keeps the server's own words to itself
    assert smtp.mails == []


def test_a_file_that_is_gone_is_no_mail_without_it(web: HttpServer) -> None:
    hook = channel(url=f"json://{web.host}/{{person}}")
    outcome = hook.send(message(hook, attachments=("/nowhere/report.xlsx",)))
    assert outcome.answer is Answer.REFUSED
    assert web.got == []


@pytest.mark.parametrize(
    ("url", "group", "reached"),
    [
        ("wecombot://0a1b2c3d-1111-2222-3333-444455556666", True, ""),
        ("dingtalk://ABCDEF0123456789/{phone}", False, "13800000001"),
        ("feishu://0a1b2c3d4e5f", True, ""),
        ("mailtos://u:p@smtp.example.edu?to={email}", False, "li+e@example.edu"),
        ("jsons://example.edu/{person}?to={phone}", False, "13800000001 s1"),
    ],
)
def test_a_url_that_names_nobody_is_a_group(url: str, group: bool, reached: str) -> None:
    made = channel(url=url)
    assert (made.is_group, made.address_of(LI), made.address_of(NOBODY)) == (
        group, reached, "",
    )  # fmt: skip


def test_a_channel_of_one_building_serves_no_other() -> None:
    made = channel(url="feishu://0a1b2c3d4e5f", buildings=["B1"])
    assert [made.serves(building, "test") for building in ("B1", "B2", "")] == [True, False, True]


def test_every_channel_that_is_wrong_is_named() -> None:
    settings = MessageSettings.model_validate(
        {
            "channels": {
                "one": {"kind": "apprise", "url": "nothing://here"},
                "two": {"kind": "apprise", "url": "wecombot://"},
            }
        }
    )
    with pytest.raises(InvalidInput) as error:
        build_channels(settings)
    assert [fault.source for fault in error.value.faults] == [
        "messages.channels.one.url",
        "messages.channels.two.url",
    ]


def test_an_sdk_that_is_not_installed_is_a_fault_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alerts.channels.find_spec", lambda _name: None)
    with pytest.raises(InvalidInput, match=r"messages\.channels\.test: .*make providers"):
        tencent("127.0.0.1:1")


# --- SMS ------------------------------------------------------------------------------------

SMS = {
    "sign_name": "某某大学",
    "secure": False,
    "templates": {
        "level-warn": {"id": "SMS_1", "values": ["room", "balance", "days"]},
        "level-last.en": {"id": "SMS_2"},
    },
}


def aliyun(host: str) -> Channel:
    keys = {"access_key_id": "AKID", "access_key_secret": "the-secret"}
    return channel(kind="aliyun-sms", endpoint=host, **keys, **SMS)


def tencent(host: str) -> Channel:
    keys = {"secret_id": "SID", "secret_key": "the-secret", "app_id": "1400"}
    return channel(kind="tencent-sms", endpoint=host, **keys, **SMS)


class Aliyun:
    """The provider's side: it refuses what is not signed, and remembers what it was given."""

    def __init__(self) -> None:
        self.code = "OK"
        self.given: list[dict[str, str]] = []

    def __call__(self, request: Request) -> tuple[int, Any]:
        if not aliyun_signature_fits(request, "the-secret"):
            return 400, {"Code": "SignatureDoesNotMatch", "Message": "no", "RequestId": "r"}
        form = request.query | dict(_form(request.body))
        if request.headers["x-acs-action"] == "QuerySendDetails":
            rows = [
                {"OutId": one["OutId"], "PhoneNum": one["PhoneNumbers"], "SendStatus": 3}
                for one in self.given
                if one["PhoneNumbers"] == form["PhoneNumber"]
            ]
            dtos = {"SmsSendDetailDTO": rows}
            return 200, {"Code": "OK", "SmsSendDetailDTOs": dtos, "TotalCount": len(rows)}
        if self.code == "OK":
            self.given.append(form)
        return 200, {"Code": self.code, "Message": "words", "BizId": "biz-7", "RequestId": "r"}


def _form(body: bytes) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl

    return parse_qsl(body.decode())


def test_aliyun_takes_a_signed_message_with_its_values() -> None:
    provider = Aliyun()
    with HttpServer(provider) as server:
        sms = aliyun(server.host)
        outcome = sms.send(message(sms))
    assert (outcome.answer, outcome.provider_ref) == (Answer.SENT, "biz-7")
    (given,) = provider.given
    assert (given["PhoneNumbers"], given["TemplateCode"]) == ("13800000001", "SMS_1")
    assert (given["SignName"], given["OutId"]) == ("某某大学", "0123abcd")
    values = {"room": "101", "balance": "8.50", "days": "-"}
    assert json.loads(given["TemplateParam"]) == values


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL", Answer.LATER),
        ("isv.AMOUNT_NOT_ENOUGH", Answer.LATER),
        ("isv.MOBILE_NUMBER_ILLEGAL", Answer.REFUSED),
    ],
)
def test_aliyun_codes_say_whether_to_try_again(code: str, answer: Answer) -> None:
    provider = Aliyun()
    provider.code = code
    with HttpServer(provider) as server:
        sms = aliyun(server.host)
        outcome = sms.send(message(sms))
    assert (outcome.answer, outcome.detail) == (answer, f"{code}: words")
    assert len(server.got) == 1


def test_a_wrong_secret_is_noticed_by_the_aliyun_server_and_told() -> None:
    provider = Aliyun()
    with HttpServer(provider) as server:
        keys = {"access_key_id": "AKID", "access_key_secret": "wrong"}
        sms = channel(kind="aliyun-sms", endpoint=server.host, **keys, **SMS)
        outcome = sms.send(message(sms))
    assert provider.given == []
    assert outcome.answer is Answer.LATER
    assert "SignatureDoesNotMatch" in outcome.detail


def test_aliyun_is_asked_before_an_uncertain_message_goes_again() -> None:
    provider = Aliyun()
    with HttpServer(provider) as server:
        sms = aliyun(server.host)
        before = sms.was_sent(message(sms))
        sms.send(message(sms))
        after = sms.was_sent(message(sms))
    assert before is not None
    assert before.answer is Answer.LATER
    assert after is not None
    assert after.answer is Answer.SENT
    assert sms.was_sent(message(sms)) is None  # the server is gone: nobody can tell


class Tencent:
    """The provider's side of Tencent Cloud."""

    def __init__(self) -> None:
        self.code = "Ok"
        self.given: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> tuple[int, Any]:
        if not tencent_signature_fits(request, "the-secret"):
            error = {"Code": "AuthFailure.SignatureFailure", "Message": "no"}
            return 200, {"Response": {"Error": error, "RequestId": "r"}}
        self.given.append(request.json())
        status = {
            "SerialNo": "5000:1", "PhoneNumber": "+8613800000001", "Fee": 1,
            "SessionContext": request.json()["SessionContext"], "Code": self.code,
            "Message": "words", "IsoCode": "CN",
        }  # fmt: skip
        return 200, {"Response": {"SendStatusSet": [status], "RequestId": "r"}}


def test_tencent_takes_a_signed_message_with_its_values() -> None:
    provider = Tencent()
    with HttpServer(provider) as server:
        sms = tencent(server.host)
        outcome = sms.send(message(sms))
    assert (outcome.answer, outcome.provider_ref) == (Answer.SENT, "5000:1")
    assert provider.given == [
        {
            "PhoneNumberSet": ["13800000001"],
            "SmsSdkAppId": "1400",
            "SignName": "某某大学",
            "TemplateId": "SMS_1",
            "TemplateParamSet": ["101", "8.50", "-"],
            "SessionContext": "0123abcd",
        }
    ]


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("LimitExceeded.PhoneNumberDailyLimit", Answer.LATER),
        ("FailedOperation.InsufficientBalanceInSmsPackage", Answer.LATER),
        ("InvalidParameterValue.IncorrectPhoneNumber", Answer.REFUSED),
    ],
)
def test_tencent_codes_say_whether_to_try_again(code: str, answer: Answer) -> None:
    provider = Tencent()
    provider.code = code
    with HttpServer(provider) as server:
        sms = tencent(server.host)
        outcome = sms.send(message(sms))
    assert (outcome.answer, outcome.detail) == (answer, f"{code}: words")


def test_a_wrong_secret_is_noticed_by_the_tencent_server_and_told() -> None:
    provider = Tencent()
    with HttpServer(provider) as server:
        keys = {"secret_id": "SID", "secret_key": "wrong", "app_id": "1400"}
        sms = channel(kind="tencent-sms", endpoint=server.host, **keys, **SMS)
        outcome = sms.send(message(sms))
    assert provider.given == []
    assert (outcome.answer, outcome.detail) == (
        Answer.LATER,
        "AuthFailure.SignatureFailure: no",
    )


def test_an_sms_without_a_registered_text_is_not_sent() -> None:
    sms = aliyun("127.0.0.1:1")
    assert [sms.serves("B1", name) for name in ("level-warn", "level-last", "test")] == [
        True, True, False,
    ]  # fmt: skip
    chinese = message(sms, template="level-last", language="zh-CN")
    assert sms.send(chinese).answer is Answer.REFUSED  # only English is registered
