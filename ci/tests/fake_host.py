"""The part of the APIs of GitHub and GitLab that comments need, on loopback."""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

TOKEN = "ghs_aSecretOfThisTest"  # noqa: S105
OLD, HEAD, NEW = "0" * 39 + "1", "a" * 40, "b" * 40

Answer = tuple[int, Any, dict[str, str]]


class FakeHost:
    """One pull request with its comments. Use it in a with statement."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.me = "github-actions[bot]" if kind == "github" else "project_7_bot"
        self.comments: list[dict[str, Any]] = []
        self.head = HEAD
        self.viewer: str | None = self.me  # what the API says who we are; None is a refusal
        self.readonly = False  # the token of a fork
        self.requests: list[tuple[str, str]] = []
        # Called before the request is handled; an answer takes the place of the real one.
        self.before: Callable[[str, str], Answer | None] = lambda method, path: None
        # The same, but after it was handled.
        self.after: Callable[[str, str], Answer | None] = lambda method, path: None
        handler = type("Handler", (_Handler,), {"host": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> FakeHost:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def add(self, body: str, login: str | None = None) -> dict[str, Any]:
        """Put a comment into the pull request, by a person unless told otherwise."""
        login = login or "ada"
        number = 1000 + len(self.comments)
        made: dict[str, Any] = {"id": number, "body": body}
        if self.kind == "github":
            made["user"] = {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}
        else:
            made["author"] = {"username": login, "id": ident(login)}
            made["system"] = False
        self.comments.append(made)
        return made

    def bodies(self) -> list[str]:
        """Return the texts of the comments."""
        return [c["body"] for c in self.comments]

    def writes(self) -> list[str]:
        """Return the methods that changed something or tried to, in order."""
        return [method for method, path in self.requests if method != "GET" and path != "/graphql"]

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        """Handle one request."""
        if self.kind == "github":
            return self.github(method, path, query, body)
        return self.gitlab(method, path, query, body)

    def github(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if (method, path) == ("POST", "/graphql"):
            if self.viewer is None:
                return 403, {"message": "Resource not accessible by integration"}, {}
            return 200, {"data": {"viewer": {"login": self.viewer}}}, {}
        if (method, path) == ("GET", "/repos/acme/models/pulls/7"):
            return 200, {"head": {"sha": self.head}}, {}
        if (method, path) == ("GET", "/repos/acme/models/issues/7/comments"):
            return self.page(path, query)
        if (method, path) == ("POST", "/repos/acme/models/issues/7/comments"):
            return self.create(body, 65_536)
        found = re.fullmatch("/repos/acme/models/issues/comments/([0-9]+)", path)
        if method == "PATCH" and found:
            return self.update(int(found[1]), body)
        return 404, {"message": "Not Found"}, {}

    def gitlab(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        request = "/api/v4/projects/7/merge_requests/12"
        if (method, path) == ("GET", "/api/v4/user"):
            if self.viewer is None:
                return 403, {"message": "403 Forbidden"}, {}
            return 200, {"id": ident(self.viewer)}, {}
        if (method, path) == ("GET", request):
            return 200, {"sha": self.head}, {}
        if (method, path) == ("GET", request + "/notes"):
            assert query["sort"] == "asc"
            return self.page(path, query)
        if (method, path) == ("POST", request + "/notes"):
            return self.create(body, 1_000_000)
        found = re.fullmatch(request + "/notes/([0-9]+)", path)
        if method == "PUT" and found:
            return self.update(int(found[1]), body)
        return 404, {"error": "404 Not Found"}, {}

    def page(self, path: str, query: dict[str, str]) -> Answer:
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        items = self.comments[(page - 1) * size : page * size]
        link = {}
        if page * size < len(self.comments):
            # An address elsewhere: whoever follows it takes the token along.
            link = {"Link": f'<https://evil.example{path}?page={page + 1}>; rel="next"'}
        return 200, items, link

    def create(self, body: Any, limit: int) -> Answer:
        if self.readonly:
            return 403, {"message": "Resource not accessible by integration"}, {}
        if len(body["body"]) > limit:
            return 422, {"message": "Validation Failed"}, {}
        return 201, self.add(body["body"], self.me), {}

    def update(self, number: int, body: Any) -> Answer:
        found = [c for c in self.comments if c["id"] == number]
        if not found:
            return 404, {"message": "Not Found"}, {}
        author = found[0].get("user", {}).get("login") or found[0]["author"]["username"]
        if self.readonly or (self.kind == "gitlab" and author != self.me):
            return 403, {"message": "403 Forbidden"}, {}
        found[0]["body"] = body["body"]
        return 200, found[0], {}


def ident(login: str) -> int:
    """Return the number of an account."""
    return sum(login.encode())


class _Handler(BaseHTTPRequestHandler):
    host: FakeHost
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.host.requests.append((self.command, parts.path))
        header = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
        if header.rpartition(" ")[2] != TOKEN:
            return self.send(401, {"message": "Bad credentials"}, {})
        answer = self.host.before(self.command, parts.path)
        if answer is None:
            body = json.loads(data) if data else None
            answer = self.host.answer(self.command, parts.path, query, body)
            answer = self.host.after(self.command, parts.path) or answer
        return self.send(*answer)

    def send(self, status: int, value: Any, headers: dict[str, str]) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass
