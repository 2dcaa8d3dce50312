"""gate.sh end to end: the real kept, a checkout as the hosts make it, a host on loopback.

What the hosts do with action.yml and kept.yml is done here by hand, from the files
themselves: inputs become variables, and the scripts run in the shells that they name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_host import TOKEN, FakeHost

CI = Path(__file__).parents[1]
ACTION = yaml.safe_load((CI / "github" / "action.yml").read_text())
TEMPLATE = yaml.safe_load((CI / "gitlab" / "kept.yml").read_text())
KEPT = os.environ["KEPT_BINARY"]

TOML = """
[stage.train]
command   = "sh train.sh"
code      = ["train.sh"]
metrics   = ["metrics.json"]
artifacts = { model = "model.bin" }

[gate."train.accuracy"]
max_drop = 0.01
"""


def train(accuracy: float) -> str:
    """Return a program that reaches this accuracy."""
    return (
        f"echo '{{\"accuracy\": {accuracy}}}' >metrics.json\necho weights {accuracy} >model.bin\n"
    )


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment without what a CI system, Git or the user of this machine set."""
    foreign = re.compile(
        "(GITHUB|CI|GIT|GITLAB|KEPT|RUNNER)(_|$)|PYTHONPATH$|.*_proxy$", re.IGNORECASE
    )
    env = {k: v for k, v in os.environ.items() if not foreign.match(k) or k.startswith("GIT_EXEC")}
    folders = [p for p in env["PATH"].split(os.pathsep) if not (Path(p) / "kept").exists()]
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), *folders])
    config = folder / "gitconfig"
    config.write_text("[user]\nname = Ada\nemail = ada@example.com\n[init]\ndefaultBranch = main\n")
    (folder / "tmp").mkdir(exist_ok=True)
    return {
        **env,
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "TMPDIR": str(folder / "tmp"),
        **more,
    }


