"""Telling bad lines from good when a server refuses a whole request."""

from collections.abc import Callable

from storage.influx_http import Refusal
from storage.line_protocol import Encoded


def store_lines(
    send: Callable[[bytes], Refusal | None], encoded: Encoded, batch_lines: int, most_requests: int
) -> tuple[list[tuple[int, str]], int]:
    """Send all lines; halve what is refused until the bad lines stand alone.

    Sending a line again is harmless, so halves are sent whole. Returns the refused lines with the
    server's reason, and how many lines are left for another try when `most_requests` are spent.
    """
    total = len(encoded.lines)
    todo = [(at, min(at + batch_lines, total)) for at in range(0, total, batch_lines)][::-1]
    refused: list[tuple[int, str]] = []
    kept = requests = 0
    while todo:
        start, end = todo.pop()
        if requests >= most_requests:
            kept += end - start
            continue
        requests += 1
        refusal = send(encoded.payload(start, end))
        if refusal is None:
            continue
        if end - start == 1 or refusal.dropped == end - start:
            refused += [(line, refusal.reason) for line in range(start, end)]
        else:
            middle = (start + end) // 2
            todo += [(middle, end), (start, middle)]
    return refused, kept
