"""A server on loopback that speaks OpenAI's protocol and answers what a test tells it to.

The fixture `serve` (tests/conftest.py) starts and stops it.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What a request, its JSON body, is answered with: a JSON object with status 200; (status, bytes[,
# content type]); or a function that is given the handler and does as it likes.
Answer = Callable[[dict[str, Any]], Any]
Serve = Callable[[Answer], "Server"]


def completion(content: str | None, **choice: Any) -> dict[str, Any]:
    """A chat completion with one choice, of 100 and 20 tokens."""
    message = {"role": "assistant", "content": content, **choice.pop("message", {})}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", **choice, "message": message}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


def hang_up(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


class Server(ThreadingHTTPServer):
    """Listens on a free port; `requests` and `headers` are what it was sent."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Message] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of these tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(body)
            self.server.headers.append(self.headers)
        answer = self.server.answer(body)
        status, payload, kind = 200, b"", "application/json"
        if isinstance(answer, tuple):
            status, payload, *rest = answer
            kind = rest[0] if rest else kind
        elif callable(answer):
            answer(self)
            return
        else:
            payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


@contextlib.contextmanager
def servers() -> Iterator[Serve]:
    """Start servers; all are gone at the end."""
    with contextlib.ExitStack() as stack:

        def start(answer: Answer) -> Server:
            server = Server(answer)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return server

        yield start
