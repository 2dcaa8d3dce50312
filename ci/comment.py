#!/usr/bin/env python3
"""Keeps one comment of a pull request, or one note of a merge request, up to date.

    comment.py github|gitlab FILE [--key KEY]

FILE is what `kept gate --report markdown=FILE` wrote. Its first line is a marker, an HTML
comment with a key, and the comment that begins with the same key is the one to update;
where there is none, one is made. KEY takes the place of the key in FILE, for several jobs
that comment on the same pull request. Everything else comes from the variables that the
host sets for a job, and the token from KEPT_GITHUB_TOKEN or KEPT_GITLAB_TOKEN.

    me = who the token belongs to
    old = the first comment with the marker that is by me
    old is of the head of the pull request, and this run is not?  leave it
    old?  update it, else create one

A comment is a convenience: whatever goes wrong is one line and changes no verdict. Exit codes:
0 done, or there is nothing to comment on, or the token may not write; 1 the host could not be
reached or answered with an error; 2 wrong usage. Python 3.9 or later, nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import ipaddress
import json
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

TRIES = 4  # of a request, and of finding out whether a comment was made
TIMEOUT = 20.0  # seconds that one request may be silent
BUDGET = 180.0  # seconds that all of it may take
LONGEST_WAIT = 30.0  # seconds between two tries; who asks for more is not waited for
MAX_PAGES = 100
MOVED = (301, 302, 307, 308)
PER_PAGE = 100
MAX_FILE = 4 << 20
MAX_ANSWER = 32 << 20

MARKER = re.compile(r"<!-- kept:report key=(\S+)(?: [^<>]*)? -->\r?\n")


class WrongUsageError(Exception):
    """The command line or FILE is not what it must be."""


class HostError(Exception):
    """The host could not be reached or answered with an error."""


class RefusedError(HostError):
    """403 or 404: the token may not do this, or the thing is not there."""


class UnsureError(HostError):
    """Nobody knows whether what was asked for happened."""


class NothingToDoError(Exception):
    """There is no pull request, or no token."""


@dataclasses.dataclass
class Comment:
    """A comment as both hosts have it."""

    id: int
    body: str
    login: str
    author: int
    # None where the host does not say whether the author is a bot.
    bot: bool | None = None


# --- the two hosts


class GitHub:
    """A pull request on GitHub, or on a server that speaks its API."""

    limit = 65_536
    noun = "comment of the pull request"

    def __init__(self, env: Mapping[str, str]) -> None:
        event = read_event(env.get("GITHUB_EVENT_PATH", ""))
        pull = event.get("pull_request")
        issue = event.get("issue")
        if not isinstance(pull, dict) and isinstance(issue, dict) and "pull_request" in issue:
            pull = issue
        number = pull.get("number") if isinstance(pull, dict) else None
        if not isinstance(pull, dict) or not isinstance(number, int):
            raise NothingToDoError(
                "this run is of no pull request, so there is nothing to comment on"
            )
        repository = env.get("GITHUB_REPOSITORY", "")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise WrongUsageError("GITHUB_REPOSITORY is not owner/name")
        token = secret(env, "KEPT_GITHUB_TOKEN")
        self.api = Api(
            env.get("GITHUB_API_URL") or "https://api.github.com",
            {
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            token,
        )
        self.graphql = env.get("GITHUB_GRAPHQL_URL", "")
        self.pull = f"/repos/{repository}/pulls/{number}"
        self.thread = f"/repos/{repository}/issues/{number}/comments"
        self.single = f"/repos/{repository}/issues/comments/"
        self.head = commit(pull.get("head"), "sha")
        self.viewer: str | None = None
        self.asked = False

    def comments(self) -> Iterator[Comment]:
        """Yield the comments, oldest first."""
        for c in self.api.pages(self.thread, {}):
            user = c.get("user") or {}  # null for an account that is gone
            kind = user.get("type")
            bot = None if kind is None else kind == "Bot"
            yield Comment(c.get("id", 0), c.get("body") or "", user.get("login", ""), 0, bot)

    def is_mine(self, comment: Comment) -> bool:
        """Tell whether a comment with the marker is by this token.

        Anybody can paste a marker. The token of a workflow may not ask REST who it is, but
        GraphQL. Where neither is known, the author has at least to be no person.
        """
        if not self.asked:
            self.asked = True
            self.viewer = self.who()
        if self.viewer:
            return comment.login in (self.viewer, self.viewer + "[bot]")
        return comment.bot is not False

    def who(self) -> str | None:
        """Return the login of the token, None where the host does not tell."""
        if not self.graphql:
            return None
        try:
            answer = self.api.call(
                "POST", self.graphql, {"query": "query { viewer { login } }"}, safe=True
            )
            login = answer["data"]["viewer"]["login"]
        except (HostError, KeyError, TypeError):
            return None
        return login if isinstance(login, str) else None

    def newest_head(self) -> str:
        """Return the commit that the pull request is at now."""
        return commit(self.api.call("GET", self.pull).get("head"), "sha")

    def create(self, body: str) -> None:
        """Make the comment."""
        self.api.call("POST", self.thread, {"body": body})

    def update(self, comment: Comment, body: str) -> None:
        """Give the comment another text."""
        self.api.call("PATCH", self.single + str(comment.id), {"body": body})


class GitLab:
    """A merge request on GitLab."""

    limit = 1_000_000
    noun = "note of the merge request"

    def __init__(self, env: Mapping[str, str]) -> None:
        number = env.get("CI_MERGE_REQUEST_IID", "")
        if not number:
            raise NothingToDoError(
                "this job is of no merge request, so there is nothing to comment on"
            )
        project = env.get("CI_MERGE_REQUEST_PROJECT_ID") or env.get("CI_PROJECT_ID", "")
        if not (number.isdecimal() and project.isdecimal()):
            raise WrongUsageError("CI_MERGE_REQUEST_IID and CI_PROJECT_ID are not numbers")
        if not env.get("CI_API_V4_URL"):
            raise WrongUsageError("CI_API_V4_URL is not set")
        token = secret(env, "KEPT_GITLAB_TOKEN")
        self.api = Api(
            env["CI_API_V4_URL"],
            {"PRIVATE-TOKEN": token},
            token,
            env.get("CI_SERVER_TLS_CA_FILE", ""),
        )
        self.request = f"/projects/{project}/merge_requests/{number}"
        # In a pipeline of the merged result CI_COMMIT_SHA is a merge that GitLab made.
        self.head = commit(env, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or commit(
            env, "CI_COMMIT_SHA"
        )
        self.me: int | None = None
        self.asked = False

    def comments(self) -> Iterator[Comment]:
        """Yield the notes that people and programs wrote, oldest first."""
        for n in self.api.pages(self.request + "/notes", {"sort": "asc", "order_by": "created_at"}):
            author = n.get("author") or {}
            if not n.get("system"):
                yield Comment(
                    n.get("id", 0),
                    n.get("body") or "",
                    author.get("username", ""),
                    author.get("id", 0),
                )

    def is_mine(self, comment: Comment) -> bool:
        """Tell whether a note with the marker is by this token. GitLab lets nobody else edit it."""
        if not self.asked:
            self.asked = True
            try:
                me = self.api.call("GET", "/user").get("id")
                self.me = me if isinstance(me, int) else None
            except HostError:
                self.me = None
        return self.me is None or comment.author == self.me

    def newest_head(self) -> str:
        """Return the commit that the merge request is at now."""
        return commit(self.api.call("GET", self.request), "sha")

    def create(self, body: str) -> None:
        """Make the note."""
        self.api.call("POST", self.request + "/notes", {"body": body})

    def update(self, comment: Comment, body: str) -> None:
        """Give the note another text."""
        self.api.call("PUT", f"{self.request}/notes/{comment.id}", {"body": body})


def read_event(path: str) -> dict[str, Any]:
    """Return the payload of the event that started the workflow."""
    try:
        with open(path, "rb") as file:
            event = json.loads(file.read(MAX_ANSWER))
    except (OSError, ValueError) as err:
        raise WrongUsageError(f"GITHUB_EVENT_PATH has no event: {err}") from err
    return event if isinstance(event, dict) else {}


def commit(where: Any, key: str) -> str:
    """Return a commit id, and "" for anything that is none."""
    value = where.get(key) if isinstance(where, Mapping) else None
    return value if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40,64}", value) else ""


def secret(env: Mapping[str, str], name: str) -> str:
    """Return the token. The text of a malformed one must not get into a message."""
    token = env.get(name, "").strip()
    if not token:
        raise NothingToDoError(
            f"{name} is not set, so nothing is commented; the summary and the reports have it all"
        )
    if not re.fullmatch(r"[!-~]+", token):
        raise WrongUsageError(f"{name} has characters that no token has")
    return token


# --- HTTP


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves redirections to Api.call: urllib would take the token along to any other host."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none."""
        return None


