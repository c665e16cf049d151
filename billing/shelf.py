"""The tariffs in force: which version prices which account when, and how new ones come in."""

import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from billing.calendar import Grid, Pricing, day_start_ms, make_grid, month_bounds_ms, to_ms
from billing.charging_store import ChargingStore, SavedVersion
from billing.tariff import Tariff, TariffBook, TariffVersion
from domain.clock import Clock
from domain.errors import InvalidInput, UnknownSubject
from domain.events import Event, EventKind
from domain.faults import Fault

GRIDS_MOST = 4_000
WRITE_WITHIN_S = 60.0
History = Sequence[tuple[datetime, str]]


@dataclass(frozen=True, slots=True)
class _Priced:
    history: History
    revision: int
    spans: tuple[tuple[int, Pricing], ...]


class TariffShelf:
    """All tariffs with their versions. Thread-safe; answers from memory.

    A version may only begin after today: what has begun may have been billed. One that has not
    begun is replaced by another of its date. `revision` counts the changes.
    """

    def __init__(
        self,
        store: ChargingStore,
        clock: Clock,
        zone: ZoneInfo,
        on_event: Callable[[Event], None],
    ) -> None:
        self._store, self._clock, self._zone, self._on_event = store, clock, zone, on_event
        self._lock = threading.RLock()
        self._saved: dict[str, list[SavedVersion]] = {}
        self._tariffs: dict[str, Tariff] = {}
        self._grids: dict[object, Grid] = {}
        self._priced: dict[str, _Priced] = {}
        self.revision = 0
        for saved in store.tariff_versions():
            self._saved.setdefault(saved.tariff, []).append(saved)
        for name in self._saved:
            self._rebuild(name)

    def tariff(self, name: str) -> Tariff:
        """Return a tariff. Raises UnknownSubject."""
        found = self._tariffs.get(name)
        if found is None:
            raise UnknownSubject(f"no tariff {name!r}")
        return found

    def tariffs(self) -> Mapping[str, Tariff]:
        """Return all tariffs by name."""
        with self._lock:
            return dict(sorted(self._tariffs.items()))

    def history(self, name: str) -> Sequence[SavedVersion]:
        """Return every version ever saved, withdrawn ones too, oldest first."""
        self.tariff(name)
        return tuple(self._saved[name])

    def seed(self, book: TariffBook, actor: str = "site file") -> list[Fault]:
        """Take in the tariffs of a site file; return what can't be taken, and why.

        A version that is known already must be the same; a new one follows the rules of `save`,
        but for tariffs that are new altogether.
        """
        faults: list[Fault] = []
        for name, tariff in book.root.items():
            is_new = name not in self._tariffs
            for version in tariff.versions:
                known = self._of_date(name, version.valid_from)
                if known is not None and _same(known.version, version):
                    continue
                try:
                    self._save(name, tariff, version, actor, "site file", any_date=is_new)
                except InvalidInput as error:
                    where = f"tariffs.{name}.versions[{version.valid_from}]"
                    faults += [Fault(where, fault.message) for fault in error.faults]
        return faults

    def save(
        self, name: str, tariff: Tariff, version: TariffVersion, actor: str, reason: str
    ) -> TariffVersion:
        """Save a version, durably, and return it with its number. Raises InvalidInput where its
        date has come already, StoreUnavailable."""
        return self._save(name, tariff, version, actor, reason, any_date=name not in self._tariffs)

    def _save(
        self, name: str, tariff: Tariff, version: TariffVersion, actor: str, reason: str,
        *, any_date: bool,
    ) -> TariffVersion:  # fmt: skip
        now = self._clock.now()
        today = now.astimezone(self._zone).date()
        with self._lock:
            if not any_date and version.valid_from <= today:
                message = (
                    f"must begin after today, {today}: what was used until then is priced already"
                    f" (given: {version.valid_from})"
                )
                raise InvalidInput([Fault("valid_from", message)])
            known = self._of_date(name, version.valid_from)
            number = len(self._saved.get(name, [])) + 1
            numbered = version.model_copy(update={"number": number})
            kind = tariff.kind.value if tariff.kind else ""
            saved = SavedVersion(name, tariff.title, kind, numbered, now, actor, reason)
            withdraw = known.version.number if known else None
            self._store.save_tariff(saved, withdraw).result(WRITE_WITHIN_S)
            versions = self._saved.setdefault(name, [])
            if known is not None:
                versions[versions.index(known)] = _withdrawn(known, now)
            versions.append(saved)
            self._rebuild(name)
        message = f"version {number} of tariff {name}, valid from {version.valid_from}: {reason}"
        details = {"tariff": name, "version": number, "valid_from": version.valid_from.isoformat()}
        self._on_event(
            Event(now, EventKind.TARIFF_CHANGED, name, message, actor=actor, details=details)
        )
        return numbered

    def spans(self, account: str, history: History) -> tuple[tuple[int, Pricing], ...]:
        """Return from which moment on which version prices an account. Raises UnknownSubject.

        `history` tells the account's tariff from when on; the first also holds before.
        """
        known = self._priced.get(account)
        if known is not None and known.revision == self.revision and known.history == history:
            return known.spans
        spans: list[tuple[int, Pricing]] = []
        for place, (since, name) in enumerate(history):
            until = to_ms(history[place + 1][0]) if place + 1 < len(history) else None
            spans += self._within(name, to_ms(since) if place else 0, until)
        if not spans:
            raise UnknownSubject(f"account {account!r} has no tariff")
        found = _Priced(history, self.revision, tuple(spans))
        self._priced[account] = found
        return found.spans

    def grid(self, month: str, spans: Sequence[tuple[int, Pricing]]) -> Grid:
        """Return a month's stretches; accounts of one tariff share them."""
        start_ms, end_ms = month_bounds_ms(month, self._zone)
        first = max(bisect_right([since for since, _ in spans], start_ms) - 1, 0)
        within = [
            (max(since, start_ms), pricing) for since, pricing in spans[first:] if since < end_ms
        ] or [(start_ms, spans[0][1])]
        within[0] = (start_ms, within[0][1])
        key = (month, *((at, one.tariff, one.version.number) for at, one in within))
        with self._lock:
            found = self._grids.get(key)
            if found is None:
                if len(self._grids) >= GRIDS_MOST:
                    self._grids.clear()
                found = self._grids[key] = make_grid(month, self._zone, within)
            return found

    def _within(self, name: str, since: int, until: int | None) -> list[tuple[int, Pricing]]:
        """Return when which version of a tariff holds between two moments."""
        found: list[tuple[int, Pricing]] = []
        for version in self.tariff(name).versions:
            begin = day_start_ms(version.valid_from, self._zone)
            if found and until is not None and begin >= until:
                break
            if begin <= since or not found:
                found = [(since, Pricing(name, version))]
            else:
                found.append((begin, Pricing(name, version)))
        return found

    def _of_date(self, name: str, day: date) -> SavedVersion | None:
        return next(
            (
                saved
                for saved in self._saved.get(name, [])
                if saved.withdrawn_at is None and saved.version.valid_from == day
            ),
            None,
        )

    def _rebuild(self, name: str) -> None:
        standing = [saved for saved in self._saved[name] if saved.withdrawn_at is None]
        standing.sort(key=lambda saved: saved.version.valid_from)
        newest = self._saved[name][-1]
        self._tariffs[name] = Tariff.model_validate(
            {
                "title": newest.title,
                "kind": newest.kind or None,
                "versions": tuple(saved.version for saved in standing),
            }
        )
        self.revision += 1


def _same(known: TariffVersion, given: TariffVersion) -> bool:
    return known.model_copy(update={"number": given.number}) == given


def _withdrawn(saved: SavedVersion, at: datetime) -> SavedVersion:
    return SavedVersion(
        saved.tariff, saved.title, saved.kind, saved.version, saved.saved_at, saved.actor,
        saved.reason, at,
    )  # fmt: skip


TariffHistory = Callable[[str], History]
