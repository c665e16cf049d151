"""Changing a meter (换表): the last reading of the old one, the first of the new one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from billing.accounts.desk import (
    AccountRefused,
    Asked,
    Desk,
    Done,
    Reading,
    event_of,
    open_account_in,
)
from billing.accounts.new_account import attach_in, register_faults
from billing.accounts.store import AccountsTransaction
from billing.model import RegisterSpan
from domain.errors import InvalidInput
from domain.events import EventKind
from domain.faults import Fault

# A circuit may carry a little more than its rating, and clocks differ a little.
MARGIN = 1.25
MARGIN_WH = 1000
# Where a circuit's rating is not known: three phases of 100 A.
MOST_W = 69_000.0
SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class MeterChange:
    """What was found on site: `meter` goes out at `final_wh`, `new_meter` begins at `first_wh`.

    Names are the roster's; the new device may keep the old name. `final_reason` says why a final
    reading that looks wrong is right all the same (a counter that went round, a dead display).
    """

    meter: str
    final_wh: int
    first_wh: int
    new_meter: str = ""
    serial: str = ""
    at: datetime | None = None
    final_reason: str = ""


class Meters:
    """Records exchanges of meters."""

    _desk: Desk

    def change_meter(
        self, action_id: str, account_id: str, change: MeterChange, actor: str, reason: str
    ) -> Done:
        """End a register with its final reading and begin another, and settle before and after.

        A final reading below the last known one, or above what the circuit can have carried
        since, needs `final_reason`. Raises InvalidInput, UnknownSubject, AccountRefused, and what
        settling raises.
        """
        desk = self._desk
        told = {name: getattr(change, name) for name in MeterChange.__slots__}
        asked = Asked(action_id, "change-meter", account_id, actor, {**told, "reason": reason})
        desk.check_asked(asked, reason)
        faults = [
            *register_faults("final_wh", change.final_wh),
            *register_faults("first_wh", change.first_wh),
        ]
        moment = change.at or desk.now()
        if moment > desk.now():
            faults.append(Fault("at", f"{moment.isoformat()} is still to come"))
        if faults:
            raise InvalidInput(faults)
        known = desk.done_before(asked)
        if known is not None:
            return known
        desk.known_account(account_id)
        desk.settle(account_id)
        last = desk.reading_of(change.meter)
        held = desk.held_in_meter(change.meter)
        if held and not change.final_reason.strip():
            raise AccountRefused(f"{held}: take it back first, or say why not (final_reason)")

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            open_account_in(tx, account_id)
            old = _counting(tx, account_id, change.meter)
            _check_final(old, last, change, moment)
            new_name = change.new_meter or change.meter
            new = RegisterSpan(new_name, account_id, moment, change.first_wh, serial=change.serial)
            tx.save_register(replace(old, until=moment, last_wh=change.final_wh))
            attach_in(tx, new)
            result = {
                "account": account_id, "meter": change.meter, "final_wh": change.final_wh,
                "old_serial": old.serial, "new_meter": new_name, "first_wh": change.first_wh,
                "serial": change.serial, "at": moment.isoformat(),
            }  # fmt: skip
            words = (
                f"exchanged at {change.final_wh} Wh; {new_name} begins at {change.first_wh} Wh"
                f" for {account_id}: {reason}"
            )
            tx.tell(
                event_of(
                    desk.now(), EventKind.METER_SWAP, change.meter, words, actor, reason=reason,
                    final_reason=change.final_reason, action=action_id,
                    last_known_wh=last.energy_wh if last else None, **result,
                )
            )  # fmt: skip
            return result

        done = desk.once(asked, work)
        # What the old register counted after its last reading by wire.
        desk.settle(account_id)
        return done


def _counting(tx: AccountsTransaction, account_id: str, meter: str) -> RegisterSpan:
    for span in tx.registers(meter=meter):
        if span.until is None and span.account == account_id:
            return span
    raise AccountRefused(f"the meter {meter} does not count for {account_id}")


def _check_final(
    old: RegisterSpan, last: Reading | None, change: MeterChange, moment: datetime
) -> None:
    if moment <= old.since:
        raise AccountRefused(f"the meter {old.meter} counts since {old.since.isoformat()} only")
    doubt = final_doubt(old, last, change.final_wh, moment)
    if doubt and not change.final_reason.strip():
        raise AccountRefused(f"{doubt}; say why it is right all the same (final_reason)")


def final_doubt(old: RegisterSpan, last: Reading | None, final_wh: int, moment: datetime) -> str:
    """Say why a final reading can hardly be right; empty when it can."""
    known = last if last is not None and last.time >= old.since else None
    base_wh = known.energy_wh if known else old.first_wh
    base_time = known.time if known else old.since
    if final_wh < base_wh:
        return f"the final reading {final_wh} Wh is below {base_wh} Wh, the last one known"
    hours = max((moment - base_time).total_seconds(), 0.0) / SECONDS_AN_HOUR
    most_w = known.most_w if known and known.most_w is not None else MOST_W
    most_wh = base_wh + MARGIN_WH + int(most_w * MARGIN * hours)
    if final_wh > most_wh:
        return (
            f"the final reading {final_wh} Wh is more than the circuit can have carried since"
            f" {base_time.isoformat()} ({most_wh} Wh at most)"
        )
    return ""
