//! Which containers to create, replace, start or leave alone, and in which
//! order.
//!
//! Containers are created ahead, all at once; only starts wait for the gates
//! of what they depend on. A replaced container is renamed, not removed, until
//! its successor is healthy; names ending in `-next` and `-previous` are the
//! marks that an earlier run was cut short, and are repaired here.

use std::collections::BTreeMap;

mod ahead;
mod closing;
mod possible;

use super::{
    drift, gpus,
    handover::{Claims, Held, former_gate},
    orphans::orphans,
    replace::{
        Standing, bring_back, even_out, goes_on, remove, remove_found, rename, restore,
        start_action, stop,
    },
    request::waits_for,
    rollout::{Replaced, Rollout},
    spec::{self, ContainerSpec},
    state::{Container, Status},
    step::{Action, Gate, Plan},
};
pub use super::{
    replace::{next_name, previous_name},
    request::{DeployRequest, Order, gate, patient_gate},
};
use crate::{
    plan::{deployed::Wanted, refusal::PlanError, state::State},
    system::{Agent, System},
};

/// Steps that bring the asked-for agents to the manifest's state.
pub fn plan<'a>(
    system: &'a System,
    state: &'a State,
    request: &'a DeployRequest,
) -> Result<Plan, Vec<PlanError>> {
    let mut planner = Planner {
        system,
        state,
        request,
        plan: Plan::default(),
        gates: BTreeMap::new(),
        chosen: Vec::new(),
        leftovers: Vec::new(),
        claims: BTreeMap::new(),
        held: Held::by_running(&system.name, state),
        released: BTreeMap::new(),
        rollout: Rollout::default(),
        errors: Vec::new(),
    };
    // Created ahead of every start, so that a start waits for nothing else.
    let prepared: Vec<(&'a Agent, Prepared<'a>)> = system
        .agents
        .iter()
        .filter(|agent| request.agents.contains(&agent.name))
        .filter_map(|agent| Some((agent, planner.prepare(agent)?)))
        .collect();
    let orphans = orphans(system, state);
    planner.release(&prepared, &orphans);
    for (agent, prepared) in prepared {
        planner.bring_up(agent, prepared);
    }
    let shared = gpus::sharing(system, &state.gpus, &request.agents);
    planner.plan.warnings.extend(shared);
    planner.finish(&orphans)
}

struct Planner<'a> {
    system: &'a System,
    state: &'a State,
    request: &'a DeployRequest,
    plan: Plan,
    /// Agent to the position of its gate and its group.
    gates: BTreeMap<String, (usize, String)>,
    /// The gates of all that were asked for, of those that need none, too.
    chosen: Vec<Gate>,
    /// Containers to remove once everything is healthy.
    leftovers: Vec<(String, String)>,
    /// What each agent needs that gets a new container or a start.
    claims: BTreeMap<String, Claims>,
    held: Held<'a>,
    /// Containers that are stopped ahead of their turn, and the step that does it:
    /// another agent needs what they hold.
    released: BTreeMap<String, usize>,
    rollout: Rollout<'a>,
    errors: Vec<PlanError>,
}

/// What an agent needs beside a start, with the steps that already do part.
enum Prepared<'a> {
    Healthy,
    /// Running, as specified, but not (yet) answering.
    Waiting {
        after: Vec<usize>,
        cause: &'static str,
        undo: Vec<Action>,
        /// The container that it replaced, while nobody has seen it healthy.
        unconfirmed: Option<&'a Container>,
    },
    /// A container of its name exists; `after` are the steps that made it.
    Startable {
        after: Vec<usize>,
        cause: String,
        undo: Vec<Action>,
        /// As above.
        unconfirmed: Option<&'a Container>,
        /// It is new, or made anew.
        created: bool,
    },
    /// A successor stands ready under the next name.
    Replaceable {
        created: usize,
        running: bool,
        /// If the successor fails, the old one is not only kept but started.
        start_old: bool,
        former: Option<Gate>,
        cause: String,
    },
}

