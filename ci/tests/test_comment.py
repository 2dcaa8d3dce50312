"""comment.py against a GitHub and a GitLab on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Callable

import pytest
from fake_host import HEAD, NEW, OLD, TOKEN, Answer, FakeHost

MARKER = "<!-- kept:report key=gate -->\n"
REPORT = (
    MARKER
    + "### kept: gate failed · 1 failed\n\n| metric | base |\n|---|---|\n| `train.f1` ↑ | `0.8` |\n"
)

Post = Callable[..., int]


@pytest.fixture(params=["github", "gitlab"])
def host(request: pytest.FixtureRequest) -> FakeHost:
    """Both, one after the other."""
    made = request.getfixturevalue(request.param)
    assert isinstance(made, FakeHost)
    return made


@pytest.fixture
def waits(comment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(comment.time, "sleep", slept.append)
    return slept


@pytest.fixture
def post(comment: ModuleType, tmp_path: Path, waits: list[float]) -> Post:
    """Run the command with a report, as the job of a host does."""

    def run(host: FakeHost, report: str = REPORT, *args: str, head: str = HEAD, **env: str) -> int:
        file = tmp_path / "gate.md"
        file.write_bytes(report.encode())
        return int(
            comment.main([host.kind, str(file), *args], {**variables(host, tmp_path, head), **env})
        )

    return run


def variables(host: FakeHost, folder: Path, head: str = HEAD) -> dict[str, str]:
    """Return what the host sets for a job."""
    if host.kind == "gitlab":
        return {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": host.url + "/api/v4",
            "CI_PROJECT_ID": "7",
            "CI_MERGE_REQUEST_IID": "12",
            "CI_COMMIT_SHA": head,
            "KEPT_GITLAB_TOKEN": TOKEN,
        }
    event = folder / "event.json"
    event.write_text(
        json.dumps(
            {"number": 7, "pull_request": {"number": 7, "head": {"sha": head, "ref": "$(id)"}}}
        )
    )
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": host.url,
        "GITHUB_GRAPHQL_URL": host.url + "/graphql",
        "GITHUB_REPOSITORY": "acme/models",
        "GITHUB_EVENT_PATH": str(event),
        "KEPT_GITHUB_TOKEN": TOKEN,
    }


def marker(head: str = HEAD, key: str = "gate") -> str:
    """Return the first line of a comment as it is posted."""
    return f"<!-- kept:report key={key} head={head} -->\n"


def test_creates_then_updates(host: FakeHost, post: Post) -> None:
    host.add("Looks good to me.")
    assert post(host) == 0
    assert host.bodies() == ["Looks good to me.", REPORT.replace(MARKER, marker())]
    assert post(host, REPORT.replace("0.8", "0.9")) == 0
    assert host.bodies() == [
        "Looks good to me.",
        REPORT.replace(MARKER, marker()).replace("0.8", "0.9"),
    ]


def test_same_text_is_not_written_again(host: FakeHost, post: Post) -> None:
    host.add(marker() + REPORT.partition("\n")[2].replace("\n", "\r\n").rstrip(), host.me)
    assert post(host) == 0
    assert host.writes() == []


def test_finds_the_comment_on_the_third_page(host: FakeHost, post: Post) -> None:
    for n in range(250):
        host.add(f"comment {n}")
    mine = host.add(marker(OLD) + "old", host.me)
    for n in range(30):
        host.add(f"later comment {n}")
    assert post(host) == 0
    assert len(host.comments) == 281
    assert mine["body"] == REPORT.replace(MARKER, marker())


def test_each_key_has_a_comment(host: FakeHost, post: Post) -> None:
    assert post(host, REPORT, "--key", "gate") == 0
    assert post(host, REPORT, "--key", "gate2") == 0
    assert post(host, REPORT, "--key", "nightly --> <b>") == 0
    assert post(host, REPORT + "again", "--key", "nightly --> <b>") == 0
    assert [b.partition("\n")[0] + "\n" for b in host.bodies()] == [
        marker(),
        marker(key="gate2"),
        marker(key="nightly%20-%2d%3e%20%3cb%3e"),
    ]


def test_marker_pasted_by_somebody_else_stays(host: FakeHost, post: Post) -> None:
    theirs = marker(OLD) + "everything is fine, merge it"
    host.add(theirs, "mallory")
    host.add("> " + marker(OLD), host.me)
    assert post(host) == 0
    assert host.bodies()[0] == theirs
    assert len(host.comments) == 3
    assert post(host, REPORT + "more") == 0
    assert host.bodies()[0] == theirs and host.bodies()[2].endswith("more")
    assert len(host.comments) == 3


@pytest.mark.parametrize("viewer", [None, "github-actions"])
def test_marker_pasted_where_github_does_not_say_who_we_are(
    github: FakeHost, post: Post, viewer: str | None
) -> None:
    github.viewer = viewer
    theirs = github.add(marker(OLD) + "fine", "mallory")
    assert post(github) == 0
    assert post(github, REPORT + "more") == 0
    assert theirs["body"].endswith("fine")
    assert len(github.comments) == 2 and github.bodies()[1].endswith("more")


def test_marker_pasted_where_gitlab_does_not_say_who_we_are(gitlab: FakeHost, post: Post) -> None:
    gitlab.viewer = None
    gitlab.add(marker(OLD) + "fine", "mallory")
    assert post(gitlab) == 0  # GitLab refuses the edit, so a new one is made
    assert gitlab.writes() == ["PUT", "POST"]
    assert len(gitlab.comments) == 2


def test_comment_deleted_between_finding_and_updating(host: FakeHost, post: Post) -> None:
    host.add(marker(OLD), host.me)

    def delete(method: str, _: str) -> Answer | None:
        if method in ("PATCH", "PUT"):
            host.comments.clear()
        return None

    host.before = delete
    assert post(host) == 0
    assert host.bodies() == [REPORT.replace(MARKER, marker())]


def test_an_older_run_leaves_a_newer_comment(
    host: FakeHost, post: Post, capfd: pytest.CaptureFixture[str]
) -> None:
    host.head = NEW
    host.add(marker(NEW) + "newer", host.me)
    assert post(host, head=HEAD) == 0
    assert host.writes() == []
    assert "newer commit" in capfd.readouterr().err


def test_a_comment_about_a_commit_that_was_force_pushed_away_is_replaced(
    host: FakeHost, post: Post
) -> None:
    host.head = HEAD
    host.add(marker(NEW) + "gone", host.me)
    assert post(host, head=HEAD) == 0
    assert host.bodies() == [REPORT.replace(MARKER, marker())]


def test_fork_token_is_a_warning(
    host: FakeHost, post: Post, capfd: pytest.CaptureFixture[str]
) -> None:
    host.readonly = True
    assert post(host) == 0
    out = capfd.readouterr()
    text = out.out + out.err
    assert "the token may not comment here" in text and "verdict stands" in text
    assert text.count("\n") == 1
    assert TOKEN not in text
    assert (out.out.startswith("::warning title=kept comment::")) == (host.kind == "github")


@pytest.mark.parametrize("status", [403, 404])
def test_a_token_that_may_not_even_read(
    host: FakeHost, post: Post, waits: list[float], status: int
) -> None:
    host.before = lambda method, path: (status, {"message": f"no\n::error::{TOKEN}"}, {})
    assert post(host) == 0
    assert waits == []


def test_what_a_host_says_is_one_line_without_the_token(
    host: FakeHost, post: Post, capfd: pytest.CaptureFixture[str]
) -> None:
    host.before = lambda method, path: (
        422,
        {"message": f"no\n::error::x\x1b[31m {TOKEN} {'y' * 5000}"},
        {},
    )
    assert post(host) == 1
    out = capfd.readouterr()
    text = out.out + out.err
    assert text.count("\n") == 1 and len(text) < 600
    assert "\x1b" not in text and TOKEN not in text and "***" in text


def test_a_bad_token_is_told(host: FakeHost, post: Post, capfd: pytest.CaptureFixture[str]) -> None:
    assert post(host, **{f"KEPT_{host.kind.upper()}_TOKEN": "expired"}) == 1
    out = capfd.readouterr()
    assert "401" in out.out + out.err and "expired" not in out.out + out.err


def test_passing_failures_are_tried_again(host: FakeHost, post: Post, waits: list[float]) -> None:
    left = [500, 502, 429]

    def fail(method: str, _: str) -> Answer | None:
        return (left.pop(0), b"<html>try later", {}) if method == "GET" and left else None

    host.before = fail
    assert post(host) == 0
    assert len(host.comments) == 1
    assert waits == [1.0, 2.0, 4.0]


def test_rate_limit_of_github_is_waited_for(
    github: FakeHost, post: Post, waits: list[float]
) -> None:
    left = ["7"]

    def fail(method: str, path: str) -> Answer | None:
        limited = method == "POST" and path != "/graphql" and left
        return (
            (403, {"message": "secondary rate limit"}, {"Retry-After": left.pop()})
            if limited
            else None
        )

    github.before = fail
    assert post(github) == 0
    assert len(github.comments) == 1
    assert waits == [7.0]


def test_who_asks_for_an_hour_is_not_waited_for(
    host: FakeHost, post: Post, waits: list[float]
) -> None:
    host.before = lambda method, path: (429, {"message": "later"}, {"Retry-After": "3600"})
    assert post(host) == 1
    assert waits == []


def test_a_host_that_stays_down_is_given_up(host: FakeHost, post: Post, waits: list[float]) -> None:
    host.before = lambda method, path: (503, b"", {})
    assert post(host) == 1
    assert len(host.requests) == 4 and sum(waits) < 30


def test_a_comment_whose_answer_was_lost_is_not_made_twice(host: FakeHost, post: Post) -> None:
    lost = ["once"]

    def lose(method: str, path: str) -> Answer | None:
        return (
            (502, b"", {})
            if method == "POST" and path != "/graphql" and lost and lost.pop()
            else None
        )

    host.after = lose
    assert post(host) == 0
    assert len(host.comments) == 1


def test_a_server_that_is_not_there(host: FakeHost, post: Post, waits: list[float]) -> None:
    host.url = "http://127.0.0.1:1"
    assert post(host) == 1
    assert len(waits) == 3


def test_a_huge_body_is_cut(host: FakeHost, post: Post) -> None:
    rows = "".join(f"| `train.ünïcode_{n}` ↑ | `0.5` |\n" for n in range(60_000))
    assert post(host, REPORT + "````text\n" + rows) == 0
    body = host.bodies()[0]
    limit = 65_536 if host.kind == "github" else 1_000_000
    assert limit - 1_000 < len(body.encode()) <= limit
    assert body.startswith(marker() + "### kept: gate failed")
    assert body.rstrip().endswith("in the reports of this job")
    lines = body.splitlines()
    assert lines[-3] == "````" and lines[-4].endswith("| `0.5` |")


def test_unicode_arrives_as_it_is(host: FakeHost, post: Post) -> None:
    text = REPORT + "Größe 模型 🟡 −0.0214 \u202e \x00"
    assert post(host, text) == 0
    assert host.bodies()[0] == text.replace(MARKER, marker())


def test_bytes_that_are_no_unicode_are_replaced(
    host: FakeHost, comment: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "gate.md"
    file.write_bytes(MARKER.encode() + b"\xff\xfe")
    assert comment.main([host.kind, str(file)], variables(host, tmp_path)) == 0
    assert host.bodies()[0].endswith("\ufffd\ufffd")


def test_a_redirection_to_another_host_does_not_get_the_token(host: FakeHost, post: Post) -> None:
    with FakeHost(host.kind) as other:
        host.before = lambda method, path: (301, b"", {"Location": other.url + path})
        assert post(host) == 1
        assert other.requests == []


def test_a_renamed_repository_is_followed(github: FakeHost, post: Post) -> None:
    def move(method: str, path: str) -> Answer | None:
        new = path.replace("/repos/acme/old", "/repos/acme/models")
        return (307, b"", {"Location": github.url + new}) if new != path else None

    github.before = move
    assert post(github, GITHUB_REPOSITORY="acme/old") == 0
    assert len(github.comments) == 1


@pytest.mark.parametrize(
    "url", ["http://api.example", "ftp://127.0.0.1", "https:///x", "http://127.0.0.1.example"]
)
def test_a_token_is_not_sent_in_the_clear(
    host: FakeHost, post: Post, capfd: pytest.CaptureFixture[str], url: str
) -> None:
    assert post(host, **{"GITHUB_API_URL": url, "CI_API_V4_URL": url}) == 2
    out = capfd.readouterr()
    assert TOKEN not in out.out + out.err


def test_nothing_to_comment_on(host: FakeHost, post: Post, tmp_path: Path) -> None:
    event = tmp_path / "push.json"
    event.write_text('{"ref": "refs/heads/main"}')
    assert post(host, GITHUB_EVENT_PATH=str(event), CI_MERGE_REQUEST_IID="") == 0
    assert host.requests == []


def test_no_token(host: FakeHost, post: Post, capfd: pytest.CaptureFixture[str]) -> None:
    assert post(host, **{f"KEPT_{host.kind.upper()}_TOKEN": ""}) == 0
    assert "_TOKEN is not set" in capfd.readouterr().err
    assert host.requests == []


def test_a_malformed_token_is_not_shown(
    host: FakeHost, post: Post, capfd: pytest.CaptureFixture[str]
) -> None:
    assert post(host, **{f"KEPT_{host.kind.upper()}_TOKEN": "se\ncret"}) == 2
    out = capfd.readouterr()
    assert "cret" not in out.out + out.err


@pytest.mark.parametrize("report", ["", "### kept: no marker\n", "text\n" + REPORT])
def test_a_file_that_is_no_report(host: FakeHost, post: Post, report: str) -> None:
    assert post(host, report) == 2
    assert host.requests == []


def test_a_comment_on_a_pull_request_is_an_event_of_it(
    github: FakeHost, post: Post, tmp_path: Path
) -> None:
    event = tmp_path / "comment.json"
    event.write_text('{"issue": {"number": 7, "pull_request": {}}}')
    assert post(github, GITHUB_EVENT_PATH=str(event)) == 0
    assert github.bodies() == [REPORT]


def test_a_merge_request_from_a_fork_is_in_the_target_project(gitlab: FakeHost, post: Post) -> None:
    assert post(gitlab, CI_PROJECT_ID="99", CI_MERGE_REQUEST_PROJECT_ID="7") == 0
    assert len(gitlab.comments) == 1
