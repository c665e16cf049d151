"""Data faults are values: where, what, about whom. Exceptions are for bugs and broken links."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input: `source` is file and line or key, `message` says what is
    allowed, `subject` is the meter, bus or record it is about."""

    source: str
    message: str
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.source}: {self.message}" + (f" [{self.subject}]" if self.subject else "")
