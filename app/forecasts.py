"""Days-left forecasts of rooms: from each one's own days, worked out once a day."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from billing.bills import UsageStep
from billing.charger import Charger
from billing.forecast import LOOK_BACK_DAYS, DayCost, Usual, days_left, usual_of
from domain.clock import Clock
from domain.errors import UnknownSubject

KEPT_MOST = 100_000


class Forecasts:
    """For how many days each balance lasts. What days usually cost is kept until midnight."""

    def __init__(
        self,
        charger: Charger,
        clock: Clock,
        zone: ZoneInfo,
        is_working_day: Callable[[date], bool],
    ) -> None:
        self._charger, self._clock, self._zone = charger, clock, zone
        self._is_working_day = is_working_day
        self._usual: dict[str, tuple[date, Usual | None]] = {}

    def days_left(self, account: str) -> float | None:
        """Return for how many days a balance lasts, None = cannot tell."""
        balance_micro = self._charger.balance_micro(account)
        if balance_micro is None:
            return None
        now = self._clock.now().astimezone(self._zone)
        return days_left(self._of(account, now), balance_micro, now, self._is_off)

    def _of(self, account: str, now: datetime) -> Usual | None:
        today = now.date()
        known = self._usual.get(account)
        if known is not None and known[0] == today:
            return known[1]
        if len(self._usual) >= KEPT_MOST:
            self._usual.clear()
        usual = self._look_back(account, now)
        self._usual[account] = (today, usual)
        return usual

    def _look_back(self, account: str, now: datetime) -> Usual | None:
        start = now.replace(hour=0, minute=0, second=0, microsecond=0)
        since = start - timedelta(days=LOOK_BACK_DAYS)
        try:
            rows = self._charger.usage(account, since, start, UsageStep.DAY)
        except UnknownSubject:
            return None
        history = [DayCost(row.start.astimezone(self._zone).date(), row.cost_micro) for row in rows]
        return usual_of(history, start.date(), self._is_off)

    def _is_off(self, day: date) -> bool:
        return not self._is_working_day(day)
