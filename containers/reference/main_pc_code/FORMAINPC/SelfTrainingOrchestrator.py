"""SelfTrainingOrchestrator: runs training cycles one after the other, and goes on after a kill."""

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import REGISTRY, Agent, Reply, Request, main
from main_pc_code.common.capacity import RESOURCES
from main_pc_code.common.cycles import Cycle, Cycles
from main_pc_code.common.environment import read_number
from main_pc_code.common.messages import PeerError, RequestError, encode, number, text
from main_pc_code.common.training import Checkpoint, DivergedError, Training, specification

MAX_WAITING_CYCLES = 1000
DEFAULT_RESOURCES = {"memory_mb": 64.0, "cpus": 0.5, "vram_mb": 0.0}
LEASE_S = 30.0
POLL_INTERVAL_S = 0.05
RETRY_S = 0.5
RELEASE_TIMEOUT_S = 0.3  # Shorter than the time that an agent has to end.
STEPS_AT_ONCE = 10
LOOKED_AT = 50  # So many waiting cycles are looked at for one that can run.


class SelfTrainingOrchestrator(Agent):
    """Reserves what a cycle needs with SystemDigitalTwin, trains, keeps a checkpoint, and frees it at the end."""

    default_name = "SelfTrainingOrchestrator"
    default_port = 5644
    description = "Runs training cycles by priority, with reserved resources; they survive a kill."
    capabilities = ("training",)

    def setup(self) -> None:
        environment = self.settings.environment
        self.checkpoint_interval_s = read_number(environment, "CHECKPOINT_INTERVAL_S", 0.2, 0.001, 60)
        self.cycles = Cycles(self.settings.data_folder, self.log)
        self.running: int | None = None
        self.waits_until_s: dict[int, float] = {}

    def actions(self) -> dict[str, Any]:
        own = (self.add_cycle, self.cancel_cycle, self.get_cycle, self.list_cycles)
        return super().actions() | {action.__name__: action for action in own}

    def loops(self) -> tuple[Callable[[], None], ...]:
        return (self.work,)

    def health_details(self) -> Reply:
        return {"cycles": dict(self.cycles.counts), "running": self.running, "storage": self.cycles.problem or "ok"}

    def add_cycle(self, request: Request) -> Reply:
        target = text(request, "target_agent", 200)
        priority = number(request, "priority", -1000, 1000, default=0, whole=True)
        resources = {
            name: number(request, name, 0, limit, default=DEFAULT_RESOURCES[name]) for name, limit in RESOURCES.items()
        }
        if not any(resources.values()):
            raise RequestError("a cycle without any resources cannot run")
        spec = specification(request)
        if self.cycles.counts["queued"] >= MAX_WAITING_CYCLES:
            raise RequestError(f"{MAX_WAITING_CYCLES} cycles wait", code="busy", retry_after_s=RETRY_S)
        return {"id": self.cycles.add(target, priority, resources, spec)}

    def cancel_cycle(self, request: Request) -> Reply:
        """A running cycle ends at its next checkpoint."""
        id = self._cycle(request)["id"]
        return {"cancelled": self.cycles.move(id, ("queued", "reserving", "running"), "cancelled")}

    def get_cycle(self, request: Request) -> Reply:
        return self._cycle(request)

    def list_cycles(self, request: Request) -> Reply:
        """The newest first."""
        return {"cycles": self.cycles.latest(number(request, "limit", 1, 1000, default=100, whole=True))}

    def work(self) -> None:
        self._requeue()
        while not self.wait_for_stop(POLL_INTERVAL_S):
            try:
                if cycle := self._next():
                    self._run(cycle)
            except sqlite3.Error as error:
                # The disk may be full; what was done since the last checkpoint will be done again.
                self.log.error("cannot keep the state of a cycle", reason=str(error))
                if not self.wait_for_stop(RETRY_S):
                    self._requeue()

    def _requeue(self) -> None:
        for cycle in self.cycles.interrupted():
            self.log.info("cycle interrupted, queued again", id=cycle["id"], checkpoint=cycle["checkpoint"])
            self._release(cycle["reservation"])

    def _next(self) -> Cycle | None:
        if not self.cycles.counts["queued"]:
            return None
        now_s = time.monotonic()
        self.waits_until_s = {id: end_s for id, end_s in self.waits_until_s.items() if end_s > now_s}
        queued = self.cycles.first_queued(LOOKED_AT)
        return next((cycle for cycle in queued if cycle["id"] not in self.waits_until_s), None)

    def _run(self, cycle: Cycle) -> None:
        id = cycle["id"]
        if not self.cycles.move(id, ("queued",), "reserving"):
            return
        try:
            wanted = {"owner": self.name, "lease_s": LEASE_S, **cycle["resources"]}
            reservation = self.ask(REGISTRY, {"action": "reserve", **wanted})["reservation"]
        except PeerError as error:
            can_never_run = error.reply.get("code") in ("unavailable", "bad_request")
            self.waits_until_s[id] = time.monotonic() + RETRY_S
            self.cycles.move(id, ("reserving",), "failed" if can_never_run else "queued", problem=str(error))
            return
        ending = None
        try:
            if self.cycles.move(id, ("reserving",), "running", reservation=reservation, problem=None):
                self.running = id
                ending = self._train(cycle, reservation)
        finally:
            self.running = None
            self._release(reservation)
        if ending:
            self.cycles.move(id, ("running",), ending[0], problem=ending[1], reservation=None)
            self.log.info("cycle " + ending[0], id=id, problem=ending[1])

    def _train(self, cycle: Cycle, reservation: str) -> tuple[str, str | None] | None:
        """The state in which it ends, and why; none if it was cancelled or this agent is to end."""
        id, reached = cycle["id"], cycle["checkpoint"]
        training = Training(self.cycles.specification(id), reached and Checkpoint(**reached))
        self.log.info("cycle running", id=id, from_step=training.checkpoint.step)
        lease_end_s = time.monotonic() + LEASE_S
        while not training.done():
            pause_s = time.monotonic() + self.checkpoint_interval_s
            try:
                while not training.done() and time.monotonic() < pause_s:
                    training.advance(STEPS_AT_ONCE)
            except DivergedError as error:
                return "failed", str(error)
            checkpoint = encode(training.checkpoint._asdict()).decode()
            if not self.cycles.move(id, ("running",), "running", checkpoint=checkpoint) or self.wait_for_stop(0):
                return None
            if time.monotonic() > lease_end_s - LEASE_S / 2:
                try:
                    self.ask(REGISTRY, {"action": "renew", "reservation": reservation, "lease_s": LEASE_S})
                    lease_end_s = time.monotonic() + LEASE_S
                except PeerError as error:
                    # While the registry cannot be asked, the lease is good until its end.
                    if error.reply or time.monotonic() > lease_end_s:
                        return "queued", f"the reservation is lost: {error}"
        return "completed", None

    def _release(self, reservation: str | None) -> None:
        """Also when this agent is to end; if the registry does not hear of it, the lease ends by itself."""
        if reservation is not None:
            request = {"action": "release", "reservation": reservation}
            try:
                self.connections.ask(self.settings.peers[REGISTRY], request, RELEASE_TIMEOUT_S)
            except (PeerError, KeyError) as error:
                self.log.warning("not released", reservation=reservation, reason=str(error))

    def _cycle(self, request: Request) -> Cycle:
        id = number(request, "id", 1, 2**53, whole=True)
        cycle = self.cycles.get(id)
        if cycle is None:
            raise RequestError(f"there is no cycle {id}")
        return cycle


if __name__ == "__main__":
    main(SelfTrainingOrchestrator)
