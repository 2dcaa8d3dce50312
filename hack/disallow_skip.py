"""A pytest plugin (-p disallow_skip): what hack/skips is for Go tests.

A skipped test whose id matches the regular expression KEPT_TEST_DISALLOW_SKIP, and not
KEPT_TEST_ALLOW_SKIP, fails the session.
"""

import os
import re

import pytest

_bad = []


def pytest_runtest_logreport(report):
    _note(report)


def pytest_collectreport(report):
    _note(report)


def _note(report):
    expected = hasattr(report, "wasxfail")
    if (
        report.skipped
        and not expected
        and _matches("DISALLOW", report)
        and not _matches("ALLOW", report)
    ):
        _bad.append(report.nodeid)


def _matches(what, report):
    pattern = os.environ.get(f"KEPT_TEST_{what}_SKIP")
    return bool(pattern) and re.search(pattern, report.nodeid) is not None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if _bad:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    for name in _bad:
        terminalreporter.write_line(f"error: {name} may not be skipped here", red=True)
