"""Makes `main_pc_code` importable however pytest is started, and gives integration tests their system."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from main_pc_code.tests.live_system import LiveSystem


@pytest.fixture(scope="module")
def system(request: pytest.FixtureRequest) -> Iterator[LiveSystem]:
    """With the agents in the suite's `NEEDS`, or all. If one of them is down, each test fails at once and names it."""
    with LiveSystem(getattr(request.module, "NEEDS", ())) as system:
        if problems := system.problems():
            pytest.fail("the suite needs what is not there: " + "; ".join(problems), pytrace=False)
        yield system
