"""Runs the HTTP API on its own thread."""

import socket
import threading
import time
from typing import Any

import uvicorn

from domain.errors import WattwardenError

READY_WITHIN_S = 15.0
STOP_WITHIN_S = 10.0


class HttpServer:
    """An ASGI application served on a thread of its own.

    The socket is bound when it is made, so a taken port is a clear error at once; port 0 takes a
    free one and `url` tells which, before there is an application.
    """

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            message = f"can't listen on {host}:{port}: {error.strerror}; choose settings.api_port"
            raise WattwardenError(message) from error
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}"

    def start(self, application: Any) -> None:
        """Start serving an application and wait until it answers."""
        config = uvicorn.Config(application, log_level="warning", access_log=False, lifespan="on")
        server = self._server = uvicorn.Server(config)
        thread = self._thread = threading.Thread(
            target=server.run, args=([self._socket],), name="http", daemon=True
        )
        thread.start()
        end = time.monotonic() + READY_WITHIN_S
        while not server.started:
            if time.monotonic() > end or not thread.is_alive():
                raise WattwardenError("the HTTP server did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Finish the open requests and stop."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(STOP_WITHIN_S)
        self._socket.close()
