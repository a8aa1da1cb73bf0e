"""CoordinatorAgent: gives each task to an agent that can do it."""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import REGISTRY, Agent, Reply, Request, main
from main_pc_code.common.messages import PeerError, RequestError, field, number, text
from main_pc_code.common.router import Candidate, Router

MAX_TIMEOUT_S = 600
DEFAULT_TIMEOUT_S = 30.0
MAX_ATTEMPTS = 5
DEFAULT_ATTEMPTS = 3
REFRESH_INTERVAL_S = 1.0
RETRY_S = 0.2


class CoordinatorAgent(Agent):
    """Keeps a copy of SystemDigitalTwin's registry, and goes on with it while the registry cannot be reached.

    A task is done at least once: an agent that is lost in the middle of it may have done it before another one gets it.
    """

    default_name = "CoordinatorAgent"
    default_port = 26002
    description = "Routes tasks to agents by capability, with time limits, retries and back-pressure."
    capabilities = ("task_routing",)
    workers = 128
    max_waiting = 128

    def setup(self) -> None:
        self.router = Router(self.workers)
        self.counts = Counter({"done": 0, "failed": 0, "refused": 0, "retries": 0})
        self.count_lock = threading.Lock()
        self.refresh_lock = threading.Lock()
        self.refresh_began_s = float("-inf")
        self.registry_problem: str | None = "not asked yet"

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"submit": self.submit, "find_agents": self.find_agents}

    def loops(self) -> tuple[Callable[[], None], ...]:
        return (self.stay_fresh,)

    def health_details(self) -> Reply:
        tasks = {"in_hand": self.router.in_hand(), **self.counts}
        return {"tasks": tasks, "registry": self.registry_problem or "ok"}

    def find_agents(self, request: Request) -> Reply:
        found = self._having(text(request, "capability", 200))
        return {"agents": [{"name": candidate.name, "address": candidate.address} for candidate in found]}

    def submit(self, request: Request) -> Reply:
        """Has `request` answered by an agent with `capability` within `timeout_s`, all attempts together."""
        capability, task = text(request, "capability", 200), field(request, "request", dict)
        timeout_s = number(request, "timeout_s", 0.01, MAX_TIMEOUT_S, default=DEFAULT_TIMEOUT_S)
        attempts = number(request, "attempts", 1, MAX_ATTEMPTS, default=DEFAULT_ATTEMPTS, whole=True)
        deadline_s = time.monotonic() + timeout_s
        if not self._having(capability):
            self._count("failed")
            registry = self.registry_problem or "ok"
            raise RequestError(f"no agent has the capability `{capability}`; registry: {registry}", code="unavailable")
        if not self.router.admit(capability):
            self._count("refused")
            raise RequestError(f"busy: too many tasks for `{capability}`", code="busy", retry_after_s=RETRY_S)
        try:
            reply = self._run(capability, task, deadline_s, attempts)
        except RequestError:
            self._count("failed")
            raise
        finally:
            self.router.leave(capability)
        self._count("done")
        return reply

    def stay_fresh(self) -> None:
        while not self.wait_for_stop(REFRESH_INTERVAL_S):
            self._refresh()

    def _run(self, capability: str, task: Request, deadline_s: float, attempts: int) -> Reply:
        failures: list[dict[str, Any]] = []
        while len(failures) < attempts and (left_s := deadline_s - time.monotonic()) > 0:
            choice = self.router.choose(capability, {failure["agent"] for failure in failures}, time.monotonic())
            if choice is None:
                break
            chosen, untried = choice
            if failures:
                self._count("retries")
            try:
                # Whoever may have to take over needs a share of the time, too.
                result = self._ask(chosen, task, left_s / min(untried, attempts - len(failures)))
            except PeerError as error:
                failures.append({"agent": chosen.name, "error": str(error), **_hints(error)})
                if error.reply.get("code") == "bad_request":
                    raise RequestError(str(error), attempts=failures) from error
                self._refresh()  # Somebody else may be able by now.
                continue
            return {"result": result, "by": chosen.name, "attempts": failures}
        raise _failure(capability, failures, timed_out=time.monotonic() >= deadline_s)

    def _ask(self, chosen: Candidate, task: Request, timeout_s: float) -> Reply:
        failed = True
        try:
            reply = self.connections.ask(chosen.address, task, timeout_s, self.stop_fd)
            failed = False
        except PeerError as error:
            failed = not error.reply
            raise
        finally:
            self.router.finish(chosen.name, failed, time.monotonic())
        return reply

    def _having(self, capability: str) -> list[Candidate]:
        if not self.router.having(capability):
            self._refresh()  # Somebody may have registered a moment ago.
        return self.router.having(capability)

    def _refresh(self) -> None:
        """Asks the registry, or waits while somebody else does who began after this call."""
        called_s = time.monotonic()
        with self.refresh_lock:
            if self.refresh_began_s >= called_s:
                return
            self.refresh_began_s = time.monotonic()
            try:
                agents = self.ask(REGISTRY, {"action": "list_agents"})["agents"]
                # The registry itself has no address in its own list.
                own = self.settings.peers[REGISTRY]
                candidates = [Candidate(it["name"], it["address"] or own, tuple(it["capabilities"])) for it in agents]
            except (PeerError, KeyError, TypeError) as error:
                self.registry_problem = f"cannot be asked: {error}"
                return
            self.registry_problem = None
            # Tasks for itself would go round in circles.
            self.router.set_candidates(candidate for candidate in candidates if candidate.name != self.name)

    def _count(self, what: str) -> None:
        with self.count_lock:
            self.counts[what] += 1


def _hints(error: PeerError) -> dict[str, Any]:
    return {key: error.reply[key] for key in ("code", "retry_after_s") if key in error.reply}


def _failure(capability: str, failures: list[dict[str, Any]], timed_out: bool) -> RequestError:
    """`busy` if that is all that was wrong."""
    last = failures[-1]["error"] if failures else "no time was left"
    problem = f"no agent answered a task for `{capability}`; the last problem: {last}"
    if failures and all(failure.get("code") == "busy" for failure in failures):
        retry_s = max(float(failure.get("retry_after_s", RETRY_S)) for failure in failures)
        return RequestError(problem, code="busy", retry_after_s=retry_s, attempts=failures)
    return RequestError(problem, code="timeout" if timed_out else "unavailable", attempts=failures)


if __name__ == "__main__":
    main(CoordinatorAgent)
