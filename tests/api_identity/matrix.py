"""Who gets what: every route, every role, and whose room or meter it is.

A row has the status for each role, in the order of `ROLES`. A route about a room or a meter has
three for each: one's own, another's, one that is not there; or one where that makes no
difference. To a student another's looks exactly like one that is not there. Nobody at all gets 401
everywhere but on `open` rows.

To add a route, add a row. `fill` gives path parameters, `send` what httpx sends besides; a
callable in either is called with the case's target for a fresh value. `{account_id}` and `{meter}`
fill themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from campus import METERS, MISSING, OTHER, OWN

ROLES = ("student", "operator", "finance", "facilities", "analyst", "admin")
TARGETS = {"own": OWN, "other": OTHER, "missing": MISSING}
METER_TARGETS = {"own": METERS[OWN], "other": METERS[OTHER], "missing": "B9-9999"}

# One's own alone; any that is there; none.
MINE, ANY, NONE = "200 404 404", "200 200 404", "404 404 404"
_numbers = count(1)


@dataclass(frozen=True)
class Row:
    """The statuses of one route, as words with a status each, in the order of ROLES."""

    student: str
    operator: str
    finance: str
    facilities: str
    analyst: str
    admin: str
    open: bool = False
    fill: Mapping[str, Any] = field(default_factory=dict)
    send: Mapping[str, Any] = field(default_factory=dict)


def fresh(prefix: str) -> Any:
    """Return a maker of names that were not used before."""
    return lambda _target: f"{prefix}{next(_numbers)}"


def key() -> dict[str, Any]:
    """Return the header of a fresh idempotency key."""
    return {"Idempotency-Key": fresh("key-")}


def order_of(target: str) -> str:
    """Return the order that waits in a room."""
    return f"WAIT{target}"


def everybody(**more: Any) -> Row:
    """Return the row of a route that everybody who has signed in may use."""
    return Row("200", "200", "200", "200", "200", "200", **more)


ADMINS = ("403", "403", "403", "403", "403", "200")
OPERATORS = ("403", "200", "403", "403", "403", "200")
WATCHERS = ("403", "200", "403", "200", "403", "200")
FINANCES = ("403", "403", "200", "403", "403", "200")
CASHIERS = ("403", "200", "200", "403", "403", "200")
LEDGER_404 = ("403", "404", "404", "403", "403", "404")
LEDGER_409 = ("403", "409", "409", "403", "403", "409")
LEDGER_422 = ("403", "422", "422", "403", "403", "422")
FINANCE_404 = ("403", "403", "404", "403", "403", "404")
READERS = ("403", "200", "200", "200", "200", "200")
STAFF_404 = ("403", "404", "404", "404", "404", "404")
FINANCE_422 = ("403", "403", "422", "403", "403", "422")
OPERATOR_422 = ("403", "422", "403", "403", "403", "422")
OPERATOR_404 = ("403", "404", "403", "403", "403", "404")
FITTERS_422 = ("403", "422", "403", "422", "403", "422")

ROWS: dict[str, Row] = {
    # health
    "GET /healthz": everybody(open=True),
    "GET /readyz": Row(*WATCHERS),
    "GET /metrics": Row(*WATCHERS),
    # meters and readings
    "GET /api/v1/meters": Row(*READERS),
    "GET /api/v1/latest": Row(*READERS),
    "GET /api/v1/meters/{meter}": Row(MINE, ANY, ANY, ANY, ANY, ANY),
    "GET /api/v1/meters/{meter}/latest": Row(MINE, ANY, ANY, ANY, ANY, ANY),
    "GET /api/v1/meters/{meter}/readings": Row(
        "403 403 403", ANY, "403 403 403", ANY, ANY, ANY
    ),
    # the field
    "GET /api/v1/buses": Row(*WATCHERS),
    "GET /api/v1/causes": Row(*WATCHERS),
    "GET /api/v1/causes/{cause_id}": Row(*WATCHERS, fill={"cause_id": "trip-own"}),
    "GET /api/v1/events": Row(*WATCHERS),
    "GET /api/v1/commands": Row(*WATCHERS),
    "GET /api/v1/commands/{command_id}": Row(*WATCHERS, fill={"command_id": "command-1"}),
    "POST /api/v1/commands": Row(
        *OPERATORS,
        send={
            "json": {"meter": "B2-shop", "action": "trip", "reason": "a test"},
            "headers": key(),
        },
    ),
    "GET /api/v1/approvals": Row(*OPERATORS),
    "POST /api/v1/approvals/{approval_id}": Row(
        *OPERATORS, fill={"approval_id": "a1"}, send={"json": {"reason": "yes"}}
    ),
    # oneself
    "GET /api/v1/me": everybody(),
    "POST /api/v1/me/sign-out": everybody(send={"json": {}}),
    "POST /api/v1/me/password": Row(
        *["401"] * 6, send={"json": {"old": "not the one", "new": "another whale here"}}
    ),
    "GET /api/v1/me/sessions": everybody(),
    "GET /api/v1/me/tokens": everybody(),
    # Only roles that read can be given to a token, and only by those who hold them.
    "POST /api/v1/me/tokens": Row(
        "422", "422", "422", "422", "200", "200",
        send={"json": {"label": "script", "roles": ["analyst"], "days": 1}},
    ),
    "DELETE /api/v1/me/tokens/{token_id}": Row(*["404"] * 6, fill={"token_id": "nobodys"}),
    # rooms
    "GET /api/v1/rooms/{account_id}/balance": Row(MINE, ANY, ANY, NONE, NONE, ANY),
    "GET /api/v1/rooms/{account_id}/trips": Row(MINE, ANY, NONE, NONE, NONE, ANY),
    # An operator sees the room, but an appeal and the relay are for those who live in it.
    "POST /api/v1/rooms/{account_id}/trips/{cause_id}/appeal": Row(
        MINE, "403 403 404", NONE, NONE, NONE, "403 403 404",
        fill={"cause_id": lambda target: f"trip-{target}"},
        send={"json": {"text": "it was my kettle"}},
    ),
    "POST /api/v1/rooms/{account_id}/relay": Row(
        MINE, NONE, NONE, NONE, NONE, "403 403 404",
        send={"json": {"action": "open"}, "headers": key()},
    ),
    "GET /api/v1/appeals": Row(*OPERATORS),
    "GET /api/v1/appeals/{appeal_id}": Row(*OPERATORS, fill={"appeal_id": "appeal-1"}),
    "POST /api/v1/appeals/{appeal_id}": Row(
        *OPERATORS,
        fill={"appeal_id": "appeal-1"},
        send={"json": {"status": "rejected", "answer": "it drew 1.5 kW"}},
    ),
    # payments
    "GET /api/v1/payments/channels": everybody(),
    "POST /api/v1/rooms/{account_id}/orders": Row(
        MINE, ANY, ANY, NONE, NONE, ANY,
        send={"json": {"channel": "paper", "amount_minor": 5000}, "headers": key()},
    ),
    "GET /api/v1/rooms/{account_id}/orders": Row(MINE, ANY, ANY, NONE, NONE, ANY),
    "GET /api/v1/rooms/{account_id}/orders/{order_id}": Row(
        MINE, ANY, ANY, NONE, NONE, ANY, fill={"order_id": order_of}
    ),
    "GET /api/v1/rooms/{account_id}/orders/{order_id}/qr.svg": Row(
        MINE, ANY, ANY, NONE, NONE, ANY, fill={"order_id": order_of}
    ),
    "POST /api/v1/rooms/{account_id}/orders/{order_id}/close": Row(
        MINE, ANY, ANY, NONE, NONE, ANY, fill={"order_id": lambda target: f"SHUT{target}"}
    ),
    "GET /api/v1/rooms/{account_id}/receipts": Row(MINE, ANY, ANY, NONE, NONE, ANY),
    "GET /api/v1/payments/orders": Row(*CASHIERS),
    "POST /api/v1/payments/notices/{channel}": Row(
        *["401"] * 6, open=True, fill={"channel": "paper"}, send={"content": b"{}"}
    ),
    # What follows a role is refused for another reason: no shift, no such thing.
    "POST /api/v1/payments/shifts": Row(*LEDGER_422, send={"json": {"opening_minor": -1}}),
    "POST /api/v1/payments/shifts/close": Row(*LEDGER_422, send={"json": {"counted_minor": -1}}),
    "GET /api/v1/payments/shifts": Row(*CASHIERS),
    "POST /api/v1/payments/cash": Row(
        *LEDGER_409, send={"json": {"account": OWN, "amount_minor": 5000}, "headers": key()}
    ),
    "GET /api/v1/payments/receipts": Row(*CASHIERS),
    "GET /api/v1/payments/receipts/{number}": Row(*LEDGER_404, fill={"number": 999_999}),
    "GET /api/v1/payments/receipts/{number}/page": Row(*LEDGER_404, fill={"number": 999_999}),
    "GET /api/v1/payments/receipts/{number}/slip.pdf": Row(
        *LEDGER_404, fill={"number": 999_999}
    ),
    "POST /api/v1/payments/receipts/{number}/void": Row(
        *LEDGER_404, fill={"number": 999_999}, send={"json": {"reason": "wrong"}}
    ),
    "POST /api/v1/payments/refunds": Row(
        *LEDGER_404,
        send={
            "json": {"order": "none", "amount_minor": 100, "reason": "twice"}, "headers": key()
        },
    ),
    "GET /api/v1/payments/refunds": Row(*CASHIERS),
    "GET /api/v1/payments/refunds/{refund_id}": Row(*LEDGER_404, fill={"refund_id": "none"}),
    "POST /api/v1/payments/refunds/{refund_id}/approve": Row(
        *FINANCE_404, fill={"refund_id": "none"}
    ),
    "POST /api/v1/payments/refunds/{refund_id}/reject": Row(
        *FINANCE_404, fill={"refund_id": "none"}, send={"json": {"reason": "no"}}
    ),
    "POST /api/v1/payments/refunds/{refund_id}/pay-out": Row(
        *LEDGER_404, fill={"refund_id": "none"}
    ),
    "GET /api/v1/payments/notice-log": Row(*FINANCES),
    "GET /api/v1/payments/reviews": Row(*FINANCES),
    "POST /api/v1/payments/reviews/{review_id}/resolve": Row(
        *FINANCE_404, fill={"review_id": "none"}, send={"json": {"note": "seen"}}
    ),
    "POST /api/v1/payments/statements": Row(
        *FINANCES, send={"json": {"channel": "paper", "day": "2026-04-29", "rows": []}}
    ),
    "POST /api/v1/payments/statements/{channel}/{day}/fetch": Row(
        *FINANCES, fill={"channel": "paper", "day": "2026-04-30"}
    ),
    "GET /api/v1/payments/statements/{channel}/{day}": Row(
        *FINANCES, fill={"channel": "paper", "day": "2026-04-30"}
    ),
    # reports
    "GET /api/v1/reports": Row(*FINANCES),
    "GET /api/v1/reports/{name}": Row(
        *FINANCES, fill={"name": "summary"}, send={"params": {"month": "2026-11"}}
    ),
    "GET /api/v1/report-schedules": Row(*FINANCES),
    "PUT /api/v1/report-schedules/{schedule_id}": Row(
        *FINANCES, fill={"schedule_id": "daily"},
        send={
            "json": {
                "report": "recharges", "every": "day", "at": "07:30", "recipients": ["a@b.example"]
            }
        },
    ),
    "GET /api/v1/report-schedules/{schedule_id}": Row(*FINANCES, fill={"schedule_id": "daily"}),
    "GET /api/v1/report-schedules/{schedule_id}/runs": Row(
        *FINANCES, fill={"schedule_id": "daily"}
    ),
    "DELETE /api/v1/report-schedules/{schedule_id}": Row(
        "403", "403", "404", "403", "403", "404", fill={"schedule_id": "none"}
    ),
    # accounts and people: what follows a role is refused for its empty body
    "GET /api/v1/accounts": Row(*READERS),
    "POST /api/v1/accounts": Row(*LEDGER_422, send={"json": {}}),
    "POST /api/v1/accounts/open-all": Row(*CASHIERS),
    "POST /api/v1/accounts/import": Row(*OPERATOR_422, send={"content": b""}),
    "GET /api/v1/accounts/export": Row(*CASHIERS),
    "GET /api/v1/rooms/{account_id}": Row(MINE, ANY, ANY, ANY, ANY, ANY),
    "PATCH /api/v1/rooms/{account_id}": Row(*FINANCE_422, send={"json": {}}),
    "POST /api/v1/rooms/{account_id}/move": Row(*LEDGER_422, send={"json": {}}),
    "POST /api/v1/rooms/{account_id}/meter-change": Row(*FITTERS_422, send={"json": {}}),
    "POST /api/v1/rooms/{account_id}/meters": Row(*FITTERS_422, send={"json": {}}),
    "POST /api/v1/rooms/{account_id}/close": Row(*FINANCE_422, send={"json": {}}),
    "GET /api/v1/rooms/{account_id}/occupants": Row(
        "403", ANY, ANY, "403", "403", ANY
    ),
    "POST /api/v1/rooms/{account_id}/occupants": Row(*OPERATOR_422, send={"json": {}}),
    "POST /api/v1/rooms/{account_id}/occupants/{person_id}/leave": Row(
        *OPERATOR_422, fill={"person_id": "2023001"}, send={"json": {}}
    ),
    "GET /api/v1/people": Row(*CASHIERS),
    "POST /api/v1/people": Row(*OPERATOR_422, send={"json": {}}),
    "GET /api/v1/people/{person_id}": Row(*CASHIERS, fill={"person_id": "2023001"}),
    "PUT /api/v1/people/{person_id}": Row(
        *OPERATOR_422, fill={"person_id": "2023001"}, send={"json": {}}
    ),
    "DELETE /api/v1/people/{person_id}": Row(
        *OPERATOR_404, fill={"person_id": "nobody"},
        send={"params": {"reason": "left"}, "headers": key()},
    ),
    "POST /api/v1/people/import": Row(*OPERATOR_422, send={"content": b""}),
    "GET /api/v1/people/export": Row(*OPERATORS),
    "POST /api/v1/transfers": Row(*LEDGER_422, send={"json": {}}),
    "POST /api/v1/adjustments": Row(*FINANCE_422, send={"json": {}}),
    "POST /api/v1/write-offs": Row(*FINANCE_422, send={"json": {}}),
    "GET /api/v1/money-requests": Row(*CASHIERS),
    "GET /api/v1/money-requests/{request_id}": Row(*LEDGER_404, fill={"request_id": "none"}),
    "POST /api/v1/money-requests/{request_id}/approve": Row(
        *FINANCE_404, fill={"request_id": "none"}, send={"json": {"reason": "yes"}}
    ),
    "POST /api/v1/money-requests/{request_id}/refuse": Row(
        *LEDGER_404, fill={"request_id": "none"}, send={"json": {"reason": "no"}}
    ),
    # tariffs, bills, use
    "GET /api/v1/tariffs": Row(*READERS),
    "GET /api/v1/tariffs/{name}/versions": Row(*STAFF_404, fill={"name": "none"}),
    "POST /api/v1/tariffs/{name}/versions": Row(
        *FINANCE_422, fill={"name": "none"}, send={"json": {}}
    ),
    "POST /api/v1/tariffs/preview": Row(*FINANCE_422, send={"json": {}}),
    "GET /api/v1/rooms/{account_id}/bills": Row(MINE, ANY, ANY, ANY, ANY, ANY),
    "GET /api/v1/rooms/{account_id}/bills/{month}": Row(
        MINE, ANY, ANY, ANY, ANY, ANY, fill={"month": "2026-04"}
    ),
    "GET /api/v1/rooms/{account_id}/usage": Row(MINE, ANY, ANY, ANY, ANY, ANY),
    "GET /api/v1/reviews": Row(*CASHIERS),
    "GET /api/v1/reviews/{review_id}": Row(*LEDGER_404, fill={"review_id": "none"}),
    "POST /api/v1/reviews/{review_id}/decision": Row(
        *LEDGER_422, fill={"review_id": "none"}, send={"json": {}}
    ),
    "GET /api/v1/energy-check": Row("403", "403", "200", "403", "200", "200"),
    # tokens and purchases for prepaid meters
    "POST /api/v1/tokens/batches": Row(*LEDGER_422, send={"json": {}}),
    "GET /api/v1/tokens/batches": Row(*CASHIERS),
    "GET /api/v1/tokens/batches/{batch_id}/sheet": Row(*LEDGER_404, fill={"batch_id": "none"}),
    "GET /api/v1/tokens/batches/{batch_id}/sheet.csv": Row(
        *LEDGER_404, fill={"batch_id": "none"}
    ),
    "POST /api/v1/tokens/sales": Row(*LEDGER_422, send={"json": {}}),
    "GET /api/v1/tokens": Row(*CASHIERS),
    "GET /api/v1/tokens/{serial}": Row(*LEDGER_422, fill={"serial": "T999-1"}),
    "POST /api/v1/tokens/{serial}/void": Row(
        *LEDGER_422, fill={"serial": "T999-1"}, send={"json": {}}
    ),
    "POST /api/v1/rooms/{account_id}/tokens": Row(
        "422 404 404", "422 422 404", "422 422 404", NONE, NONE, "422 422 404",
        send={"json": {}},
    ),
    "GET /api/v1/purchases": Row(*CASHIERS),
    "GET /api/v1/purchases/{purchase_id}": Row(*LEDGER_404, fill={"purchase_id": "none"}),
    "POST /api/v1/purchases/{purchase_id}/release": Row(
        *FINANCE_422, fill={"purchase_id": "none"}, send={"json": {}}
    ),
    "POST /api/v1/purchases/{purchase_id}/settle": Row(
        *FINANCE_422, fill={"purchase_id": "none"}, send={"json": {}}
    ),
    "GET /api/v1/rooms/{account_id}/purchases": Row(MINE, ANY, ANY, NONE, NONE, ANY),
    "POST /api/v1/prepaid-meters/{meter}/take-out": Row(
        *FINANCE_422, fill={"meter": "none"}, send={"json": {}}
    ),
    "GET /api/v1/prepaid-differences": Row(*CASHIERS),
    "POST /api/v1/prepaid-differences/{difference_id}/propose": Row(
        *FINANCE_422, fill={"difference_id": "none"}, send={"json": {}}
    ),
    "POST /api/v1/prepaid-differences/{difference_id}/approve": Row(
        *FINANCE_404, fill={"difference_id": "none"}, send={"json": {}}
    ),
    # messages
    "GET /api/v1/messages": Row(*WATCHERS),
    "GET /api/v1/messages/health": Row(*WATCHERS),
    "GET /api/v1/messages/{message_id}": Row(
        "403", "404", "403", "404", "403", "404", fill={"message_id": "none"}
    ),
    "POST /api/v1/messages/test": Row(*WATCHERS, send={"json": {"person": "2023001"}}),
    "GET /api/v1/me/messages": Row("200", *["404"] * 5),
    "GET /api/v1/me/messages/wishes": Row("200", *["404"] * 5),
    "PUT /api/v1/me/messages/wishes": Row("200", *["404"] * 5, send={"json": {"muted": []}}),
    "GET /api/v1/rooms/{account_id}/level": Row(MINE, ANY, ANY, ANY, NONE, ANY),
    # users
    "GET /api/v1/users": Row(*ADMINS),
    "POST /api/v1/users": Row(
        *ADMINS, send={"json": {"name": fresh("new-"), "roles": ["operator"]}}
    ),
    "GET /api/v1/users/{name}": Row(*ADMINS, fill={"name": "spare"}),
    "PUT /api/v1/users/{name}": Row(
        *ADMINS, fill={"name": "spare"}, send={"json": {"roles": ["finance"]}}
    ),
    "POST /api/v1/users/{name}/reset": Row(*ADMINS, fill={"name": "spare"}),
    "POST /api/v1/users/{name}/sign-out": Row(*ADMINS, fill={"name": "spare"}),
    # signing in
    "GET /api/v1/sign-in/ways": everybody(open=True),
    "POST /api/v1/sign-in": everybody(
        open=True, send={"json": {"user": "spare-2", "password": "a whale in the sea"}}
    ),
    "POST /api/v1/sign-in/token": everybody(
        open=True, send={"json": {"user": "spare-2", "password": "a whale in the sea"}}
    ),
    "POST /api/v1/sign-in/refresh": Row(
        *["403"] * 6, open=True, send={"json": {"refresh_token": "none.1.none"}}
    ),
    "POST /api/v1/sign-in/password": Row(
        *["403"] * 6, open=True,
        send={"json": {"user": fresh("who-"), "code": "AAAA-BBBB", "password": "a whale at sea"}},
    ),
    "POST /api/v1/sign-in/code": Row(*["404"] * 6, open=True, send={"json": {"user": "wang"}}),
    "GET /api/v1/sign-in/with/{provider}": Row(*["404"] * 6, open=True, fill={"provider": "cas"}),
    "GET /api/v1/sign-in/with/{provider}/back": Row(
        *["404"] * 6, open=True, fill={"provider": "cas"}, send={"params": {"state": "x"}}
    ),
}  # fmt: skip