class Origin:
    """The repository on the server: main and pull requests, each merged into it as a host does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = environment(folder)
        self.bare = folder / "server.git"
        self.work = folder / "work"
        self.git(folder, "init", "-q", "--bare", str(self.bare))
        for setting in ("uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter"):
            self.git(self.bare, "config", setting, "true")
        self.git(folder, "init", "-q", str(self.work))
        self.git(self.work, "remote", "add", "origin", str(self.bare))
        self.commit("first", train(0.9))
        self.git(self.work, "push", "-q", "origin", "main")

    def git(self, where: Path, *args: str) -> str:
        return run(["git", *args], where, self.env).stdout.strip()

    def commit(self, message: str, program: str, toml: str = TOML, ran: bool = True) -> None:
        (self.work / "kept.toml").write_text(toml)
        (self.work / "train.sh").write_text(program)
        (self.work / ".gitignore").write_text("model.bin\n")
        if ran:
            run([KEPT, "run"], self.work, self.env)
        self.git(self.work, "add", "-A")
        self.git(self.work, "commit", "-q", "-m", message)

    def pull(self, number: int, program: str, toml: str = TOML, ran: bool = True) -> None:
        """Make pull request `number`; main moves on before it is merged."""
        branch = f"pull-{number}"
        self.git(self.work, "checkout", "-q", "-b", branch, "main")
        self.commit(branch, program, toml, ran)
        head = self.git(self.work, "rev-parse", "HEAD")
        self.git(self.work, "checkout", "-q", "main")
        (self.work / f"unrelated-{number}").touch()
        self.git(self.work, "add", "-A")
        self.git(self.work, "commit", "-q", "-m", f"main before {number}")
        self.git(self.work, "merge", "-q", "--no-ff", "-m", f"Merge {head}", branch)
        merge = self.git(self.work, "rev-parse", "HEAD")
        self.git(
            self.work,
            "push",
            "-q",
            "origin",
            f"{merge}:refs/pull/{number}/merge",
            f"{head}:refs/pull/{number}/head",
        )
        self.git(self.work, "reset", "-q", "--hard", "HEAD^1")
        self.git(self.work, "push", "-q", "origin", "main")

    def rev(self, ref: str) -> str:
        return self.git(self.bare, "rev-parse", ref)


def run(
    command: list[str], where: Path, env: dict[str, str], check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, timeout=300)
    if check and done.returncode:
        raise AssertionError(
            f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
    return done


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    made = Origin(tmp_path_factory.mktemp("origin"))
    made.pull(1, train(0.85))
    made.pull(2, train(0.93))
    made.pull(3, train(0.91))
    made.pull(4, train(0.9) + "# edited after the run\n", ran=False)
    hostile = '"```\\n::error::owned" = 1\n'
    made.pull(5, train(0.9), TOML + hostile, ran=False)
    return made


class Job:
    """One job: a checkout and what it ran."""

    def __init__(
        self, folder: Path, origin: Origin, number: int, host: FakeHost | None = None
    ) -> None:
        self.folder, self.origin, self.number, self.host = folder, origin, number, host
        self.workspace = folder / "workspace"
        self.files = {name: folder / name for name in ("summary", "output", "path", "event")}
        self.temp = folder / "runner temp"
        self.temp.mkdir(exist_ok=True)
        self.env = environment(folder)
        self.log = ""

    def checkout(self, depth: int = 1) -> None:
        """Do what actions/checkout does: one commit, in a clone that knows nothing else."""
        merge = self.origin.rev(f"refs/pull/{self.number}/merge")
        ref = f"refs/remotes/pull/{self.number}/merge"
        shutil.rmtree(self.workspace, ignore_errors=True)
        self.git("init", "-q", str(self.workspace), where=self.folder)
        self.git("remote", "add", "origin", self.origin.bare.as_uri())
        self.git(
            "fetch", "-q", "--no-tags", "--prune", f"--depth={depth}", "origin", f"+{merge}:{ref}"
        )
        self.git("checkout", "-q", "--force", ref)

    def git(self, *args: str, where: Path | None = None) -> str:
        return run(["git", *args], where or self.workspace, self.env).stdout.strip()

    def action(self, inputs: dict[str, str] | None = None, **more: str) -> int:
        """Run the steps of the action with these inputs, and return how the job ended."""
        given = {name: str(i.get("default", "")) for name, i in ACTION["inputs"].items()}
        given.update({"github-token": TOKEN, "binary": KEPT, **(inputs or {})})
        pull = {
            "number": 7,
            "base": {"ref": "main"},
            "head": {"sha": self.origin.rev(f"refs/pull/{self.number}/head")},
        }
        self.files["event"].write_text(json.dumps({"number": 7, "pull_request": pull}))
        github = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(CI / "github"),
            "GITHUB_BASE_REF": "main",
            "GITHUB_HEAD_REF": "$(touch pwned)",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(self.files["event"]),
            "GITHUB_OUTPUT": str(self.files["output"]),
            "GITHUB_PATH": str(self.files["path"]),
            "GITHUB_REF": f"refs/pull/{self.number}/merge",
            "GITHUB_REPOSITORY": "acme/models",
            "GITHUB_SHA": self.origin.rev(f"refs/pull/{self.number}/merge"),
            "GITHUB_STEP_SUMMARY": str(self.files["summary"]),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
        }
        if self.host:
            github.update(
                {"GITHUB_API_URL": self.host.url, "GITHUB_GRAPHQL_URL": self.host.url + "/graphql"}
            )
        (step,) = ACTION["runs"]["steps"]
        assert step["shell"] == "bash"
        values = {name: substitute(text, given) for name, text in step["env"].items()}
        script = self.folder / "step.sh"
        script.write_text(step["run"] + "\n")
        where = self.workspace / substitute(step["working-directory"], given)
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        return self.run(shell, where, {**github, **values, **more})

    def template(self, shell: str, **more: str) -> int:
        """Run the job of the template."""
        job = TEMPLATE[".kept-gate"]
        kit = self.folder / "kit"
        if not kit.exists():
            shutil.copytree(CI, kit / "ci", ignore=shutil.ignore_patterns("__pycache__", "tests"))
            for command in (
                ["init", "-q"],
                ["add", "-A"],
                ["commit", "-q", "-m", "the kit"],
                ["tag", "v1"],
            ):
                self.git(*command, where=kit)
        gitlab = {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_COMMIT_SHA": self.origin.rev(f"refs/pull/{self.number}/head"),
            "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
            "CI_MERGE_REQUEST_IID": "12",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_PROJECT_DIR": str(self.workspace),
            "CI_PROJECT_ID": "7",
            "KEPT_GITLAB_TOKEN": TOKEN,
        }
        if self.host:
            gitlab["CI_API_V4_URL"] = self.host.url + "/api/v4"
        mine = {"KEPT_REPOSITORY": kit.as_uri(), "KEPT_VERSION": "v1", "KEPT_BINARY": KEPT}
        script = "\n".join(["set -e", *job["script"]])
        return self.run(
            [shell, "-c", script], self.workspace, {**job["variables"], **gitlab, **mine, **more}
        )

    def run(self, command: list[str], where: Path, env: dict[str, str]) -> int:
        done = run(command, where, {**self.env, **env}, check=False)
        self.log = done.stdout + done.stderr
        assert TOKEN not in self.log
        assert list((self.folder / "tmp").iterdir()) == [], (
            "something was left in the folder for temporary files"
        )
        assert not (where / "pwned").exists()
        return done.returncode

    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.files["output"].read_text().splitlines())

    def commands(self) -> list[str]:
        """Return the workflow commands that a runner acts on, as it does."""
        found, stop = [], None
        for line in self.log.splitlines():
            if stop is not None:
                stop = None if line == f"::{stop}::" else stop
            elif line.lstrip().startswith("::stop-commands::"):
                stop = line.strip()[len("::stop-commands::") :]
            elif line.lstrip().startswith("::") or "##[" in line:
                found.append(line)
        assert stop is None
        return [c for c in found if not c.startswith(("::group::", "::endgroup::"))]


def substitute(text: str, given: dict[str, str]) -> str:
    """Put inputs in the place of expressions."""
    return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda m: given[m[1]], text)


def test_artifacts_are_pulled_where_the_job_says_so(tmp_path: Path) -> None:
    origin = Origin(tmp_path)
    bucket = tmp_path / "work" / "bucket"
    toml = TOML + '\n[remote.default]\nurl = "bucket"\n'
    origin.pull(1, train(0.93), toml)
    origin.git(origin.work, "checkout", "-q", "pull-1")
    run([KEPT, "push"], origin.work, origin.env)
    job = Job(tmp_path, origin, 1)
    job.checkout()
    assert job.action(KEPT_PULL="true") == 0
    assert "missing" in job.log and "kept pull" in job.log  # the folder is not here
    job.checkout()
    shutil.copytree(bucket, job.workspace / "bucket")
    assert job.action({"pull": "true"}) == 0
    assert "fetched 1 object from default" in job.log
    assert (job.workspace / "model.bin").read_text() == "weights 0.93\n"
    job.checkout()
    assert job.action() == 0
    assert "fetched" not in job.log and not (job.workspace / "model.bin").exists()


def test_a_pull_request_that_got_worse_and_then_better(
    tmp_path: Path, origin: Origin, github: FakeHost
) -> None:
    job = Job(tmp_path, origin, 1, github)
    job.checkout()
    assert job.git("rev-list", "--count", "HEAD") == "1"
    assert job.action() == 1, job.log

    outputs = job.outputs()
    assert outputs["verdict"] == "failed" and outputs["exit-code"] == "1"
    reports = {p.name for p in Path(outputs["reports"]).iterdir()}
    assert reports >= {
        "gate.md",
        "gate.html",
        "gate.json",
        "junit.xml",
        "metrics.txt",
        "comment.md",
        "verify.txt",
    }
    (body,) = github.bodies()
    assert body.startswith("<!-- kept:report key=gate head=" + origin.rev("refs/pull/1/head"))
    assert "gate failed" in body and "`train.accuracy`" in body and "`0.85`" in body
    assert "main before the pull request" in body
    assert body.partition("\n")[2] == job.files["summary"].read_text().partition("\n")[2]
    errors = [c for c in job.commands() if c.startswith("::error ")]
    assert len(errors) == 1 and errors[0].startswith("::error file=kept.lock,line=")
    # There is no model in a clone: that is said, and is no failure.
    assert any(
        c.startswith("::notice title=kept::nothing differs from kept.lock;") for c in job.commands()
    )
    assert github.requests[0][0] == "GET"

    again = Job(tmp_path, origin, 2, github)
    again.checkout()
    assert again.action() == 0, again.log
    (body,) = github.bodies()
    assert "gate passed" in body and "`0.93`" in body and "0.85" not in body
    assert again.outputs()["verdict"] == "passed"


def test_a_lock_that_is_not_of_the_code_fails_though_the_gate_passes(
    tmp_path: Path, origin: Origin, github: FakeHost
) -> None:
    job = Job(tmp_path, origin, 4, github)
    job.checkout()
    assert job.action() == 1, job.log
    (body,) = github.bodies()
    lines = body.splitlines()
    assert lines[1] == "### kept: kept.lock is not of what lies beside it"
    assert "train.sh" in body and "gate passed" in body
    assert job.outputs()["verdict"] == "failed"
    assert [c for c in job.commands() if c.startswith("::error title=kept::kept.lock is not of")]


def test_a_gate_that_cannot_be_run_is_told_and_quotes_nothing_that_acts(
    tmp_path: Path, origin: Origin, github: FakeHost
) -> None:
    github.add(
        "<!-- kept:report key=gate head=" + "0" * 40 + " -->\n### kept: gate passed\n", github.me
    )
    job = Job(tmp_path, origin, 5, github)
    job.checkout()
    assert job.action() == 2, job.log
    (body,) = github.bodies()
    assert "### kept: the gate could not be run · exit code 2" in body and "gate passed" not in body
    assert "owned" in body
    block = body[body.index("### kept: the gate") :]
    fence = re.search("^(`{3,})text$", block, re.MULTILINE)
    assert fence and block.count(fence[1]) == 2 and block.rstrip().endswith(fence[1])
    assert job.outputs()["verdict"] == "error"
    assert not [c for c in job.commands() if "owned" in c]


def test_without_a_base_it_is_inconclusive(
    tmp_path: Path, origin: Origin, github: FakeHost
) -> None:
    job = Job(tmp_path, origin, 2, github)
    job.checkout()
    job.git("remote", "remove", "origin")
    assert job.action() == 3, job.log
    assert job.outputs()["verdict"] == "inconclusive"
    assert "inconclusive" in github.bodies()[0]


def test_a_checkout_of_two_commits_has_the_base(tmp_path: Path, origin: Origin) -> None:
    job = Job(tmp_path, origin, 1)
    job.checkout(depth=2)
    job.git("remote", "remove", "origin")
    assert job.action({"comment": "false"}) == 1, job.log
    assert "main before the pull request" in job.files["summary"].read_text()


def test_without_python_there_is_a_verdict_and_no_comment(
    tmp_path: Path, origin: Origin, github: FakeHost
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in [
        "awk",
        "bash",
        "cat",
        "cut",
        "dirname",
        "env",
        "git",
        "head",
        "mkdir",
        "mktemp",
        "od",
        "rm",
        "sh",
        "tail",
        "tr",
    ]:
        found = shutil.which(name)
        assert found, name
        (tools / name).symlink_to(found)
    job = Job(tmp_path, origin, 2, github)
    job.checkout()
    assert job.action(PATH=str(tools)) == 0, job.log
    assert "::warning title=kept::no comment: there is no Python 3" in job.commands()
    assert github.requests == []


def test_the_token_of_a_fork_changes_no_verdict(
    tmp_path: Path, origin: Origin, github: FakeHost
) -> None:
    github.readonly = True
    for number, exit_code in ((1, 1), (2, 0)):
        job = Job(tmp_path, origin, number, github)
        job.checkout()
        assert job.action() == exit_code, job.log
        assert [
            c
            for c in job.commands()
            if c.startswith("::warning title=kept comment::the token may not")
        ]
        assert "`train.accuracy`" in job.files["summary"].read_text()


def test_a_host_that_is_down_changes_no_verdict(
    tmp_path: Path, origin: Origin, github: FakeHost
) -> None:
    github.before = lambda method, path: (401, {"message": "down"}, {})
    job = Job(tmp_path, origin, 2, github)
    job.checkout()
    assert job.action() == 0, job.log


def test_no_comment_where_none_is_wanted(tmp_path: Path, origin: Origin, github: FakeHost) -> None:
    job = Job(tmp_path, origin, 2, github)
    job.checkout()
    assert job.action({"comment": "false"}) == 0, job.log
    assert github.requests == []
    assert "gate passed" in job.files["summary"].read_text()


def test_the_base_can_be_given(tmp_path: Path, origin: Origin) -> None:
    job = Job(tmp_path, origin, 3)
    job.checkout()
    better = origin.rev("refs/pull/2/head")
    assert job.action({"base": better, "comment": "false"}) == 1, job.log
    assert "0.93" in job.files["summary"].read_text()


@pytest.mark.parametrize(
    "base", ["$(touch pwned)", "--accept=train.accuracy", "x; touch pwned", "'\"`touch pwned`"]
)
def test_a_base_is_never_a_command_or_an_option(tmp_path: Path, origin: Origin, base: str) -> None:
    job = Job(tmp_path, origin, 2)
    job.checkout()
    before = (job.workspace / "kept.toml").read_bytes()
    assert job.action({"base": base, "comment": "false"}) in (2, 3), job.log
    assert (job.workspace / "kept.toml").read_bytes() == before


def test_a_checkout_that_belongs_to_another_user(tmp_path: Path, origin: Origin) -> None:
    job = Job(tmp_path, origin, 2)
    job.checkout()
    foreign = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    with open(tmp_path / "gitconfig", "a") as file:
        file.write(f"[safe]\ndirectory = {origin.bare}\n")
    refused = run(["git", "status"], job.workspace, {**job.env, **foreign}, check=False)
    assert "dubious ownership" in refused.stderr
    assert job.action({"comment": "false"}, **foreign) == 0, job.log


def test_an_experiment_in_a_folder_of_a_checkout_elsewhere(
    tmp_path: Path, origin: Origin, github: FakeHost
) -> None:
    job = Job(tmp_path, origin, 2, github)
    job.workspace = tmp_path / "workspace" / "side by side"
    job.workspace.parent.mkdir()
    job.checkout()
    whole, job.workspace = job.workspace, job.workspace.parent
    (whole / "models").mkdir()
    for name in ("kept.toml", "kept.lock", "train.sh", "metrics.json"):
        (whole / name).rename(whole / "models" / name)
    run(["git", "add", "-A"], whole, job.env)
    assert job.action({"path": "side by side"}) == 3, job.log  # the base has no lock in that folder
    assert "`train.accuracy`" in github.bodies()[0]


def test_builds_kept_where_there_is_none(tmp_path: Path, origin: Origin) -> None:
    job = Job(tmp_path, origin, 2)
    job.checkout()
    odd = {"GOOS": "plan9", "GOFLAGS": "-mod=vendor -tags=none", "GOWORK": "/none"}
    assert job.action({"binary": "", "comment": "false"}, **odd) == 0, job.log
    bin = job.temp / "kept-bin"
    assert job.files["path"].read_text() == f"{bin}\n"
    assert run([str(bin / "kept"), "version"], tmp_path, job.env).stdout.startswith("kept ")
    # The next use in the same job finds it.
    path = f"{bin}{os.pathsep}{job.env['PATH']}"
    assert (
        job.action({"binary": "", "comment": "false"}, PATH=path, GOPROXY="off", GOCACHE="off") == 0
    ), job.log


def test_a_binary_that_is_none(tmp_path: Path, origin: Origin) -> None:
    job = Job(tmp_path, origin, 2)
    job.checkout()
    assert job.action({"binary": "./train.sh", "comment": "false"}) == 2
    assert job.outputs()["verdict"] == "error"


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_template(tmp_path: Path, origin: Origin, gitlab: FakeHost, shell: str) -> None:
    job = Job(tmp_path, origin, 1, gitlab)
    job.checkout()
    # GitLab checks out the head of the branch.
    head = origin.rev("refs/pull/1/head")
    job.git("fetch", "-q", "--depth=1", "origin", head)
    job.git("checkout", "-q", "--force", head)
    assert job.template(shell) == 1, job.log
    (body,) = gitlab.bodies()
    assert body.startswith(f"<!-- kept:report key=gate head={head} -->\n") and "gate failed" in body
    artifacts = TEMPLATE[".kept-gate"]["artifacts"]
    for name in (*artifacts["paths"], *artifacts["reports"].values()):
        assert (job.workspace / name).exists(), name
    assert "::" not in job.log.replace(": ::", "")

    gitlab.comments.clear()
    assert job.template(shell, KEPT_COMMENT="false", KEPT_BASE=head) == 0, job.log
    assert gitlab.comments == []
    job.git("remote", "remove", "origin")
    assert job.template(shell, KEPT_GITLAB_TOKEN="") == 3, job.log
    assert "KEPT_GITLAB_TOKEN is not set" in job.log


def test_any_other_system(tmp_path: Path, origin: Origin) -> None:
    job = Job(tmp_path, origin, 1)
    job.checkout()
    script = [str(CI / "gate.sh")]
    env = {"KEPT_BINARY": KEPT, "KEPT_BASE": origin.rev("main"), "CI": "true"}
    assert job.run(script, job.workspace, env) == 1, job.log
    assert (job.workspace / "kept-report" / "junit.xml").exists()
    shutil.rmtree(job.workspace / "kept-report")
    (job.workspace / "kept-report").symlink_to(tmp_path)
    assert job.run(script, job.workspace, env) == 2, job.log


def stand_in(folder: Path, verify: str, gate: str) -> Path:
    """Make a program that takes the place of kept, from two pieces of shell."""
    program = folder / "bin" / "kept"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        report() {{
            for argument; do
                case $argument in
                markdown=*) echo '<!-- kept:report key=gate -->' >"${{argument#*=}}" ;;
                esac
            done
        }}
        case $1 in
        verify) {verify} ;;
        gate) {gate.replace("report;", 'report "$@";')} ;;
        esac
        """)
    )
    program.chmod(0o755)
    return program


