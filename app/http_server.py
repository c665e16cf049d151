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

    The socket is bound before the thread starts, so a taken port is a clear error at once;
    port 0 takes a free one and `url` tells which.
    """

    def __init__(self, application: Any, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            message = f"can't listen on {host}:{port}: {error.strerror}; choose settings.api_port"
            raise WattwardenError(message) from error
        config = uvicorn.Config(application, log_level="warning", access_log=False, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="http", daemon=True
        )
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        """Start serving and wait until it answers."""
        self._thread.start()
        end = time.monotonic() + READY_WITHIN_S
        while not self._server.started:
            if time.monotonic() > end or not self._thread.is_alive():
                raise WattwardenError("the HTTP server did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Finish the open requests and stop."""
        self._server.should_exit = True
        self._thread.join(STOP_WITHIN_S)
        self._socket.close()
