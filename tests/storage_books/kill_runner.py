"""Forks writers of one ledger and kills them in the middle, as often as it is told.

python kill_runner.py FILE KILLS SEED; prints JSON: the ids each writer was told are durable.
"""

import gc
import json
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import Future

from entries import recharge

from domain.books import BookAccount
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

CALLERS = 4
ORDERS_A_LIFE = 24
AMOUNT = 100


def open_books(file: str) -> SqlBooks:
    return SqlBooks(SqlLedger(f"sqlite:///{file}"))


def live(file: str, told: int, first: int) -> None:
    """Be a station: several callers recharge the same orders until the power is cut."""
    books = open_books(file)
    os.write(told, b"open\n")

    def acknowledged(name: str, future: "Future[object]") -> None:
        if not future.exception():
            os.write(told, f"{name}\n".encode())

    def caller(number: int) -> None:
        chance = random.Random(first + number)
        orders = list(range(max(0, first - ORDERS_A_LIFE), first + ORDERS_A_LIFE))
        chance.shuffle(orders)
        for order in orders:
            future = books.post(recharge(f"recharge:{order}", AMOUNT, f"room:{order % 50}"))
            future.add_done_callback(lambda done, order=order: acknowledged(str(order), done))
            if chance.random() < 0.2:
                future.result(30)

    callers = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    signal.pause()


def one_life(file: str, first: int, chance: random.Random) -> list[str]:
    listen, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(listen)
            live(file, told, first)
        finally:
            os._exit(1)
    os.close(told)
    heard = b""
    while b"open\n" not in heard:
        part = os.read(listen, 65_536)
        if not part:
            raise SystemExit("a writer ended by itself")
        heard += part
    time.sleep(chance.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    while part := os.read(listen, 65_536):
        heard += part
    os.close(listen)
    os.waitpid(child, 0)
    # A killed writer may have been stopped in the middle of a line.
    return [line.decode() for line in heard.split(b"\n")[:-1] if line != b"open"]


def main(file: str, kills: int, seed: int) -> None:
    books = open_books(file)
    books.open(
        BookAccount("clearing:wechat"), *(BookAccount(f"room:{n}", floor=0) for n in range(50))
    ).result(30)
    books._ledger.close()
    chance = random.Random(seed)
    # What is there already is not walked over, and so not copied, by every child.
    gc.freeze()
    acknowledged = [one_life(file, life * ORDERS_A_LIFE, chance) for life in range(kills)]
    print(json.dumps(acknowledged))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
