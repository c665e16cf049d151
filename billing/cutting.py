"""Whether arrears may open a relay now, and if not, why."""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from billing.arrears_ports import LevelStore
from billing.levels import WARNINGS, LevelPolicy, LevelState, Told, topic_of
from billing.model import Account, BalanceMode
from domain.errors import StoreUnavailable

# Topics whose first message is known to have been tried; that never changes again.
TRIED_KEPT_MOST = 200_000

log = structlog.get_logger("billing")


class CutGate:
    """Refuses cuts: keep-power, the calendar, a warning nobody was given, stale meter data.

    `reason` answers with one of HELD_BACK, or nothing where a cut is allowed.
    """

    def __init__(
        self,
        policy: LevelPolicy,
        zone: ZoneInfo,
        store: LevelStore,
        meter_age_s: Callable[[str], float | None],
        kept: Callable[[str], bool],
    ) -> None:
        self.policy = policy
        self._zone, self._store = zone, store
        self._meter_age_s, self._kept = meter_age_s, kept
        self._tried: dict[str, datetime] = {}
        self._cuts: deque[datetime] = deque()

    def reason(self, account: Account, state: LevelState, meter: str, now: datetime) -> str:
        """Return what forbids to cut a meter of an account in arrears now; empty: nothing."""
        if account.mode is BalanceMode.METER:
            return "meter-side"
        if self._kept(meter):
            return "keep-power"
        if not self.policy.no_cut.allows(now, self._zone):
            return "calendar"
        if state.cut_at is None and (early := self._too_early(state, now)):
            return early
        age_s = self._meter_age_s(meter)
        if age_s is None or not 0 <= age_s <= self.policy.stale_after_s:
            return "stale"
        return ""

    def due(self, state: LevelState, now: datetime) -> datetime | None:
        """Return when an account in arrears may be cut; a warning not yet sent is sent now.

        None: the calendar lets nobody be cut in the next year.
        """
        since = state.arrears_since or now
        due = max(since, (self.warned_at(state) or now) + self._notice_time)
        return self.policy.no_cut.next_allowed(due, self._zone)

    def warned_at(self, state: LevelState) -> datetime | None:
        """Return when a last warning of this arming was first sent or tried, None = not yet.

        A room without occupants has nobody to be warned; its own time of telling counts.
        """
        moments = []
        for level in WARNINGS:
            told = state.told.get(level)
            if told is None or told.skipped or not told.queued:
                continue
            moments.append(self._first_try(topic_of(state.account, level, told), told))
        return min((at for at in moments if at is not None), default=None)

    def learn(self, states: Iterable[LevelState]) -> None:
        """Ask the store which warnings of accounts in arrears were tried since last asked.

        Where it can't tell nobody knows, and so nobody is cut.
        """
        asked = {
            topic_of(state.account, level, told): told
            for state in states
            if state.arrears_since is not None
            for level, told in state.told.items()
            if level in WARNINGS and told.queued and not told.skipped
        }
        topics = [topic for topic in asked if topic not in self._tried]
        if len(self._tried) + len(topics) > TRIED_KEPT_MOST:
            self._tried.clear()
        try:
            found = self._store.tried(topics) if topics else {}
        except StoreUnavailable as error:
            log.warning("nobody knows which warnings were sent", reason=str(error))
            return
        for topic in topics:
            # All of a warning's messages muted, or none made: then the telling itself counts.
            first_at = found[topic].first_at if topic in found else asked[topic].at
            if first_at is not None:
                self._tried[topic] = first_at

    def take_turn(self, now: datetime) -> bool:
        """Count a cut; say no when this minute has had its share already."""
        while self._cuts and not now - timedelta(minutes=1) < self._cuts[0] <= now:
            self._cuts.popleft()
        if len(self._cuts) >= self.policy.cuts_a_minute:
            return False
        self._cuts.append(now)
        return True

    @property
    def _notice_time(self) -> timedelta:
        return timedelta(minutes=self.policy.warning_before_minutes)

    def _too_early(self, state: LevelState, now: datetime) -> str:
        warned = self.warned_at(state)
        if warned is None:
            late = (state.arrears_since or now) + self._notice_time
            return "untold" if now > late else "warning"
        if now < warned + self._notice_time:
            return "warning"
        due = self.due(state, now)
        return "calendar" if due is None or now < due else ""

    def _first_try(self, topic: str, told: Told) -> datetime | None:
        # Nobody lives there who could have been told: the telling itself counts.
        return self._tried.get(topic) if told.people else told.at
