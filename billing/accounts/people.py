"""People, and where they live over time; days are half-open: until is the first day away."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from billing.accounts.desk import AccountRefused, Asked, Desk, Done, event_of, open_account_in
from billing.accounts.person_check import checked_person
from billing.accounts.store import AccountsTransaction
from billing.model import Occupancy, Person
from domain.errors import InvalidInput, UnknownSubject
from domain.events import EventKind
from domain.faults import Fault


class People:
    """Adds and changes people, moves them in and out."""

    _desk: Desk

    def add_person(self, action_id: str, person: Person, actor: str) -> Done:
        """Add a person. Raises InvalidInput (each fault), AccountRefused (the number is taken)."""
        desk = self._desk
        person = checked_person(person)
        asked = Asked(action_id, "add-person", person.id, actor, _told(person))
        desk.check_asked(asked)

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            if tx.person(person.id) is not None:
                raise AccountRefused(f"there is a person {person.id} already")
            tx.save_people(person)
            _tell(tx, desk, person.id, "added", actor, action=action_id)
            return {"person": person.id}

        return desk.once(asked, work)

    def change_person(self, action_id: str, person: Person, actor: str) -> Done:
        """Replace name, phone, e-mail and language of a person.

        Raises InvalidInput, UnknownSubject.
        """
        desk = self._desk
        person = checked_person(person)
        asked = Asked(action_id, "change-person", person.id, actor, _told(person))
        desk.check_asked(asked)

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            before = _known(tx, person.id)
            tx.save_people(person)
            changed = changed_fields(before, person)
            _tell(tx, desk, person.id, f"changed: {', '.join(changed) or 'nothing'}", actor,
                  fields=changed, action=action_id)  # fmt: skip
            return {"person": person.id, "changed": changed}

        return desk.once(asked, work)

    def remove_person(self, action_id: str, person_id: str, actor: str, reason: str) -> Done:
        """Forget a person who lives nowhere now.

        Who never lived anywhere is removed; of somebody with history, name, phone and e-mail are
        blanked and the number stays, so that the history stays whole. Raises UnknownSubject,
        AccountRefused.
        """
        desk = self._desk
        asked = Asked(action_id, "remove-person", person_id, actor, {"reason": reason})
        desk.check_asked(asked, reason)
        today = desk.today()

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            before = _known(tx, person_id)
            history = tx.occupancies(person_id=person_id)
            here = [one for one in history if one.until is None or one.until > today]
            if here:
                raise AccountRefused(f"{person_id} occupies {here[0].account}: move out first")
            if history:
                tx.save_people(Person(person_id, "", language=before.language))
            else:
                tx.drop_person(person_id)
            what = "blanked" if history else "removed"
            _tell(tx, desk, person_id, f"{what}: {reason}", actor, action=action_id)
            return {"person": person_id, "outcome": what}

        return desk.once(asked, work)

    def move_in(
        self,
        action_id: str,
        person_id: str,
        account_id: str,
        since: date,
        actor: str,
        until: date | None = None,
    ) -> Done:
        """Have a person occupy a room from a day on, until a day (the first day away).

        Raises InvalidInput, UnknownSubject, AccountRefused (he occupies it in that time already).
        """
        desk = self._desk
        told = {"person": person_id, "since": since, "until": until}
        asked = Asked(action_id, "move-in", account_id, actor, told)
        desk.check_asked(asked)
        wanted = Occupancy(person_id, account_id, since, until)
        faults = occupancy_faults(wanted)
        if faults:
            raise InvalidInput(faults)

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            _known(tx, person_id)
            open_account_in(tx, account_id)
            occupy_in(tx, wanted)
            words = f"{person_id} moves in on {since}" + (f" until {until}" if until else "")
            tx.tell(
                event_of(desk.now(), EventKind.OCCUPANCY_CHANGED, account_id, words, actor,
                         person=person_id, since=since, until=until, action=action_id)
            )  # fmt: skip
            return {"account": account_id, "person": person_id, "since": since.isoformat()}

        return desk.once(asked, work)

    def move_out(
        self, action_id: str, person_id: str, account_id: str, until: date, actor: str
    ) -> Done:
        """End a person's stay; `until` is his first day away. The balance stays with the room.

        Raises UnknownSubject, AccountRefused (he does not occupy it then).
        """
        desk = self._desk
        told = {"person": person_id, "until": until}
        asked = Asked(action_id, "move-out", account_id, actor, told)
        desk.check_asked(asked)

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            _known(tx, person_id)
            leave_in(tx, person_id, account_id, until)
            tx.tell(
                event_of(desk.now(), EventKind.OCCUPANCY_CHANGED, account_id,
                         f"{person_id} moves out on {until}", actor, person=person_id,
                         until=until, action=action_id)
            )  # fmt: skip
            return {"account": account_id, "person": person_id, "until": until.isoformat()}

        return desk.once(asked, work)


def occupancy_faults(occupancy: Occupancy, source: str = "until") -> list[Fault]:
    """List what is wrong with an occupancy by itself."""
    if occupancy.until is not None and occupancy.until <= occupancy.since:
        words = f"the first day away must be after the first day {occupancy.since}"
        return [Fault(source, f"{words} (given: {occupancy.until})")]
    return []


def overlapping(occupancy: Occupancy, others: Sequence[Occupancy]) -> Occupancy | None:
    """Return the stay of the same person in the same room that shares a day, or None."""
    for other in others:
        same = (other.person, other.account) == (occupancy.person, occupancy.account)
        begins_before_end = other.until is None or occupancy.since < other.until
        ends_after_begin = occupancy.until is None or other.since < occupancy.until
        if same and begins_before_end and ends_after_begin:
            return other
    return None


def occupy_in(tx: AccountsTransaction, wanted: Occupancy) -> None:
    """Add an occupancy within a transaction. Raises AccountRefused where two would overlap."""
    there = tx.occupancies(account_id=wanted.account, person_id=wanted.person)
    other = overlapping(wanted, there)
    if other is not None:
        raise AccountRefused(
            f"{wanted.person} occupies {wanted.account} already,"
            f" from {other.since} {f'until {other.until}' if other.until else 'on'}"
        )
    tx.save_occupancies(wanted)


def leave_in(tx: AccountsTransaction, person_id: str, account_id: str, until: date) -> Occupancy:
    """End an occupancy within a transaction and return it as it was.

    Raises AccountRefused where the person does not occupy the room on the day before.
    """
    for stay in tx.occupancies(account_id=account_id, person_id=person_id):
        if stay.until is None or stay.until > until:
            if stay.since == until:
                # He leaves on the day he came: he was never there.
                tx.drop_occupancy(stay)
                return stay
            if stay.since < until:
                tx.save_occupancies(replace(stay, until=until))
                return stay
    raise AccountRefused(f"{person_id} does not occupy {account_id} up to {until}")


def changed_fields(before: Person, after: Person) -> list[str]:
    """Name what differs; the values themselves are personal and stay out of the audit trail."""
    names = ("name", "phone", "email", "language")
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def _known(tx: AccountsTransaction, person_id: str) -> Person:
    person = tx.person(person_id)
    if person is None:
        raise UnknownSubject(f"no person {person_id!r}")
    return person


def _tell(
    tx: AccountsTransaction, desk: Desk, subject: str, words: str, actor: str, **details: Any
) -> None:
    event = event_of(desk.now(), EventKind.PEOPLE_CHANGED, subject, words, actor, **details)
    tx.tell(event)


def _told(person: Person) -> dict[str, Any]:
    return {name: getattr(person, name) for name in Person.__slots__}