class Api:
    """One host's API, with one token."""

    def __init__(self, base: str, headers: dict[str, str], token: str, authority: str = "") -> None:
        self.base = base.rstrip("/")
        self.origin = origin(self.base)
        self.headers = {**headers, "User-Agent": "kept-ci", "Content-Type": "application/json"}
        self.token = token
        self.deadline = time.monotonic() + BUDGET
        trust = ssl.create_default_context()
        if authority:  # of a self-managed server with a certificate of its own
            try:
                trust.load_verify_locations(authority)
            except (OSError, ssl.SSLError) as err:
                raise WrongUsageError(f"CI_SERVER_TLS_CA_FILE cannot be read: {err}") from err
        self.opener = urllib.request.build_opener(
            NoRedirect, urllib.request.HTTPSHandler(context=trust)
        )

    def pages(self, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the items of a list that comes in pages."""
        for page in range(1, MAX_PAGES + 1):
            numbered = {**query, "per_page": str(PER_PAGE), "page": str(page)}
            items, link = self.exchange(
                "GET", f"{path}?{urllib.parse.urlencode(numbered)}", None, True
            )
            if not isinstance(items, list):
                raise HostError(f"GET {path} answered with something else than a list")
            yield from (item for item in items if isinstance(item, dict))
            # Pages are counted: the address of the next one could lead anywhere.
            if 'rel="next"' not in link:
                return

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, safe: bool = False
    ) -> dict[str, Any]:
        """Make a request that answers with an object; safe says that a POST may be repeated."""
        answer, _ = self.exchange(method, path, body, safe or method != "POST")
        if not isinstance(answer, dict):
            raise HostError(f"{method} {path} answered with something else than an object")
        return answer

    def exchange(
        self, method: str, path: str, body: dict[str, Any] | None, repeat: bool
    ) -> tuple[Any, str]:
        """Return the answer and its Link header.

        What may pass is tried again, if repeat allows it.
        """
        url = path if path.startswith(("http:", "https:")) else self.base + path
        here = origin(url)
        what = f"{method} {self.shown(path)}"
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(TRIES):
            if time.monotonic() > self.deadline:
                raise HostError(f"{what} takes too long")
            wait = 2.0**attempt
            request = urllib.request.Request(url, data, self.headers, method=method)
            try:
                with self.opener.open(request, timeout=TIMEOUT) as response:
                    return decode(response.read(MAX_ANSWER)), response.headers.get("Link", "")
            except urllib.error.HTTPError as err:
                with err:
                    target = urllib.parse.urljoin(url, err.headers.get("Location") or "")
                    if err.code in MOVED and target != url and origin(target) == here:
                        url = target  # a repository that was renamed
                        continue
                    problem = f"{what}: {self.reason(err)}"
                    asked = retry_after(err)
                    if not passing(err, asked):
                        kind = RefusedError if err.code in (403, 404) else HostError
                        raise kind(problem) from None
                    wait = wait if asked is None else asked
                    # Who is to come later was turned away. After another failure nobody knows.
                    certain = err.code in (403, 429)
            except (OSError, ValueError, http.client.HTTPException) as err:
                problem = f"{what}: {self.clean(str(getattr(err, 'reason', None) or err))}"
                certain = False
            if not repeat and not certain:
                time.sleep(min(wait, LONGEST_WAIT))
                raise UnsureError(problem)
            if attempt + 1 == TRIES or wait > LONGEST_WAIT:
                raise HostError(problem)
            time.sleep(wait)
        raise HostError(f"{what} is redirected too often")

    def reason(self, err: urllib.error.HTTPError) -> str:
        """Return what the host says about a failure."""
        try:
            answer = json.loads(err.read(1 << 16))
            message = answer.get("message") or answer.get("error") or ""
        except (AttributeError, OSError, ValueError):
            message = ""
        return self.clean(f"{err.code} {err.reason}" + (f", {message}" if message else ""))

    def shown(self, path: str) -> str:
        """Return a path for a message, without its query."""
        return self.clean(path.partition("?")[0])

    def clean(self, text: str) -> str:
        """Return foreign text as a short line, without the token."""
        text = text.replace(self.token, "***")
        return "".join(c if c.isprintable() else " " for c in text)[:300]


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of what a token may be sent to: https, or this machine."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as err:
        raise WrongUsageError(f"the address of the API is malformed: {err}") from err
    if parts.scheme == "https" and host:
        return "https", host, port or 443
    if parts.scheme == "http" and is_loopback(host):
        return "http", host, port or 80
    raise WrongUsageError(
        "the API is not at an https address, and a token is not sent in the clear"
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def decode(data: bytes) -> Any:
    """Return what an answer says; ValueError for what is no JSON."""
    return json.loads(data) if data else {}


def retry_after(err: urllib.error.HTTPError) -> float | None:
    """Return the seconds that the host asks to wait, if it does."""
    value = err.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None


def passing(err: urllib.error.HTTPError, after: float | None) -> bool:
    """Tell whether the same request may succeed later. GitHub says 403 to who asks too often."""
    if err.code == 403:
        return after is not None or err.headers.get("X-RateLimit-Remaining") == "0"
    return err.code == 429 or err.code >= 500


# --- the comment


def publish(host: GitHub | GitLab, text: str, key: str) -> str:
    """Create or update the comment and say what was done."""
    name, rest = split(text)
    start = f"<!-- kept:report key={encode(key) if key else name} "
    marker = start + (f"head={host.head} -->\n" if host.head else "-->\n")
    body = fit(marker + rest, host.limit)
    failure = HostError("no try was made")
    for _ in range(TRIES):
        old = next(
            (c for c in host.comments() if c.body.startswith(start) and host.is_mine(c)), None
        )
        try:
            if old is not None:
                if same(old.body, body):
                    return f"the {host.noun} is up to date"
                if is_newer(host, old):
                    return (
                        f"the {host.noun} is left alone: it is about a newer commit than this run"
                    )
                try:
                    host.update(old, body)
                    return f"updated the {host.noun}"
                except RefusedError:
                    pass  # deleted in the meantime, or it is somebody else's after all
            host.create(body)
            return f"made a {host.noun}"
        except UnsureError as err:
            failure = err
    raise failure


def split(text: str) -> tuple[str, str]:
    """Return the key in the marker of a report, and the report without it."""
    found = MARKER.match(text)
    if not found:
        raise WrongUsageError("the file does not begin with the marker of a report of kept")
    return found[1], text[found.end() :]


def encode(key: str) -> str:
    """Return a key as kept writes it into a marker, where "--" and spaces would end something."""
    out = ""
    for c in key[:200]:
        plain = c.isascii() and c.isalnum() or c in "._/:" or c == "-" and not out.endswith("-")
        out += c if plain else f"%{ord(c):02x}"
    return out


def is_newer(host: GitHub | GitLab, old: Comment) -> bool:
    """Tell whether old is about the commit that the request is at now, and this run is not."""
    theirs = re.match(r"<!-- kept:report [^\n]*head=([0-9a-f]+) -->", old.body)
    if not host.head or not theirs or theirs[1] == host.head:
        return False
    try:
        return host.newest_head() == theirs[1]
    except HostError:
        return False


def same(a: str, b: str) -> bool:
    """Compare as hosts store: they may change line ends and take off the last."""
    return a.replace("\r\n", "\n").strip() == b.replace("\r\n", "\n").strip()


def fit(body: str, limit: int) -> str:
    """Cut a body at the end of a line so that it, in bytes, is within the limit."""
    data = body.encode()
    if len(data) <= limit:
        return body
    note = "\n\n… and more that found no room here: it is in the reports of this job\n"
    kept = data[: limit - len(note.encode()) - 100].decode(errors="ignore")
    kept = kept[: kept.rfind("\n") + 1]
    fence = ""
    for line in kept.splitlines():
        found = re.match(r" {0,3}(`{3,})", line)
        if found and not fence:
            fence = found[1]
        elif found and len(found[1]) >= len(fence) and not line.strip().strip("`"):
            fence = ""
    return kept + fence[:90] + note


# --- the command


def say(level: str, text: str, env: Mapping[str, str]) -> None:
    """Print one line, as an annotation where the host makes one of it."""
    if env.get("GITHUB_ACTIONS") == "true" and level != "note":
        text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        print(f"::{level} title=kept comment::{text}", flush=True)
    else:
        print(
            f"kept: {text}" if level == "note" else f"kept: {level}: {text}",
            file=sys.stderr,
            flush=True,
        )


def main(argv: list[str], env: Mapping[str, str]) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="comment.py", description="Keep one comment of kept up to date."
    )
    parser.add_argument("host", choices=["github", "gitlab"])
    parser.add_argument("file", help="what kept gate --report markdown=FILE wrote")
    parser.add_argument(
        "--key", default="", help="tells this comment from others of the same pull request"
    )
    options = parser.parse_args(argv)
    try:
        try:
            with open(options.file, "rb") as file:
                text = file.read(MAX_FILE).decode(errors="replace")
        except OSError as err:
            raise WrongUsageError(f"{options.file} cannot be read: {err.strerror}") from err
        host = GitHub(env) if options.host == "github" else GitLab(env)
        say("note", publish(host, text, options.key), env)
        return 0
    except NothingToDoError as err:
        say("note", str(err), env)
        return 0
    except RefusedError as err:
        say(
            "warning",
            f"the token may not comment here, as for a fork; the verdict stands ({err})",
            env,
        )
        return 0
    except HostError as err:
        say("warning", f"no comment: {err}", env)
        return 1
    except WrongUsageError as err:
        say("warning", f"no comment: {err}", env)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
