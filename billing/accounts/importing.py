"""Rooms and people out of files: planned first, and applied only as planned."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from billing.accounts.desk import AccountRefused, Asked, Desk, Done, event_of
from billing.accounts.new_account import open_in
from billing.accounts.people import overlapping
from billing.accounts.store import AccountsTransaction, TariffSince
from billing.model import Occupancy
from billing.people_files.columns import PEOPLE, ROOMS
from billing.people_files.people import people_rows, plan_people
from billing.people_files.plan import (
    ChangeRoom,
    FileKind,
    ImportPlan,
    OpenRoom,
    SavePerson,
    SaveStay,
    Step,
)
from billing.people_files.reading import read_sheet
from billing.people_files.rooms import plan_rooms, room_rows
from billing.people_files.writing import write_csv, write_xlsx
from domain.books import room_book
from domain.catalogue.language import Language
from domain.errors import InvalidInput
from domain.events import EventKind
from domain.faults import Fault

FAULTS_MOST = 1_000
SUBJECTS_TOLD = 200


class Importing:
    """Imports and exports rooms and people."""

    _desk: Desk

    def plan_import(self, kind: FileKind, file: str, content: bytes) -> ImportPlan:
        """Say what applying a file would do, and change nothing.

        Raises InvalidInput with every fault of the file: its name, the row, the column.
        """
        desk = self._desk
        sheet, faults = read_sheet(content, file, ROOMS if kind is FileKind.ROOMS else PEOPLE)
        plan: ImportPlan | None = None
        if sheet is not None and kind is FileKind.ROOMS:
            plan, faults = plan_rooms(sheet, file, desk.directory, self._opening_of, desk.rules)
        elif sheet is not None:
            plan, faults = plan_people(sheet, file, desk.directory, desk.today())
        if plan is None:
            shown = faults[:FAULTS_MOST]
            if len(faults) > FAULTS_MOST:
                shown.append(Fault(file, f"and {len(faults) - FAULTS_MOST} more faults"))
            raise InvalidInput(shown)
        return plan

    def apply_import(
        self, action_id: str, kind: FileKind, file: str, content: bytes, digest: str, actor: str
    ) -> Done:
        """Do what a dry run has shown, all of it or nothing; `digest` is the dry run's.

        Raises InvalidInput, AccountRefused where it would do something else by now.
        """
        desk = self._desk
        asked = Asked(action_id, f"import-{kind.value}", file, actor, {"digest": digest})
        desk.check_asked(asked)
        known = desk.done_before(asked)
        if known is not None:
            return known
        plan = self.plan_import(kind, file, content)
        if plan.digest != digest:
            raise AccountRefused(
                "the file, or what it changes, is not what the dry run has shown:"
                " look at a new dry run and apply that"
            )
        for step in plan.steps:
            if isinstance(step, ChangeRoom) and step.after.tariff != step.before.tariff:
                desk.settle(step.before.id)

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            _apply(tx, plan.steps, desk, actor)
            details = {
                "file": file, "digest": digest, "action": action_id, "counts": dict(plan.counts),
                "subjects": [item.subject for item in plan.items[:SUBJECTS_TOLD]],
            }  # fmt: skip
            words = ", ".join(f"{count} {name}" for name, count in plan.counts.items())
            kind_told = (
                EventKind.ACCOUNT_CHANGED if kind is FileKind.ROOMS else EventKind.PEOPLE_CHANGED
            )
            subject = f"import of {kind.value}"
            tx.tell(event_of(desk.now(), kind_told, subject, words, actor, **details))
            return {"digest": digest, "counts": dict(plan.counts)}

        return desk.once(asked, work)

    def export(
        self,
        kind: FileKind,
        form: str = "csv",
        *,
        language: Language = "en",
        history: bool = False,
    ) -> bytes:
        """Write rooms or people as `csv` or `xlsx`, as `plan_import` reads them back."""
        desk = self._desk
        if kind is FileKind.ROOMS:
            columns, rows = ROOMS, room_rows(desk.directory)
        else:
            columns, rows = PEOPLE, people_rows(desk.directory, desk.today(), history)
        write = write_xlsx if form == "xlsx" else write_csv
        return write(rows, columns, language)

    def _opening_of(self, account_id: str) -> int | None:
        posted = self._desk.books.entry(f"opening:{account_id}")
        if posted is None:
            return None
        book = room_book(account_id)
        return sum(leg.amount for leg in posted.entry.legs if leg.account == book)


def _apply(tx: AccountsTransaction, steps: Sequence[Step], desk: Desk, actor: str) -> None:
    now = desk.now()
    rooms = [step.new for step in steps if isinstance(step, OpenRoom)]
    if rooms:
        open_in(tx, rooms, now, actor)
    for step in steps:
        if isinstance(step, ChangeRoom):
            _must_be(step.before, tx.account(step.before.id), step.before.id)
            tx.save_accounts(step.after)
            if step.after.tariff != step.before.tariff:
                tx.save_tariffs(TariffSince(step.after.id, now, step.after.tariff))
    _save_people(tx, [step for step in steps if isinstance(step, SavePerson)])
    _save_stays(tx, [step for step in steps if isinstance(step, SaveStay)])


def _save_people(tx: AccountsTransaction, steps: Sequence[SavePerson]) -> None:
    there = tx.people([step.after.id for step in steps])
    for step in steps:
        _must_be(step.before, there.get(step.after.id), step.after.id)
    tx.save_people(*(step.after for step in steps))


def _save_stays(tx: AccountsTransaction, steps: Sequence[SaveStay]) -> None:
    final: dict[tuple[str, str], dict[date, Occupancy]] = {}
    for stay in tx.stays_of(sorted({step.after.person for step in steps})):
        final.setdefault((stay.person, stay.account), {})[stay.since] = stay
    for step in steps:
        after = step.after
        here = final.setdefault((after.person, after.account), {})
        _must_be(step.before, here.get(after.since), f"{after.person} in {after.account}")
        here[after.since] = after
    # A swap of beds is looked at when all of it is done.
    for step in steps:
        here = final[(step.after.person, step.after.account)]
        others = [one for one in here.values() if one.since != step.after.since]
        if overlapping(step.after, others) is not None:
            raise AccountRefused(f"{step.after.person} occupies {step.after.account} already")
    tx.save_occupancies(*(step.after for step in steps))


def _must_be(planned: object, found: object, name: object) -> None:
    if planned != found:
        raise AccountRefused(f"{name} was changed since the dry run: look at a new one")
