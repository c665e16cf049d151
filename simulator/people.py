"""Who lives on the demonstration campus: four made-up people a dormitory room, one a shop."""

import random
from collections.abc import Sequence
from datetime import date

from billing.model import Account, Occupancy, Person
from domain.site import RoomKind

A_ROOM = {RoomKind.DORM: 4, RoomKind.SHOP: 1, RoomKind.PUBLIC: 0}
FAMILY = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高"
GIVEN = "伟芳娜敏静强磊洋艳勇军杰娟涛明超霞平刚桂文辉玲波宁旭阳晨曦雨欣梓涵"
ENGLISH_SHARE = 0.1


def demo_people(
    accounts: Sequence[Account], since: date, seed: int = 1
) -> tuple[list[Person], list[Occupancy]]:
    """Return the people of the accounts' rooms and since when they live there."""
    dice = random.Random(f"{seed}:people")
    people: list[Person] = []
    occupancies: list[Occupancy] = []
    for account in accounts:
        for _ in range(A_ROOM[account.kind]):
            number = f"{since.year}{len(people) + 1:05d}"
            name = dice.choice(FAMILY) + "".join(dice.sample(GIVEN, dice.choice((1, 2))))
            language = "en" if dice.random() < ENGLISH_SHARE else "zh-CN"
            # No operator gives out these numbers, and nobody owns the domain.
            phone = f"1390000{len(people) + 1:04d}"
            people.append(Person(number, name, phone, f"{number}@campus.example", language))
            occupancies.append(Occupancy(number, account.id, since))
    return people, occupancies
