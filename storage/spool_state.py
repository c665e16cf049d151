"""What the spool remembers of its file: depth, counters, who holds a lease, how full it is."""

import threading
from bisect import insort
from collections.abc import Sequence

from domain.errors import StreamFull
from domain.ports import StreamStats
from storage.spool_repair import Damage
from storage.spool_statements import Settled

DAMAGES_KEPT = 100


class SpoolState:
    """Counters and leases, behind one lock that is never held while waiting for the disk.

    The writing thread reports here after each commit, in the order of the commits.
    """

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self._lock = threading.Lock()
        self._depth = self._depth_bytes = self._coming = self._coming_bytes = 0
        self._published = self._duplicates = self._accepted = self._rejected = 0
        self._damaged = self._refused_full = 0
        self._damages: list[Damage] = []
        self._leased: dict[str, int] = {}
        self._returned: list[int] = []

    def reserve(self, size: int) -> None:
        """Make room for a record on its way to the disk. Raises StreamFull, and counts it."""
        with self._lock:
            records = self._depth + self._coming
            payload_bytes = self._depth_bytes + self._coming_bytes
            if records >= self._max_records or payload_bytes + size > self._max_bytes:
                self._refused_full += 1
                raise StreamFull(
                    f"the spool is full: {records} of {self._max_records} records,"
                    f" {payload_bytes} of {self._max_bytes} bytes wait; the record was refused"
                )
            self._coming += 1
            self._coming_bytes += size

    def give_room_back(self, size: int) -> None:
        """Note that a record on its way did not get there."""
        with self._lock:
            self._coming -= 1
            self._coming_bytes -= size

    def has_room(self) -> bool:
        """Say whether one more record would be taken."""
        with self._lock:
            return self._depth < self._max_records and self._depth_bytes < self._max_bytes

    def published(self, size: int, added: bool) -> None:
        """Note that a record is on disk, or was already (`added` false)."""
        with self._lock:
            self._coming -= 1
            self._coming_bytes -= size
            if added:
                self._published += 1
                self._depth += 1
                self._depth_bytes += size
            else:
                self._duplicates += 1

    def settled(self, ids: Sequence[str], settled: Settled) -> None:
        """Note that records have left the queue; their leases end."""
        with self._lock:
            self._accepted += settled.accepted
            self._rejected += settled.rejected
            self._depth -= settled.accepted + settled.rejected
            self._depth_bytes -= settled.payload_bytes
            for record_id in ids:
                self._leased.pop(record_id, None)

    def moved_aside(self, size: int) -> None:
        """Note that a damaged record of that size has left the queue."""
        with self._lock:
            self._depth -= 1
            self._depth_bytes -= size

    def measured(self, found: tuple[int, int]) -> None:
        """Take depth and bytes as counted on the disk."""
        with self._lock:
            self._depth, self._depth_bytes = found

    def damaged(self, damage: Damage) -> None:
        """Keep a report of damage."""
        with self._lock:
            self._damaged += 1
            self._damages = [*self._damages, damage][-DAMAGES_KEPT:]

    def damages(self) -> list[Damage]:
        """Return the last reports of damage."""
        with self._lock:
            return list(self._damages)

    def unleased(self) -> int:
        """Return how many records of the queue nobody holds."""
        with self._lock:
            return self._depth - len(self._leased)

    def lease(self, record_id: str, seq: int) -> bool:
        """Lend a record, unless somebody holds it already."""
        with self._lock:
            if record_id in self._leased:
                return False
            self._leased[record_id] = seq
            return True

    def release(self, ids: Sequence[str] | None) -> None:
        """Note for taking again what was lent: these, or everything."""
        with self._lock:
            for record_id in list(self._leased) if ids is None else ids:
                seq = self._leased.pop(record_id, None)
                if seq is not None:
                    insort(self._returned, seq)

    def returned(self, limit: int) -> list[int]:
        """Return the first numbers that wait to be taken again."""
        with self._lock:
            return self._returned[:limit]

    def forget_returned(self, seqs: Sequence[int] | None = None) -> None:
        """Drop numbers (all by default) from those that wait to be taken again."""
        with self._lock:
            gone = set(self._returned if seqs is None else seqs)
            self._returned = [seq for seq in self._returned if seq not in gone]

    def stats(self) -> StreamStats:
        """Return the counters as the port tells them."""
        with self._lock:
            return StreamStats(
                depth=self._depth,
                depth_bytes=self._depth_bytes,
                published=self._published,
                duplicates=self._duplicates,
                accepted=self._accepted,
                rejected=self._rejected,
                damaged=self._damaged,
                refused_full=self._refused_full,
            )
