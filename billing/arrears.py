"""Arrears: who is told of a low balance, and whose power may be cut for it now."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import structlog

from billing.arrears_notices import level_notice, money_text
from billing.arrears_ports import LevelStore, LevelView, Tell, Withdraw
from billing.cutting import CutGate
from billing.levels import (
    WARNINGS,
    Level,
    LevelPolicy,
    LevelState,
    Standing,
    level_of,
    rearmed,
    topic_of,
    with_queued,
    with_told,
    without,
)
from billing.model import Account, Directory, Person
from domain.causes import CauseKind, Evidence, RuleMode, Verdict
from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.events import Event, EventKind, Severity
from domain.messages import Notice

RULE = "arrears"
# So many rows a write: the ledger has other writers, who must not wait long.
A_WRITE = 200
T = TypeVar("T")
# A cut that is due and does not come for one of these has to be explained to the office.
EXPLAINED = frozenset({"untold", "stale", "keep-power", "no-meter"})
# These end the cause: a keep-power released at night would else cut the room at night.
NOT_HELD_OPEN = frozenset({"meter-side", "keep-power"})

log = structlog.get_logger("billing")


@dataclass(slots=True)
class _Round:
    """What one round has found so far."""

    now: datetime
    verdicts: list[Verdict] = field(default_factory=list)
    notices: list[tuple[Level, Notice]] = field(default_factory=list)

    def say(self, meter: str, violated: bool | None, evidence: Evidence | None = None) -> None:
        """Add a verdict on a meter."""
        verdict = Verdict(
            meter, CauseKind.ARREARS, RULE, RuleMode.TRIP, violated, self.now, evidence
        )
        self.verdicts.append(verdict)


class ArrearsKeeper:
    """Tells occupants of low balances, and says for every meter whether arrears hold it open.

    `balance_micro` gives what is left of an account, use up to now taken off (None = cannot tell);
    `meter_age_s` the age of a meter's last good reading; `days_left` a forecast (None = cannot
    tell); `kept` says whether keep-power holds a meter on. Thread-safe; rounds come one after the
    other, so hand verdicts on by `check_and_send` and the newest word arrives last.
    Raises StoreUnavailable when it is made and the store can't be read.
    """

    def __init__(
        self,
        balance_micro: Callable[[str], int | None],
        directory: Directory,
        policy: LevelPolicy,
        store: LevelStore,
        clock: Clock,
        zone: ZoneInfo,
        meter_age_s: Callable[[str], float | None],
        tell: Tell,
        *,
        withdraw: Withdraw = lambda _topics: None,
        days_left: Callable[[str], float | None] = lambda _account: None,
        kept: Callable[[str], bool] = lambda _meter: False,
        on_event: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self._balance, self._directory, self._policy = balance_micro, directory, policy
        self._store, self._clock, self._zone = store, clock, zone
        self._tell, self._withdraw = tell, withdraw
        self._days_left, self._on_event = days_left, on_event
        self._gate = CutGate(policy, zone, store, meter_age_s, kept)
        self._states = {state.account: state for state in store.states()}
        self._unsaved: set[str] = set()
        self._left: dict[str, None] = {}
        self._held: dict[str, str] = {}
        self._explained: dict[str, str] = {}
        self._one_at_a_time = threading.Lock()

    def set_policy(self, policy: LevelPolicy) -> None:
        """Put another policy in force from the next round on."""
        with self._one_at_a_time:
            self._policy = self._gate.policy = policy

    def check(
        self, accounts: Iterable[str] | None = None, now: datetime | None = None
    ) -> list[Verdict]:
        """Look at some accounts, or all, and return a verdict for every meter of theirs.

        True = open for arrears, False = arrears do not hold it, None = cannot tell or not now.
        What people have to be told is in the outbox when it returns; where the store is down a
        later round does that, and the verdicts stand all the same.
        """
        with self._one_at_a_time:
            return self._check(accounts, now or self._clock.now())

    def check_and_send(
        self,
        accounts: Iterable[str] | None,
        send: Callable[[Sequence[Verdict]], object],
        now: datetime | None = None,
    ) -> list[Verdict]:
        """Look at accounts and hand the verdicts on before any other round begins.

        `send` must be quick and keep the order, as `asyncio.run_coroutine_threadsafe` does: else a
        round that began before a payment could speak after the one that saw it.
        """
        with self._one_at_a_time:
            verdicts = self._check(accounts, now or self._clock.now())
            send(verdicts)
            return verdicts

    def level(self, account: str, now: datetime | None = None) -> LevelView | None:
        """Return how an account stands, None for one that is not there."""
        found = self._directory.account(account)
        if found is None:
            return None
        balance, days = self._balance(account), self._days_left(account)
        if balance is None:
            return LevelView(
                account, None, None, found.credit_limit_micro, days, held_back="balance-unknown"
            )
        standing = Standing(balance, found.credit_limit_micro, days)
        view = LevelView(
            account, level_of(self._policy, standing), balance, found.credit_limit_micro, days
        )
        if not standing.is_arrears:
            return view
        state = self._states.get(account, LevelState(account))
        due = None if state.cut_at else self._gate.due(state, now or self._clock.now())
        return replace(
            view,
            arrears_since=state.arrears_since,
            cut_due=due,
            cut_at=state.cut_at,
            held_back=self._held.get(account, ""),
        )

    def reached(self, account: str) -> Level | None:
        """Return the gravest level an account has reached, from memory; None = cannot tell."""
        found, balance = self._directory.account(account), self._balance(account)
        if found is None or balance is None:
            return None
        standing = Standing(balance, found.credit_limit_micro, self._days_left(account))
        return level_of(self._policy, standing)

    def days_left(self, account: str) -> float | None:
        """Return for how many days the balance will last, None = cannot tell."""
        return self._days_left(account)

    def _check(self, accounts: Iterable[str] | None, now: datetime) -> list[Verdict]:
        this = _Round(now)
        if accounts is None:
            accounts = [account.id for account in self._directory.accounts(open_only=False)]
        names = list(dict.fromkeys(accounts))
        self._gate.learn(self._states[name] for name in names if name in self._states)
        for name in names:
            account = self._directory.account(name)
            if account is not None:
                self._look(this, account)
        try:
            self._keep(this)
        except StoreUnavailable as error:
            log.warning("levels could not be written; a later round does", reason=str(error))
        return this.verdicts

    def _look(self, this: _Round, account: Account) -> None:
        spans = self._directory.registers(account.id)
        meters = [span.meter for span in spans if span.until is None]
        for meter in {span.meter for span in spans} - set(meters):
            # It counted for this account once; nothing that is owed here may hold it open now.
            if self._directory.account_of_meter(meter) is None:
                this.say(meter, violated=False)
        state = self._states.get(account.id, LevelState(account.id))
        if account.closed_at is not None:
            self._put(replace(without(state, state.told), arrears_since=None, cut_at=None))
            return
        balance = self._balance(account.id)
        if balance is None:
            self._hold_back(this, account, "balance-unknown")
            for meter in meters:
                this.say(meter, violated=None)
            return
        standing = Standing(balance, account.credit_limit_micro, self._days_left(account.id))
        state = self._levelled(this, account, state, standing)
        if standing.is_arrears:
            state = self._judge(this, account, state, standing, meters)
        else:
            for meter in meters:
                this.say(meter, violated=False)
        self._put(state)

    def _levelled(
        self, this: _Round, account: Account, before: LevelState, standing: Standing
    ) -> LevelState:
        """Arm what was left behind, and tell the level that is reached."""
        state = before
        if standing.is_arrears:
            state = replace(state, arrears_since=state.arrears_since or this.now)
        else:
            # The next cut after one that was paid off needs a warning of its own.
            state = without(state, WARNINGS) if state.cut_at else state
            state = replace(state, arrears_since=None, cut_at=None)
            self._held.pop(account.id, None)
            self._explained.pop(account.id, None)
        state = rearmed(self._policy, state, standing)
        for level, told in before.told.items():
            if level not in state.told and told.people:
                self._left[topic_of(account.id, level, told)] = None
        level = level_of(self._policy, standing)
        return state if level is Level.ENOUGH else self._told(this, account, state, level, standing)

    def _told(
        self,
        this: _Round,
        account: Account,
        state: LevelState,
        level: Level,
        standing: Standing,
    ) -> LevelState:
        day = this.now.astimezone(self._zone).date()
        here: dict[str, Person] = {
            person.id: person for person in self._directory.occupants(account.id, day)
        }
        state, new = with_told(state, level, here, this.now)
        people = [here[one] for one in new if one in here]
        if people:
            warns = level in WARNINGS
            notice = level_notice(
                account,
                level,
                topic_of(account.id, level, state.told[level]),
                standing,
                self._gate.due(state, this.now) if warns else None,
                people,
                zone=self._zone,
                urgent=self._policy.warning_urgent,
            )
            this.notices.append((level, notice))
        return state

    def _judge(
        self,
        this: _Round,
        account: Account,
        state: LevelState,
        standing: Standing,
        meters: Sequence[str],
    ) -> LevelState:
        """Say for each meter of an account in arrears whether it may be cut now."""
        reasons = {meter: self._gate.reason(account, state, meter, this.now) for meter in meters}
        cut = [meter for meter, reason in reasons.items() if not reason]
        if cut and state.cut_at is None and not self._gate.take_turn(this.now):
            reasons |= dict.fromkeys(cut, "turn")
        for meter, reason in reasons.items():
            evidence = self._evidence(state, standing, reason)
            violated = True if not reason else False if reason in NOT_HELD_OPEN else None
            this.say(meter, violated, evidence if violated is not None else None)
        held = next(filter(None, reasons.values()), "") if meters else "no-meter"
        self._hold_back(this, account, held)
        if state.cut_at is None and any(not reason for reason in reasons.values()):
            return replace(state, cut_at=this.now)
        return state

    def _hold_back(self, this: _Round, account: Account, reason: str) -> None:
        self._held[account.id] = reason
        if reason not in EXPLAINED or self._explained.get(account.id) == reason:
            return
        self._explained[account.id] = reason
        self._on_event(
            Event(
                this.now,
                EventKind.ARREARS_HELD,
                account.id,
                f"a cut for arrears is held back: {reason}",
                Severity.WARNING,
                group=f"arrears-held:{reason}",
                details={"reason": reason, "building": account.building, "room": account.room},
            )
        )

    def _evidence(self, state: LevelState, standing: Standing, reason: str) -> Evidence:
        warned = self._gate.warned_at(state)
        since = state.arrears_since
        return Evidence(
            RULE,
            matched={
                "balance": money_text(standing.balance_micro),
                "balance_micro": standing.balance_micro,
                "arrears_since": since.isoformat() if since else None,
                "warned_at": warned.isoformat() if warned else None,
                "held_back": reason,
            },
            limits={
                "limit": money_text(-standing.credit_limit_micro),
                "limit_micro": -standing.credit_limit_micro,
            },
        )

    def _put(self, state: LevelState) -> None:
        if self._states.get(state.account, LevelState(state.account)) != state:
            self._states[state.account] = state
            self._unsaved.add(state.account)

    def _keep(self, this: _Round) -> None:
        """Write down what shall be told, then hand it over, then note that it was.

        A crash in between hands it over again under the same topic, which changes nothing.
        """
        if self._unsaved:
            for part in _parts(sorted(self._unsaved)):
                self._store.save([self._states[name] for name in part])
                self._unsaved.difference_update(part)
        if self._left:
            self._withdraw(list(self._left))
            self._left.clear()
        for told in _parts(this.notices):
            self._tell([notice for _, notice in told])
            for level, notice in told:
                self._put(with_queued(self._states[notice.account], level))


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), A_WRITE):
        yield items[at : at + A_WRITE]
