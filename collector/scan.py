"""Finding the units of a bus and guessing their models, without a roster."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.bus import BusOwner
from collector.identify import guess_profile, rank, scan_plan
from collector.link import LinkFactory, link_of
from collector.plan import Block
from collector.profile import Profile
from collector.request import Outcome, Priority, Request
from collector.settings import PollSettings
from domain.clock import Clock
from domain.errors import LinkDown
from domain.events import Event
from domain.site import Bus


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit that answered: the model it must be (None where several fit or none does), the models
    that fit best first with their scores, and the registers that were read."""

    unit: int
    profile: str | None
    ranking: tuple[tuple[str, float], ...]
    words: Mapping[Block, tuple[int, ...]]


async def scan(
    bus: Bus,
    units: Iterable[int],
    profiles: Mapping[str, Profile],
    clock: Clock,
    settings: PollSettings | None = None,
    *,
    on_unit: Callable[[int], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
    link_factory: LinkFactory = link_of,
) -> AsyncIterator[FoundUnit]:
    """Yield each unit that answers; `on_unit` is told every unit before it is asked.

    The bus must not be polled meanwhile. Raises LinkDown where it can't be reached. A unit that is
    absent costs one timeout a function code.
    """
    owner = BusOwner(
        bus, clock, settings or PollSettings(), on_event or (lambda _: None), link_factory
    )
    task = asyncio.create_task(owner.run(), name=f"scan {bus.name}")
    try:
        if not await owner.known():
            raise LinkDown(
                f"bus {bus.name}: {bus.port or f'{bus.host}:{bus.tcp_port}'} can't be reached"
            )
        blocks = scan_plan(profiles.values())
        for unit in units:
            if on_unit is not None:
                on_unit(unit)
            answers = await _try(owner, unit, blocks)
            if answers is not None:
                yield _found(unit, profiles, answers)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _try(
    owner: BusOwner, unit: int, blocks: Sequence[Block]
) -> dict[Block, tuple[int, ...] | None] | None:
    """Ask one unit for all blocks; None if nothing answered to the first block of each function."""
    firsts = {block.function: block for block in reversed(blocks)}
    answers: dict[Block, tuple[int, ...] | None] = {}
    answered = False
    for block in (*reversed(firsts.values()), *blocks):
        if block in answers:
            continue
        if len(answers) >= len(firsts) and not answered:
            return None
        reply = await owner.ask(
            Request(unit, block.function, block.address, block.count), Priority.ASKED
        )
        if reply.outcome in (Outcome.LINK_DOWN, Outcome.NOT_SENT):
            raise LinkDown(reply.note)
        answered = answered or reply.outcome in (Outcome.OK, Outcome.EXCEPTION)
        answers[block] = reply.words if reply.is_ok else None
    return answers if answered else None


def _found(
    unit: int, profiles: Mapping[str, Profile], answers: Mapping[Block, tuple[int, ...] | None]
) -> FoundUnit:
    words = {block: words for block, words in answers.items() if words is not None}
    models = list(profiles.values())
    return FoundUnit(unit, guess_profile(models, answers), tuple(rank(models, answers)), words)
