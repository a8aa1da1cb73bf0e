//! References to other tables: unknown names, cycles, and orders that cannot
//! be kept.

use std::collections::BTreeMap;

use diagnostics::located::{problem::Problems, reader::At};

use crate::system::{
    effective::{Member, View},
    graph::{Graph, cycle_text},
};

/// Reports what the header of this file lists.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    networks(view, problems);
    images(view, problems);
    group_order(view, problems);
    agents(view, problems);
    agent_cycles(view, problems);
    for member in &view.members {
        peers_are_reachable(view, problems, member);
    }
}

fn unknown(problems: &mut Problems, kind: &str, name: &At<String>, known: &[&str]) {
    if !known.contains(&name.as_str()) {
        problems.report_unknown(&name.at, kind, name, known);
    }
}

fn networks(view: &View<'_>, problems: &mut Problems) {
    if view.manifest.broken.contains("networks") {
        return;
    }
    let known: Vec<&str> = view
        .manifest
        .networks
        .iter()
        .map(|n| n.name.as_str())
        .collect();
    for group in &view.manifest.groups {
        for name in [&group.network, &group.backbone].into_iter().flatten() {
            unknown(problems, "network", name, &known);
        }
    }
}

fn images(view: &View<'_>, problems: &mut Problems) {
    if view.manifest.broken.contains("images") {
        return;
    }
    let images = &view.manifest.images;
    let known: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    for member in &view.members {
        let broken = |keys: &diagnostics::located::reader::Broken| keys.contains("image");
        match member.image() {
            Some(image) => unknown(problems, "image", image, &known),
            None if broken(&member.group.broken) || broken(&member.agent.broken) => {}
            None => problems.report(
                member.at(),
                format!("agent `{}` has no image", member.name()),
                format!(
                    "add `image = ...` to `[groups.{}]`",
                    member.group.name.value
                ),
            ),
        }
    }
    // A group without agents may still name an image.
    for image in view
        .manifest
        .groups
        .iter()
        .filter_map(|group| group.shared.image.as_ref())
    {
        unknown(problems, "image", image, &known);
    }
    let mut parents = known.clone();
    match &view.manifest.base.name {
        Some(base) => parents.push(base),
        None => parents.clear(),
    }
    let mut graph = Graph::new(known.iter().copied());
    for image in images {
        if let Some(parent) = &image.parent {
            if !parents.is_empty() {
                unknown(problems, "image", parent, &parents);
            }
            graph.add(&image.name, parent);
        }
    }
    let place = |name: &str| view.image(name).and_then(|image| image.parent.as_ref());
    cycles(&graph, problems, "images are each other's parents", place);
}

/// Reports every cycle at the reference that leaves its smallest name.
fn cycles<'m>(
    graph: &Graph<'_>,
    problems: &mut Problems,
    what: &str,
    leaving: impl Fn(&str) -> Option<&'m At<String>>,
) {
    for cycle in graph.order().err().into_iter().flatten() {
        if let Some(place) = leaving(cycle[0]) {
            let message = format!("{what}: {}", cycle_text(&cycle));
            problems.report(&place.at, message, "remove one of these references");
        }
    }
}

fn group_graph<'m>(view: &View<'m>) -> Graph<'m> {
    let groups = &view.manifest.groups;
    let mut graph = Graph::new(groups.iter().map(|group| group.name.as_str()));
    for group in groups {
        for after in &group.after {
            graph.add(&group.name, after);
        }
    }
    graph
}

fn group_order(view: &View<'_>, problems: &mut Problems) {
    let groups = &view.manifest.groups;
    let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    for after in groups.iter().flat_map(|group| &group.after) {
        unknown(problems, "group", after, &known);
    }
    let graph = group_graph(view);
    let on_cycle = graph.order().err().unwrap_or_default();
    let leaving = |name: &str| {
        let cycle = on_cycle.iter().find(|cycle| cycle[0] == name)?;
        let next = cycle.get(1).unwrap_or(&cycle[0]);
        let group = groups.iter().find(|group| group.name.value == name)?;
        group.after.iter().find(|after| after.value == **next)
    };
    cycles(&graph, problems, "groups come after each other", leaving);
}