def test_what_kept_prints_is_no_command_and_it_does_not_see_the_token(
    tmp_path: Path, origin: Origin, github: FakeHost
) -> None:
    seen = tmp_path / "environment"
    hostile = r"printf '::error::owned\n  ::add-mask::owned\nx ##[warning]owned\n::endgroup::\n'"
    fake = stand_in(tmp_path, f"env >'{seen}'; {hostile}; exit 1", f"report; {hostile}; exit 1")
    job = Job(tmp_path, origin, 2, github)
    job.checkout()
    assert job.action({"binary": str(fake)}) == 1, job.log
    assert "KEPT_KEY=gate" in seen.read_text() and TOKEN not in seen.read_text()
    assert job.log.count("::error::owned") == 2
    assert not [c for c in job.commands() if "owned" in c]
    assert len(github.comments) == 1


@pytest.mark.parametrize("status", [0, 1, 3])
def test_a_program_that_writes_no_report_is_no_gate(tmp_path: Path, status: int) -> None:
    fake = stand_in(tmp_path, "exit 0", f"exit {status}")
    env = environment(tmp_path, KEPT_BINARY=str(fake))
    assert run([str(CI / "gate.sh")], tmp_path, env, check=False).returncode == 2


@pytest.mark.parametrize(
    "verified, gated, status",
    [
        (0, 0, 0),
        (0, 1, 1),
        (0, 2, 2),
        (0, 3, 3),
        (3, 0, 0),
        (3, 3, 3),
        (1, 0, 1),
        (1, 1, 1),
        (1, 2, 2),
        (1, 3, 1),
        (2, 0, 2),
        (2, 2, 2),
        (2, 3, 2),
        (130, 0, 130),
        (0, 139, 139),
    ],
)
def test_how_two_exit_codes_become_one(
    tmp_path: Path, verified: int, gated: int, status: int
) -> None:
    fake = stand_in(tmp_path, f'echo "1 check verified"; exit {verified}', f"report; exit {gated}")
    env = environment(tmp_path, KEPT_BINARY=str(fake), GITHUB_OUTPUT=str(tmp_path / "output"))
    assert run([str(CI / "gate.sh")], tmp_path, env, check=False).returncode == status
    words = {0: "passed", 1: "failed", 3: "inconclusive"}
    assert f"verdict={words.get(status, 'error')}\n" in (tmp_path / "output").read_text()


