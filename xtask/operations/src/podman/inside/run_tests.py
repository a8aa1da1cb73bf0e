"""Runs pytest in a container and says what happens, as it happens: python3 -c THIS CONFIG

Each line on stdout is `@test` and a JSON object with an `event`: `test` for each test that has ended, `problem` for a file that
cannot be collected, `end` with pytest's exit code and its JUnit report. What pytest and the tests print goes to stderr.

CONFIG is a JSON object: `packages` (the folder that pytest is in), `files` and `options` for pytest, `timeout_s` for all
of it, and `system`, which tests find in the file that TEST_SYSTEM names, or null.
"""

import faulthandler
import json
import os
import sys
from pathlib import Path

JUNIT = "/tmp/junit.xml"
SYSTEM = "/tmp/system.json"
# Longer texts help nobody, and the whole must fit through a pipe.
DETAIL_MAX = 20_000


def say(event: str, **fields: object) -> None:
    OUT.write("@test " + json.dumps({"event": event, **fields}) + "\n")


class Reporter:
    """A pytest plugin: each test is told once, when its last phase is over."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.worst = None

    def pytest_runtest_logreport(self, report) -> None:
        self.elapsed_s += report.duration
        if self.worst is None or report.failed or (report.skipped and not self.worst.failed):
            self.worst = report
        if report.when == "teardown":
            worst, elapsed_s = self.worst, self.elapsed_s
            self.worst, self.elapsed_s = None, 0.0
            say("test", id=worst.nodeid, outcome=worst.outcome, elapsed_s=round(elapsed_s, 3), **texts(worst))

    def pytest_collectreport(self, report) -> None:
        if report.failed:
            say("problem", id=report.nodeid, **texts(report))


def texts(report) -> dict[str, str]:
    """What went wrong in one line, and at length."""
    if report.outcome == "passed":
        return {"message": "", "detail": ""}
    if report.outcome == "skipped":
        reason = getattr(report, "wasxfail", None) or report.longrepr
        reason = reason[2] if isinstance(reason, tuple) else str(reason)
        return {"message": reason.removeprefix("Skipped: "), "detail": ""}
    crash = getattr(report.longrepr, "reprcrash", None)
    detail = report.longreprtext
    lines = (crash.message if crash else detail.strip().rsplit("\n", 1)[-1]).strip().splitlines()
    return {"message": lines[0] if lines else "", "detail": detail[-DETAIL_MAX:]}


def main() -> int:
    config = json.loads(sys.argv[1])
    if config["system"] is not None:
        Path(SYSTEM).write_text(json.dumps(config["system"]), encoding="utf-8")
        os.environ["TEST_SYSTEM"] = SYSTEM
    # What the image has comes first: the tests see the versions that the agent sees.
    sys.path.append(config["packages"])
    # Says where it hangs, too.
    faulthandler.dump_traceback_later(config["timeout_s"], exit=True)
    import pytest

    options = ["-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={JUNIT}", *config["options"]]
    code = pytest.main([*options, *config["files"]], plugins=[Reporter()])
    junit = Path(JUNIT)
    say("end", code=int(code), junit=junit.read_text(encoding="utf-8") if junit.exists() else "")
    return int(code)


# stdout is ours alone; everything else that writes to it is diverted.
OUT = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
os.dup2(2, 1)
sys.exit(main())
