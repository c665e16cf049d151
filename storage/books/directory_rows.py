"""Between accounts, people, spans and requests, and the rows that keep them."""

from collections.abc import Mapping
from typing import Any

from billing.accounts.store import ActionRecord, MoneyRequest, RequestKind, RequestState
from billing.model import Account, BalanceMode, Occupancy, Person, RegisterSpan
from domain.site import RoomKind

Row = dict[str, Any]
Stored = Mapping[str, Any]
_ACCOUNT = ("id", "building", "room", "tariff", "credit_limit_micro", "opened_at", "closed_at",
            "floor", "area_m2", "note")  # fmt: skip
_REQUEST = ("id", "account", "amount_micro", "reason", "requested_by", "requested_at", "expires_at",
            "to_account", "recharge", "decided_by", "decided_at", "decision", "entry")  # fmt: skip


def account_row(account: Account) -> Row:
    """Return an account as a row."""
    plain = {name: getattr(account, name) for name in _ACCOUNT}
    return {**plain, "kind": account.kind.value, "mode": account.mode.value}


def account_of(row: Stored) -> Account:
    """Read an account back."""
    return Account(**{**row, "kind": RoomKind(row["kind"]), "mode": BalanceMode(row["mode"])})


def person_row(person: Person) -> Row:
    """Return a person as a row."""
    return {
        "id": person.id,
        "name": person.name,
        "phone": person.phone,
        "email": person.email,
        "language": person.language,
    }


def occupancy_row(occupancy: Occupancy) -> Row:
    """Return an occupancy as a row; its key is person, account and first day."""
    return {
        "person": occupancy.person,
        "account": occupancy.account,
        "since": occupancy.since,
        "until": occupancy.until,
    }


def register_row(span: RegisterSpan) -> Row:
    """Return a register's span as a row; its key is the meter and its beginning."""
    return {
        "meter": span.meter,
        "account": span.account,
        "since": span.since,
        "first_wh": span.first_wh,
        "until": span.until,
        "last_wh": span.last_wh,
        "serial": span.serial,
    }


def request_row(request: MoneyRequest) -> Row:
    """Return a request as a row."""
    plain = {name: getattr(request, name) for name in _REQUEST}
    return {**plain, "kind": request.kind.value, "state": request.state.value}


def request_of(row: Stored) -> MoneyRequest:
    """Read a request back."""
    kind, state = RequestKind(row["kind"]), RequestState(row["state"])
    return MoneyRequest(**{**row, "kind": kind, "state": state})


def action_row(action: ActionRecord) -> Row:
    """Return an action as a row."""
    return {
        "id": action.id,
        "kind": action.kind,
        "subject": action.subject,
        "digest": action.digest,
        "actor": action.actor,
        "done_at": action.done_at,
        "result": dict(action.result),
        "finished": action.finished,
    }


def action_of(row: Stored) -> ActionRecord:
    """Read an action back."""
    return ActionRecord(**row)
