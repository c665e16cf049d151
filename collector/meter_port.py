"""One meter on its bus: what is asked of it, what it refuses, and what comes back decoded."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from collector.base_search import walk_base
from collector.bus import BusOwner
from collector.decode import Value, decode
from collector.late import clearing_request
from collector.liveness import Liveness
from collector.plan import Block, plan_blocks
from collector.profile import Profile, Write
from collector.request import (
    CONFIGURATION_CODES,
    GATEWAY_CODES,
    ILLEGAL_ADDRESS,
    WAIT_CODES,
    Outcome,
    Priority,
    Reply,
    Request,
    exception_text,
)
from collector.wire import read_reply_bytes
from domain.events import Event, EventKind, Severity
from domain.faults import Fault
from domain.frame import Quality
from domain.site import Meter

# How often one read is planned anew because the meter refused a block; the rest waits a round.
PLANS_A_READ = 8
DETOURS_A_READ = 4
PLANS_KEPT = 4096
PlanKey = tuple[str, tuple[str, ...], frozenset[Block], int]


@dataclass(slots=True)
class Readout:
    """What reading one meter came to.

    `time` (UTC) and `ended_s` (monotonic) are those of the end of its last reply; `words` are the
    raw registers by block; `unread` are quantities that did not come though the
    meter may have them; `wire_s` is calculated,
    waits included. `quality` is GOOD where all that was asked for came. `busy` asks for another
    try a little later; `link_lost` says that the bus, not the meter, failed.
    """

    meter: str
    time: datetime
    ended_s: float = 0.0
    quality: Quality = Quality.GOOD
    values: dict[str, Value] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    words: dict[Block, tuple[int, ...]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    wire_s: float = 0.0
    note: str = ""
    exception_code: int = 0
    busy: bool = False
    link_lost: bool = False


class MeterPort:
    """Reads and writes one meter through its bus's owner and remembers what it refuses."""

    def __init__(
        self,
        meter: Meter,
        profile: Profile,
        owner: BusOwner,
        on_event: Callable[[Event], None],
        plans: dict[PlanKey, tuple[Block, ...]],
    ) -> None:
        self.meter, self.profile, self.owner = meter, profile, owner
        self.liveness = Liveness(owner.settings)
        self.splits: frozenset[Block] = frozenset()
        self._on_event = on_event
        self._plans = plans
        self._base: int | None = 0 if profile.base is None else None
        self._base_retry_s = float("-inf")
        self._refused: dict[str, float] = {}
        self._told: set[str] = set()
        self._last_end_s = float("-inf")

    async def read(self, quantities: Sequence[str], priority: Priority) -> Readout:
        """Read these quantities in as few blocks as can be; stops at the first miss.

        Exception 2 splits the block and the read goes on; 1 and 3 stop its quantities for
        `configuration_retry_s`.
        """
        readout = Readout(self.meter.name, self.owner.clock.now())
        base = await self._find_base(readout, priority)
        if base is None:
            readout.unread = frozenset(self._allowed(quantities))
            return readout
        for _ in range(PLANS_A_READ):
            wanted = self._allowed(quantities)
            if not wanted:
                readout.quality = Quality.EXCEPTION
                break
            blocks = self._plan_around(wanted, base)
            if await self._read_blocks(blocks, wanted, readout, priority):
                break
        values, readout.faults = decode(self.profile, readout.words, quantities, base)
        readout.values = values
        readout.unread = frozenset(
            name
            for name in self._allowed(quantities)
            if not self._covered(readout.words, name, base)
        )
        return readout

    async def read_patiently(self, quantities: Sequence[str], priority: Priority) -> Readout:
        """Read, and where the meter is busy wait and read again, a bounded number of times."""
        settings = self.owner.settings
        readout = await self.read(quantities, priority)
        for _ in range(settings.busy_retries):
            if not readout.busy:
                break
            self.owner.retries += 1
            await self.owner.clock.sleep(settings.busy_wait_s)
            wire_s = readout.wire_s
            readout = await self.read(quantities, priority)
            readout.wire_s += wire_s
        return readout

    async def write(self, write: Write, priority: Priority) -> Reply:
        """Send one write of the profile. Raises ValueError for one that the profile forbids."""
        if not self.profile.may_write(write):
            where = f"function {write.function} at 0x{write.address:04X}"
            raise ValueError(f"{self.profile.name}: writing by {where} is not allowed")
        request = Request(
            self.meter.unit_id, write.function, write.address, len(write.words), write.words
        )
        return await self._ask(request, priority)

    def plan(
        self, quantities: Iterable[str], base: int = 0, splits: frozenset[Block] | None = None
    ) -> tuple[Block, ...]:
        """Return the blocks that read these quantities, what was learnt by exceptions included."""
        apart = self.splits if splits is None else splits
        key = (self.profile.name, tuple(quantities), apart, base)
        blocks = self._plans.get(key)
        if blocks is None:
            if len(self._plans) >= PLANS_KEPT:
                self._plans.clear()
            blocks = plan_blocks(self.profile, key[1], self.owner.timing, apart, base)
            self._plans[key] = blocks
        return blocks

    async def _read_blocks(
        self,
        blocks: Iterable[Block],
        wanted: Sequence[str],
        readout: Readout,
        priority: Priority,
    ) -> bool:
        """Read block by block; False asks for a new plan, the meter refused one for good."""
        for block in blocks:
            if any(done.contains(block) for done in readout.words):
                continue
            reply = await self._ask_block(block, readout, priority)
            self._close_book(reply, readout)
            if reply.is_ok:
                readout.words[block] = reply.words
            elif reply.exception_code in CONFIGURATION_CODES:
                self._learn(block, reply.exception_code, wanted)
                return False
            else:
                return True
        readout.quality, readout.note, readout.exception_code = Quality.GOOD, "", 0
        return True

    async def _ask_block(self, block: Block, readout: Readout, priority: Priority) -> Reply:
        """Ask for a block. Where its reply can't be told from one that is still owed, and before
        the first question to a silent meter, something of another length is asked, whose words
        nobody uses: units answer in order, so once that has come nothing older can."""
        request = Request(self.meter.unit_id, block.function, block.address, block.count)
        owed = self.owner.owed.owed(request.unit, self.owner.clock.monotonic())
        if request.shape in owed or (owed and self.liveness.is_silent):
            # A silent meter's probes all have one shape, or its own would soon be owed as well.
            avoided = {request.shape} if self.liveness.is_silent else owed
            detour = clearing_request(self.profile, request.unit, block, avoided, self._base or 0)
            if detour is not None:
                reply = await self._ask(detour, priority)
                if reply.outcome not in (Outcome.OK, Outcome.EXCEPTION):
                    return reply
                readout.wire_s += reply.wire_s
        return await self._ask(request, priority)

    def _plan_around(self, wanted: Sequence[str], base: int) -> tuple[Block, ...]:
        """Plan the blocks; one whose reply is still owed in the same shape is cut up otherwise."""
        blocks = self.plan(wanted, base)
        owed = self.owner.owed.owed(self.meter.unit_id, self.owner.clock.monotonic())
        if not owed:
            return blocks
        avoided = self.splits
        for _ in range(DETOURS_A_READ):
            clash = {b for b in blocks if (b.function, _reply_bytes(b)) in owed}
            if clash <= avoided:
                break
            avoided |= clash
            blocks = self.plan(wanted, base, avoided)
        return blocks

    async def _ask(self, request: Request, priority: Priority) -> Reply:
        """Keep the model's pause between queries, ask, and note whether the meter answers."""
        clock = self.owner.clock
        pause_s = self._last_end_s + self.profile.pause_s - clock.monotonic()
        if pause_s > 0:
            await clock.sleep(pause_s)
        reply = await self.owner.ask(request, priority)
        if reply.outcome in (Outcome.LINK_DOWN, Outcome.NOT_SENT):
            return reply
        self._last_end_s = reply.ended_s
        if reply.outcome is Outcome.TIMEOUT or reply.exception_code in GATEWAY_CODES:
            if self.liveness.missed(clock.monotonic()):
                self._tell(EventKind.METER_SILENT, "no answer", Severity.ALARM, reply.note)
        elif self.liveness.answered():
            self._tell(EventKind.METER_BACK, "answers again", Severity.INFO)
        return reply

    def _close_book(self, reply: Reply, readout: Readout) -> None:
        """Enter a reply's time, wire time and fault in the readout."""
        clock = self.owner.clock
        readout.time, readout.ended_s = clock.now(), reply.ended_s or clock.monotonic()
        readout.wire_s += reply.wire_s
        if reply.is_ok:
            return
        code = readout.exception_code = reply.exception_code
        readout.link_lost = reply.outcome in (Outcome.LINK_DOWN, Outcome.NOT_SENT)
        readout.busy = code in WAIT_CODES
        readout.note = exception_text(code) if code else reply.note
        answered = code and code not in GATEWAY_CODES
        readout.quality = Quality.EXCEPTION if answered else Quality.TIMEOUT

    def _learn(self, block: Block, code: int, wanted: Sequence[str]) -> None:
        """Remember what the meter refuses: split a block of several values on exception 2, else
        leave its quantities out for a while; tell each once."""
        names = [name for name in wanted if self._covered([block], name, self._base or 0)]
        where = f"{block.count} at {block.space} 0x{block.address:04X}"
        if code == ILLEGAL_ADDRESS and self._is_splittable(block, wanted):
            self.splits |= {block}
            self._tell_once(f"split {code}", f"refuses {where}; read in parts from now on", code)
            return
        until_s = self.owner.clock.monotonic() + self.owner.settings.configuration_retry_s
        self._refused |= dict.fromkeys(names, until_s)
        message = f"refuses {where}: {', '.join(names)} left out"
        self._tell_once(f"{code} {block}", message, code)

    def _is_splittable(self, block: Block, wanted: Sequence[str]) -> bool:
        """Say whether another plan reads the same without this block."""
        base = self._base or 0
        trial = plan_blocks(self.profile, wanted, self.owner.timing, self.splits | {block}, base)
        return block not in trial

    def _allowed(self, quantities: Iterable[str]) -> tuple[str, ...]:
        now_s = self.owner.clock.monotonic()
        if self._refused:
            self._refused = {name: s for name, s in self._refused.items() if s > now_s}
        return tuple(
            name
            for name in quantities
            if name not in self._refused and name in self.profile.rows_of
        )

    def _covered(self, blocks: Iterable[Block], name: str, base: int) -> bool:
        return any(
            block.covers(row.space, base + row.span.first, base + row.span.last)
            for row in self.profile.sources(name)
            for block in blocks
        )

    async def _find_base(self, readout: Readout, priority: Priority) -> int | None:
        """Walk to where a model's registers lie, once; None while it can't be told."""
        search = self.profile.base
        if self._base is not None or search is None:
            return self._base or 0
        if self.owner.clock.monotonic() < self._base_retry_s:
            readout.quality, readout.note = Quality.EXCEPTION, "its registers were not found"
            return None
        walk = walk_base(search)
        try:
            block = next(walk)
            while True:
                reply = await self._ask_block(block, readout, priority)
                self._close_book(reply, readout)
                if not reply.is_ok and not reply.exception_code:
                    return None
                block = walk.send(reply.words if reply.is_ok else None)
        except StopIteration as end:
            self._base = end.value
        if self._base is None:
            readout.quality, readout.note = Quality.EXCEPTION, "its registers were not found"
            retry_s = self.owner.settings.configuration_retry_s
            self._base_retry_s = self.owner.clock.monotonic() + retry_s
            self._tell_once("base", f"model {search.model} not found", 0)
        return self._base

    def _tell_once(self, key: str, message: str, code: int) -> None:
        if key not in self._told:
            self._told.add(key)
            note = exception_text(code) if code else ""
            self._tell(EventKind.CONFIGURATION_FAULT, message, Severity.WARNING, note)

    def _tell(self, kind: EventKind, message: str, severity: Severity, note: str = "") -> None:
        text = f"{message} ({note})" if note else message
        owner, name = self.owner, self.meter.name
        details = {"bus": owner.bus.name, "unit_id": self.meter.unit_id}
        event = Event(
            owner.clock.now(), kind, name, text, severity, group=owner.bus.name, details=details
        )
        self._on_event(event)


def _reply_bytes(block: Block) -> int:
    return read_reply_bytes(block.count, block.space)