fn agents(view: &View<'_>, problems: &mut Problems) {
    let known: Vec<&str> = view.members.iter().map(Member::name).collect();
    let order = group_graph(view).order().ok();
    let rank: BTreeMap<&str, usize> = order
        .iter()
        .flatten()
        .enumerate()
        .map(|(rank, name)| (*name, rank))
        .collect();
    for peer in view
        .manifest
        .groups
        .iter()
        .flat_map(|group| &group.shared.peers)
    {
        unknown(problems, "agent", peer, &known);
    }
    for member in &view.members {
        let name = member.name();
        for peer in &member.agent.shared.peers {
            unknown(problems, "agent", peer, &known);
        }
        for dependency in &member.agent.depends_on {
            unknown(problems, "agent", dependency, &known);
            let Some(needed) = view.member(dependency) else {
                continue;
            };
            if needed.optional() && !member.optional() {
                problems.report_pair(
                    &dependency.at,
                    format!(
                        "agent `{name}` depends on the optional agent `{}`",
                        needed.name()
                    ),
                    format!(
                        "remove `optional` from `{}` or add it to `{name}`",
                        needed.name()
                    ),
                    (needed.at(), "started only when named"),
                );
            }
            let (own, other) = (&member.group.name.value, &needed.group.name.value);
            if rank.get(own.as_str()) < rank.get(other.as_str()) {
                problems.report_pair(
                    &dependency.at,
                    format!(
                        "agent `{name}` depends on `{}` of the later group `{other}`",
                        needed.name()
                    ),
                    format!("add \"{other}\" to `after` of `[groups.{own}]`"),
                    (&member.group.name.at, "deployed first"),
                );
            }
        }
    }
}

fn agent_cycles(view: &View<'_>, problems: &mut Problems) {
    let mut graph = Graph::new(view.members.iter().map(Member::name));
    for member in &view.members {
        for dependency in &member.agent.depends_on {
            graph.add(member.name(), dependency);
        }
    }
    let on_cycle = graph.order().err().unwrap_or_default();
    let leaving = |name: &str| {
        let cycle = on_cycle.iter().find(|cycle| cycle[0] == name)?;
        let next = cycle.get(1).unwrap_or(&cycle[0]);
        let same = view.members.iter().filter(|member| member.name() == name);
        same.flat_map(|member| &member.agent.depends_on)
            .find(|to| to.value == **next)
    };
    cycles(&graph, problems, "agents depend on each other", leaving);
}

/// An agent that is told of a peer must be able to reach it. A dependency only
/// orders starts; it may lie out of reach.
fn peers_are_reachable(view: &View<'_>, problems: &mut Problems, member: &Member<'_>) {
    for peer in member.listed_peers() {
        let Some(other) = view.member(peer) else {
            continue;
        };
        let undecided = member.mode.is_none() || other.mode.is_none();
        let unknown_port = other.agent.port.is_none() || other.agent.broken.contains("host_port");
        let networks_broken = [member, &other].iter().any(|member| {
            let broken = &member.group.broken;
            broken.contains("network") || broken.contains("backbone")
        });
        if undecided || unknown_port || networks_broken || view.route(member, &other).is_some() {
            continue;
        }
        let (own, theirs) = (&member.group.name.value, &other.group.name.value);
        problems.report_pair(
            &peer.at,
            format!(
                "agents of group `{own}` cannot reach the peer `{}` of group `{theirs}`",
                other.name()
            ),
            "give both groups the same `backbone`, or both `network_mode = \"host\"`; or remove \
             the peer",
            (other.at(), "this agent"),
        );
    }
}
