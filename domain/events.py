"""Things that happened and are kept for ever: the audit trail and the field's incidents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How loudly an event speaks."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


class EventKind(StrEnum):
    """The closed list of event kinds."""

    METER_SILENT = "meter-silent"
    METER_BACK = "meter-back"
    BUS_DOWN = "bus-down"
    BUS_BACK = "bus-back"
    CONFIGURATION_FAULT = "configuration-fault"
    ECHO_FOUND = "echo-found"
    VALUE_HELD = "value-held"
    COUNTER_ROLLOVER = "counter-rollover"
    COUNTER_RESET = "counter-reset"
    METER_SWAP = "meter-swap"
    ENERGY_HELD = "energy-held"
    ENERGY_DECIDED = "energy-decided"
    ROLLOVER_COUNTED = "rollover-counted"
    TARIFF_CHANGED = "tariff-changed"
    CAUSE_RAISED = "cause-raised"
    CAUSE_CLEARED = "cause-cleared"
    COMMAND_SENT = "command-sent"
    COMMAND_DONE = "command-done"
    COMMAND_UNPROVEN = "command-unproven"
    RELAY_MOVED_ALONE = "relay-moved-alone"
    RESTORE_LOCKED = "restore-locked"
    TRIPS_LIMITED = "trips-limited"
    APPROVAL = "approval"
    TAMPER = "tamper"
    KEEP_POWER = "keep-power"
    ROSTER_LOADED = "roster-loaded"
    POLICY_CHANGED = "policy-changed"
    STORE_DOWN = "store-down"
    STORE_BACK = "store-back"
    SPOOL_FULL = "spool-full"
    RECORD_DAMAGED = "record-damaged"
    RECORD_REJECTED = "record-rejected"
    CLOCK_JUMP = "clock-jump"
    PURCHASE_CONFIRMED = "purchase-confirmed"
    PURCHASE_REFUSED = "purchase-refused"
    PURCHASE_UNKNOWN = "purchase-unknown"
    PREPAID_DIFFERENCE = "prepaid-difference"
    TOKEN_GUESSES = "token-guesses"  # noqa: S105
    TOKENS_PRINTED = "tokens-printed"
    SERVICE_STARTED = "service-started"
    SERVICE_STOPPED = "service-stopped"
    WORK_FAILING = "work-failing"
    WORK_RESUMED = "work-resumed"
    ARREARS_HELD = "arrears-held"
    MESSAGE_FAILED = "message-failed"
    MESSAGES_STALLED = "messages-stalled"
    MESSAGES_BACK = "messages-back"
    PAYMENT_HELD = "payment-held"
    PAYMENT_SUSPENDED = "payment-suspended"
    PAYMENT_NOTICES_REFUSED = "payment-notices-refused"
    PAYMENT_CHANNEL_DOWN = "payment-channel-down"
    PAYMENT_CHANNEL_BACK = "payment-channel-back"
    REFUND = "refund"
    REFUND_STUCK = "refund-stuck"
    CASH_SHIFT = "cash-shift"
    CASH_VOIDED = "cash-voided"
    STATEMENT_DIFFERS = "statement-differs"
    USER_CHANGED = "user-changed"
    SIGN_IN_FLOOD = "sign-in-flood"
    TOKEN_REUSED = "token-reused"  # noqa: S105 - the name of a kind
    APPEAL_FILED = "appeal-filed"
    APPEAL_ANSWERED = "appeal-answered"
    ACCOUNT_OPENED = "account-opened"
    ACCOUNT_CHANGED = "account-changed"
    ACCOUNT_CLOSED = "account-closed"
    PEOPLE_CHANGED = "people-changed"
    OCCUPANCY_CHANGED = "occupancy-changed"
    ROOM_MOVED = "room-moved"
    METER_ATTACHED = "meter-attached"
    MONEY_REQUESTED = "money-requested"
    MONEY_DECIDED = "money-decided"
    REPORT_SENT = "report-sent"
    REPORT_FAILED = "report-failed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: when, about whom, what kind, who did it, and the particulars.

    `group` names a common cause (a bus, a site): events of one group are one alarm to a person.
    """

    time: datetime
    kind: EventKind
    subject: str
    message: str
    severity: Severity = Severity.INFO
    actor: str = "system"
    group: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
