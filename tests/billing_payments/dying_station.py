"""A station that takes one notice, or makes one order, and is killed on the way.

Run with a folder, the moment of death and, on standard input, what to do as JSON.
"""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pay_office import Office

from billing.payments.campus_card import CampusCard
from simulator.payments.campus_card import CampusCardProvider


def die(*_: object) -> None:
    """Be gone without a word, as a machine that loses its power."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    folder, moment = Path(sys.argv[1]), sys.argv[2]
    task = json.load(sys.stdin)
    card = CampusCardProvider()
    card.secret, card.url = task["secret"].encode(), task["url"]
    office = Office(folder, card, notify_url=task["notify_url"])
    if moment == "before-commit":
        office.store.transact = die  # type: ignore[method-assign, assignment]
    if moment == "before-answer":
        CampusCard.answer = die  # type: ignore[method-assign, assignment]
    if moment == "before-order-is-told":
        place = CampusCard.create

        def placed_and_dead(self: CampusCard, order: object) -> None:
            place(self, order)  # type: ignore[arg-type]
            die()

        CampusCard.create = placed_and_dead  # type: ignore[method-assign, assignment]
        office.order(5000)
    office.payments.notice("campus-card", task["headers"], task["body"].encode())


main()
