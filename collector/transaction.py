"""One transaction on the line: silence, request, the reply that fits or a drained timeout."""

from collector.frame_log import FrameLog
from collector.link import Link
from collector.modbus import Codec, StreamDamaged, WireCounts
from collector.request import Answer, Outcome, Reply, Request
from collector.wire import WireTiming
from domain.clock import Clock
from domain.errors import LinkDown

EXCEPTION_REPLY_BYTES = 5
# A line that never falls silent is given this many chances before a request goes out anyway.
SILENCE_TRIES = 8


class Transactor:
    """Carries out transactions one after the other on one link; never two at a time."""

    def __init__(
        self,
        link: Link,
        codec: Codec,
        timing: WireTiming,
        clock: Clock,
        counts: WireCounts,
        log: FrameLog,
        timeout_s: float,
        late_window_s: float,
    ) -> None:
        self._link, self._codec, self._timing, self._clock = link, codec, timing, clock
        self._counts, self._log = counts, log
        self._timeout_s, self._late_window_s = timeout_s, late_window_s
        self._data = bytearray()
        self._last_end_s = float("-inf")
        self._last_request: Request | None = None
        self.heard_bytes = False  # whether the last transaction brought any byte at all

    def reset(self) -> None:
        """Forget half-received input: the link is a new one."""
        self._data.clear()
        self._last_request = None

    async def run(self, request: Request) -> Reply:
        """Send a request and wait for its reply; after a timeout return only once the late window
        has passed in silence. Field faults end in the outcome, nothing is raised for them."""
        self.heard_bytes = False
        wire_s = self._timing.transaction_s(request.request_bytes, request.reply_bytes)
        sent = False
        try:
            await self._fall_silent(request, wire_s)
            self._codec.begin()
            frame = self._codec.encode(request)
            self._link.send(frame)
            sent = True
            self._log.add(self._clock.now(), "sent", frame)
            patience_s = wire_s - self._timing.reply_delay_s + self._timeout_s
            answer = await self._await_answer(request, frame, patience_s)
            if answer is not None:
                return self._accept(request, answer)
            return await self._give_up(request, frame, patience_s)
        except StreamDamaged as damage:
            self._link.close()
            return Reply(Outcome.LINK_DOWN, note=str(damage))
        except LinkDown as error:
            outcome = Outcome.LINK_DOWN if sent else Outcome.NOT_SENT
            return Reply(outcome, note=str(error))

    async def _fall_silent(self, request: Request, wire_s: float) -> None:
        """Keep the silence that the link does not keep, and throw away what is waiting.

        The same question twice in a row also waits long enough for a doubled reply to show up:
        nothing but its time tells it from the next one.
        """
        if self._codec.is_stream:
            return
        rest_s = 0.0 if self._link.keeps_silence else self._timing.silence_s
        last = self._last_request
        if last is not None and (last.unit, last.shape) == (request.unit, request.shape):
            rest_s = max(rest_s, wire_s - self._timing.reply_delay_s)
        for _ in range(SILENCE_TRIES):
            since_s = self._clock.monotonic() - self._last_end_s
            if since_s >= rest_s:
                break
            unexpected = await self._link.receive(rest_s - since_s)
            self._drop(unexpected, "not asked for")
        self._counts.noise_bytes += self._link.discard()
        self._data.clear()

    async def _await_answer(self, request: Request, frame: bytes, wait_s: float) -> Answer | None:
        deadline_s = self._clock.monotonic() + wait_s
        while (remaining_s := deadline_s - self._clock.monotonic()) > 0:
            chunk = await self._link.receive(remaining_s)
            if not chunk:
                break
            self.heard_bytes = True
            self._log.add(self._clock.now(), "received", chunk)
            self._data += chunk
            answer = self._codec.search(self._data, request, frame)
            if answer is not None:
                return answer
        return None

    def _accept(self, request: Request, answer: Answer) -> Reply:
        self._last_end_s = self._clock.monotonic()
        self._last_request = request
        if not self._codec.is_stream:
            self._counts.noise_bytes += len(self._data)
            self._data.clear()
        code = answer.exception_code
        reply_bytes = EXCEPTION_REPLY_BYTES if code else request.reply_bytes
        wire_s = self._timing.transaction_s(request.request_bytes, reply_bytes)
        if code:
            self._counts.exceptions[code] = self._counts.exceptions.get(code, 0) + 1
            return Reply(Outcome.EXCEPTION, (), code, "", wire_s, self._last_end_s)
        return Reply(Outcome.OK, answer.words, 0, "", wire_s, self._last_end_s)

    async def _give_up(self, request: Request, frame: bytes, patience_s: float) -> Reply:
        """Time is up: stay silent for the late window and throw away whatever comes."""
        note, came = self._codec.give_up(self._data, request)
        self._counts.timeouts += 1
        end_s = self._clock.monotonic() + self._late_window_s
        drained = bytearray()
        while (remaining_s := end_s - self._clock.monotonic()) > 0:
            chunk = await self._link.receive(remaining_s)
            if not chunk:
                break
            self._log.add(self._clock.now(), "dropped", chunk, "late")
            drained += chunk
        if self._codec.is_stream:
            self._data += drained  # borders must be kept; the transaction id tells it is late
        elif self._codec.search(drained, request, frame) is not None:
            came = True
            self._counts.late += 1
            note = "late reply thrown away"
        else:
            self._counts.noise_bytes += len(drained)
        self._last_end_s = self._clock.monotonic()
        self._last_request = None
        waited_s = patience_s + self._late_window_s
        return Reply(
            Outcome.TIMEOUT,
            note=note,
            wire_s=waited_s,
            ended_s=self._last_end_s,
            came=came,
        )

    def _drop(self, data: bytes, note: str) -> None:
        if data:
            self._counts.noise_bytes += len(data)
            self._log.add(self._clock.now(), "dropped", data, note)
            self._last_end_s = self._clock.monotonic()
