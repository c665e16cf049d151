"""A throw-away PostgreSQL server on a free loopback port, for benchmarks and tests."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_TRIES = 3
WITHIN_S = 60
USER, DATABASE = "wattwarden", "wattwarden"
# The server refuses to run as root; these come with it or with any system.
_UNPRIVILEGED = ("postgres", "nobody")


class PostgresServer:
    """A running server; `stop`, `kill` and `start` keep its data and its address.

    Its settings are the defaults (what is committed is synced) but for those in `settings`. Raises
    RuntimeError with the end of its log when it does not start.
    """

    def __init__(self, folder: Path, programs: Path, settings: Mapping[str, str]) -> None:
        self._settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        self._settings |= settings
        self._folder, self._programs = folder, programs
        self._data, self._log = folder / "data", folder / "log"
        self._identity = _identity(folder)
        self.password = secrets.token_hex(8)
        self.port = 0
        secret = folder / "password"
        secret.write_text(self.password)
        if self._identity:
            os.chown(secret, self._identity["user"], self._identity["group"])
        self._run(
            "initdb", "-D", self._data, "-U", USER, "--pwfile", secret, "-A", "scram-sha-256",
            "-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        self.start()
        self.create_database(DATABASE)

    def url(self, database: str = DATABASE) -> str:
        """Return the ledger URL of a database of this server."""
        return f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database, empty or as another that nobody uses, and return its URL."""
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"', "postgres")
        return self.url(name)

    def sql(self, statement: str, database: str = DATABASE) -> str:
        """Run a statement as the superuser and return what it printed."""
        return self.client(
            "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement
        ).strip()

    def client(self, program: str, *arguments: str, within_s: float = WITHIN_S) -> str:
        """Run one of PostgreSQL's own clients, such as pgbench, and return what it printed.

        Raises RuntimeError with its error output.
        """
        done = subprocess.run(
            [self._programs / program, *arguments],
            env=os.environ
            | {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self.port),
                "PGUSER": USER,
                "PGPASSWORD": self.password,
                "PGDATABASE": DATABASE,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")
        return done.stdout

    def start(self) -> None:
        """Start the server and wait until it answers."""
        for attempt in range(START_TRIES):
            self.port = self.port or _free_port()
            options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
            try:
                self._control("start", "-l", str(self._log), "-o", f"-p {self.port} {options}")
            except RuntimeError:
                if attempt + 1 == START_TRIES:
                    raise
                # Somebody else may have taken the port meanwhile.
                self.port = 0
            else:
                return

    def stop(self) -> None:
        """Stop the server in good order, without waiting for its clients."""
        self._control("stop", "-m", "fast")

    def kill(self) -> None:
        """Stop the server at once, as a crash does."""
        self._control("stop", "-m", "immediate")

    def is_running(self) -> bool:
        """Say whether the server runs."""
        return (self._data / "postmaster.pid").exists()

    def _control(self, verb: str, *arguments: str) -> None:
        self._run("pg_ctl", verb, "-D", self._data, "-w", "-t", str(WITHIN_S), "-s", *arguments)

    def _run(self, program: str, *arguments: str | Path) -> None:
        # The server inherits standard output: a pipe would stay open as long as it runs.
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(
                [self._programs / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                check=False,
                timeout=2 * WITHIN_S,
                **self._identity,
            )
        if done.returncode != 0:
            texts = [
                file.read_text(errors="replace")[-2000:]
                for file in (self._folder / "output", self._log)
                if file.exists()
            ]
            raise RuntimeError(f"{program} failed: {' '.join(texts)}")


@contextmanager
def running_postgres(**settings: str) -> Iterator[PostgresServer | None]:
    """Start a server with its data in a temporary folder; None where PostgreSQL is missing."""
    programs = postgres_programs()
    if programs is None:
        yield None
        return
    # Directly in the system's folder: its unprivileged user must be able to reach it.
    with tempfile.TemporaryDirectory(prefix="wattwarden-postgres-") as folder:
        server = PostgresServer(Path(folder), programs, settings)
        try:
            yield server
        finally:
            if server.is_running():
                server.kill()


def postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, or None where the server is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    asked = shutil.which("pg_config")
    if asked is None:
        return None
    told = subprocess.run([asked, "--bindir"], capture_output=True, text=True, check=True)
    folder = Path(told.stdout.strip())
    return folder if (folder / "initdb").exists() else None


def _identity(folder: Path) -> dict[str, Any]:
    """Whom the server runs as, for subprocess; the folder becomes that user's."""
    if os.geteuid() != 0:
        return {}
    for name in _UNPRIVILEGED:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, account.pw_uid, account.pw_gid)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL must not run as root, and there is no other user for it")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