def steps(document: Any) -> list[dict[str, Any]]:
    return list(document["runs"]["steps"])


def test_the_action_names_a_shell_and_pastes_nothing_into_it() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for step in steps(ACTION):
        assert "uses" not in step or re.search("@[0-9a-f]{40}$", step["uses"]), (
            "an action is not pinned"
        )
        assert "run" not in step or (step["shell"] == "bash" and "${{" not in step["run"])
        for text in step.get("env", {}).values():
            assert re.fullmatch(r"\$\{\{ inputs\.[a-z-]+ \}\}", text)
    text = (CI / "github" / "action.yml").read_text()
    assert "github.event" not in text and "head_ref" not in text
    used = set(re.findall(r"inputs\.([a-z-]+)", text))
    assert used == set(ACTION["inputs"])
    for each in [*ACTION["inputs"].values(), *ACTION["outputs"].values()]:
        assert each["description"]
    assert ACTION["inputs"]["github-token"]["default"] == "${{ github.token }}"


def test_the_template_has_a_ready_job() -> None:
    job = TEMPLATE["kept"]
    assert job["extends"] == ".kept-gate"
    assert set(TEMPLATE) == {".kept-gate", "kept"}
    assert any("merge_request_event" in rule["if"] for rule in job["rules"])
    hidden = TEMPLATE[".kept-gate"]
    assert hidden["artifacts"]["when"] == "always" and "allow_failure" not in hidden
    assert all(isinstance(v, str) for v in hidden["variables"].values())
    assert "$CI_" not in "".join(hidden["script"])


def test_every_variable_of_the_script_is_set_by_a_kit_and_the_other_way() -> None:
    known = set(re.findall(r"KEPT_[A-Z_]+", (CI / "gate.sh").read_text()))
    (step,) = steps(ACTION)
    assert set(step["env"]) <= known
    assert set(TEMPLATE[".kept-gate"]["variables"]) - {"KEPT_REPOSITORY", "KEPT_VERSION"} <= known


def test_the_workflow_in_the_documentation_is_one() -> None:
    text = (CI.parent / "docs" / "ci.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    workflows = [b for b in blocks if "jobs" in b]
    assert workflows
    for workflow in workflows:
        for job in workflow["jobs"].values():
            assert set(job.get("permissions", workflow.get("permissions", {}))) >= {
                "contents",
                "pull-requests",
            }
            for each in job["steps"]:
                given = each.get("with", {}) if "kept/ci/github" in each.get("uses", "") else {}
                assert set(given) <= set(ACTION["inputs"])