impl<'a> Planner<'a> {
    fn prepare(&mut self, agent: &Agent) -> Option<Prepared<'a>> {
        let Wanted {
            spec: wanted,
            image_id: image,
        } = self.possible(agent)?;
        let hash = spec::hash_of_container(&wanted);
        self.claims.insert(agent.name.clone(), Claims::of(&wanted));
        let recreate = self.request.recreate.contains(&agent.name);
        let difference = |current: &Container| match recreate {
            true => Some("asked for".to_owned()),
            false => drift::cause(&wanted, &hash, &image, current),
        };
        let standing = self.repair(agent, &|current| difference(current).is_some())?;
        let Some(current) = standing.current else {
            let created = self.create(agent, wanted, standing.after, "does not exist");
            return Some(Prepared::Startable {
                after: vec![created],
                cause: "created".into(),
                undo: vec![stop(agent)],
                unconfirmed: None,
                created: true,
            });
        };
        if let Some(cause) = difference(current) {
            self.free(&next_name(&agent.container), agent)?;
            self.free(&previous_name(&agent.container), agent)?;
            let mut next = wanted;
            next.name = next_name(&agent.container);
            let created = self.create(agent, next, standing.after, &cause);
            return Some(Prepared::Replaceable {
                created,
                running: standing.running,
                // Whether it was stopped by hand or by a run that was cut short
                // cannot be told, and it is wanted.
                start_old: current.started_at_s > 0,
                former: former_gate(agent, current)
                    .filter(|_| current.alive() || standing.cut_short),
                cause,
            });
        }
        Some(self.as_specified(agent, current, standing))
    }

    /// Deals with the marks of an earlier run and with a container that can be
    /// neither started nor stopped. `None` after noting why it cannot be done.
    fn repair(
        &mut self,
        agent: &Agent,
        differs: &dyn Fn(&Container) -> bool,
    ) -> Option<Standing<'a>> {
        const CUT_SHORT: &str = "an earlier run was cut short";
        let name = &agent.container;
        let (next, previous) = (next_name(name), previous_name(name));
        let mut current = self.owned(name, agent)?;
        let old = self.mark(&previous, agent);
        let mut after = Vec::new();
        let mut then = |planner: &mut Self, action, cause| {
            let waits = std::mem::take(&mut after);
            after.push(planner.plan.push(&agent.name, action, waits, cause));
        };
        let successor = self.mark(&next, agent);
        let cut_short = old.is_some() || successor.is_some();
        let found = [(&next, successor), (name, current), (&previous, old)];
        for (action, cause) in self.evened_out(agent, found) {
            then(self, action, cause);
        }
        if let Some(found) = successor {
            then(self, remove_found(&next, found), CUT_SHORT);
        }
        let cause = current.and_then(|current| match current.status {
            Status::Other => Some("is neither running nor exited"),
            // It holds its ports and addresses.
            Status::Initialized if differs(current) => Some("was never started"),
            _ => None,
        });
        if let (Some(found), Some(cause)) = (current, cause) {
            then(self, remove_found(name, found), cause);
            current = None;
        }
        let healthy = self.state.healthy.contains(&agent.name);
        let mut unconfirmed = None;
        match (current, old) {
            (Some(new), Some(old)) if differs(new) && healthy => {
                then(
                    self,
                    remove_found(&previous, old),
                    "its successor is healthy",
                );
            }
            // The last one that is known to have been healthy is kept, not the
            // one that an earlier run put in its place.
            (Some(new), Some(old)) if differs(new) => {
                then(self, remove_found(name, new), "never became healthy");
                then(self, rename(&previous, name), CUT_SHORT);
                current = Some(old);
            }
            (Some(_), Some(old)) => {
                unconfirmed = Some(old);
                self.leftovers.push((agent.name.clone(), previous));
            }
            (None, Some(old)) => {
                then(self, rename(&previous, name), CUT_SHORT);
                current = Some(old);
            }
            (_, None) => {}
        }
        Some(Standing {
            current,
            running: current.is_some_and(goes_on),
            after,
            cut_short,
            unconfirmed,
        })
    }

    /// What comes before anything can be done with containers of these names.
    fn evened_out(
        &self,
        agent: &Agent,
        found: [(&String, Option<&Container>); 3],
    ) -> Vec<(Action, &'static str)> {
        let half_made = |name: &String| {
            let is = self.state.half_made.contains(name);
            is.then(|| (remove(name), "its creation was cut short"))
        };
        let even =
            |name: &String, found: Option<&Container>| even_out(name, found?, agent.stop_timeout_s);
        found
            .into_iter()
            .flat_map(|(name, found)| half_made(name).into_iter().chain(even(name, found)))
            .collect()
    }

    fn as_specified(
        &self,
        agent: &Agent,
        current: &Container,
        standing: Standing<'a>,
    ) -> Prepared<'a> {
        let after = standing.after;
        let unconfirmed = standing.unconfirmed;
        let undo = unconfirmed.map(|old| restore(agent, old.started_at_s > 0));
        if !standing.running {
            let cause = match current.status {
                Status::Created | Status::Initialized => "was created but not started".to_owned(),
                Status::Stopping => "was being stopped".to_owned(),
                Status::Lost => "its process is gone".to_owned(),
                _ => format!("has exited with code {}", current.exit_code),
            };
            return Prepared::Startable {
                after,
                cause,
                undo: undo.unwrap_or_else(|| vec![stop(agent)]),
                unconfirmed,
                created: false,
            };
        }
        let healthy = self.state.healthy.contains(&agent.name);
        if healthy && undo.is_none() && after.is_empty() {
            return Prepared::Healthy;
        }
        Prepared::Waiting {
            after,
            cause: match healthy {
                _ if current.status == Status::Paused => "was paused",
                true => "is healthy, but an earlier run was cut short",
                false if self.state.unhealthy.contains(&agent.name) => "says that it is not well",
                false => "is running but has not answered",
            },
            undo: undo.unwrap_or_default(),
            unconfirmed,
        }
    }

    fn bring_up(&mut self, agent: &'a Agent, prepared: Prepared<'a>) {
        let mut waits = self.waits_for(agent);
        match prepared {
            Prepared::Healthy => {
                self.plan.unchanged.push(agent.name.clone());
                self.chosen.push(gate(agent));
            }
            Prepared::Waiting {
                after,
                cause,
                undo,
                unconfirmed,
            } => {
                waits.extend(after);
                let asked = patient_gate(agent, self.request.restart_hung);
                let gated = self.gate(agent, asked, waits, cause, undo);
                if let Some(old) = unconfirmed {
                    self.rollout.unconfirmed(agent, gated, old);
                }
            }
            Prepared::Startable {
                after,
                cause,
                undo,
                unconfirmed,
                created,
            } => {
                waits.extend(&after);
                let freed = self.freed_for(agent);
                let ahead = created && freed.is_empty();
                let ready = ahead.then(|| self.init(agent, &after, &waits)).flatten();
                waits.extend(freed);
                let started = self.start(agent, waits, &cause, Vec::new());
                if let Some(ready) = ready {
                    self.plan.steps[ready].ahead_of = Some(started);
                }
                let gated = self.gate(agent, gate(agent), vec![started], &cause, undo);
                match (unconfirmed, created) {
                    (Some(old), _) => self.rollout.unconfirmed(agent, gated, old),
                    (None, true) => self.rollout.created(agent, started, gated),
                    (None, false) => {}
                }
            }
            Prepared::Replaceable {
                created,
                running,
                start_old,
                former,
                cause,
            } => {
                waits.push(created);
                match self.released.get(&agent.container) {
                    Some(stopped) => waits.push(*stopped),
                    None if running => {
                        waits.extend(self.rollout.batch(self.system, agent));
                        waits = vec![self.plan.push(&agent.name, stop(agent), waits, &cause)];
                    }
                    None => {}
                }
                self.replace(agent, waits, (start_old, former), &cause);
            }
        }
    }

    /// The old one, stopped, makes room for its successor. Where ports or addresses
    /// pass from one agent to another, only the way back can start an old one.
    fn replace(
        &mut self,
        agent: &'a Agent,
        waits: Vec<usize>,
        (start_old, former): (bool, Option<Gate>),
        cause: &str,
    ) {
        let name = &agent.container;
        let (next, previous) = (next_name(name), previous_name(name));
        let alone = !self.rollout.together || !self.goes_back();
        let undo = |actions: Vec<Action>| if alone { actions } else { Vec::new() };
        let stopped = waits.last().copied();
        let moved = self
            .plan
            .push(&agent.name, rename(name, &previous), waits, cause);
        let started = start_old.then(|| start_action(agent)).into_iter().collect();
        self.plan.undo_with(moved, undo(started));
        let named = self
            .plan
            .push(&agent.name, rename(&next, name), vec![moved], cause);
        self.plan
            .undo_with(named, undo(bring_back(agent, start_old)));
        // What did not start need not be stopped: podman would refuse to.
        let mut unstarted = restore(agent, start_old);
        unstarted.remove(0);
        let mut ready = self.freed_for(agent);
        ready.push(named);
        let started = self.start(agent, ready, cause, undo(unstarted));
        let restored = undo(restore(agent, start_old));
        let gated = self.gate(agent, gate(agent), vec![started], cause, restored);
        self.rollout.replaced(Replaced {
            agent,
            stopped: stopped.unwrap_or(moved),
            moved,
            named,
            started,
            gated,
            start_old,
            former,
        });
        self.leftovers.push((agent.name.clone(), previous));
    }

    fn goes_back(&self) -> bool {
        self.request.go_back && !self.request.keep
    }

    fn create(
        &mut self,
        agent: &Agent,
        spec: ContainerSpec,
        after: Vec<usize>,
        cause: &str,
    ) -> usize {
        let action = Action::CreateContainer(Box::new(spec));
        self.plan.push(&agent.name, action, after, cause)
    }

    fn start(
        &mut self,
        agent: &Agent,
        after: Vec<usize>,
        cause: &str,
        on_failure: Vec<Action>,
    ) -> usize {
        let step = self
            .plan
            .push(&agent.name, start_action(agent), after, cause);
        self.plan.undo_with(step, on_failure);
        step
    }

    fn gate(
        &mut self,
        agent: &Agent,
        gate: Gate,
        after: Vec<usize>,
        cause: &str,
        on_failure: Vec<Action>,
    ) -> usize {
        let of = |at: &usize| &self.plan.steps[*at].action;
        let starts = |at| matches!(of(at), Action::StartContainer { .. });
        let starts = after.iter().any(starts);
        let step = self
            .plan
            .push(&agent.name, Action::Gate(gate.clone()), after, cause);
        match (self.request.keep, starts) {
            (true, _) => {}
            (false, true) => self.plan.undo_with(step, on_failure),
            (false, false) => self.plan.steps[step].on_failure = on_failure,
        }
        self.gates
            .insert(agent.name.clone(), (step, agent.group.clone()));
        self.chosen.push(gate);
        step
    }

    /// Gates planned so far that the agent's start has to wait for.
    fn waits_for(&self, agent: &Agent) -> Vec<usize> {
        waits_for(self.system, self.request.order, agent, &self.gates)
    }
}

impl Prepared<'_> {
    /// It gets ports and addresses that it does not hold yet.
    fn starts(&self) -> bool {
        matches!(
            self,
            Prepared::Startable { .. } | Prepared::Replaceable { .. }
        )
    }

    /// The step that makes its successor.
    fn created(&self) -> Option<usize> {
        match self {
            Prepared::Replaceable { created, .. } => Some(*created),
            _ => None,
        }
    }
}
