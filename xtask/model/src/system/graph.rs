//! Order and cycles in graphs of names: images and their parents, groups and
//! those they come after, agents and their dependencies.
//!
//! Knows names only. The same input gives the same output: ties are broken by
//! the order in which nodes were added, never by a hash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Names with edges from each to those it needs.
#[derive(Debug, Default, Clone)]
pub struct Graph<'n> {
    nodes: Vec<&'n str>,
    index: BTreeMap<&'n str, usize>,
    needs: Vec<BTreeSet<usize>>,
}

impl<'n> Graph<'n> {
    /// A graph of `nodes`, in the order that breaks ties.
    pub fn new(nodes: impl IntoIterator<Item = &'n str>) -> Self {
        let mut graph = Graph::default();
        for node in nodes {
            if !graph.index.contains_key(node) {
                graph.index.insert(node, graph.nodes.len());
                graph.nodes.push(node);
                graph.needs.push(BTreeSet::new());
            }
        }
        graph
    }

    /// `node` needs `needed`. Names that are not nodes are ignored: unknown
    /// references are reported elsewhere.
    pub fn add(&mut self, node: &str, needed: &str) {
        if let (Some(&from), Some(&to)) = (self.index.get(node), self.index.get(needed)) {
            self.needs[from].insert(to);
        }
    }

    /// Every node after all that it needs, or the cycles that prevent it.
    pub fn order(&self) -> Result<Vec<&'n str>, Vec<Vec<&'n str>>> {
        let mut waiting: Vec<usize> = self.needs.iter().map(BTreeSet::len).collect();
        let mut ready: BTreeSet<usize> = (0..self.nodes.len())
            .filter(|&node| waiting[node] == 0)
            .collect();
        let mut dependants = vec![Vec::new(); self.nodes.len()];
        for (node, needs) in self.needs.iter().enumerate() {
            for &needed in needs {
                dependants[needed].push(node);
            }
        }
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(node) = ready.pop_first() {
            order.push(self.nodes[node]);
            for &dependant in &dependants[node] {
                waiting[dependant] -= 1;
                if waiting[dependant] == 0 {
                    ready.insert(dependant);
                }
            }
        }
        if order.len() == self.nodes.len() {
            return Ok(order);
        }
        Err(self.cycles(&waiting))
    }

    /// Cycles among the nodes that still wait for something. Each is a path
    /// that starts at its smallest name, without the repetition at the end;
    /// every node on some cycle appears at least once.
    fn cycles(&self, waiting: &[usize]) -> Vec<Vec<&'n str>> {
        let mut left: Vec<usize> = (0..self.nodes.len()).filter(|&n| waiting[n] > 0).collect();
        left.sort_by_key(|&node| self.nodes[node]);
        let mut covered = BTreeSet::new();
        let mut cycles = Vec::new();
        for start in left {
            if covered.contains(&start) {
                continue;
            }
            let Some(mut cycle) = self.path_back_to(start) else {
                continue;
            };
            covered.extend(cycle.iter().copied());
            let smallest = (0..cycle.len())
                .min_by_key(|&at| self.nodes[cycle[at]])
                .unwrap_or(0);
            cycle.rotate_left(smallest);
            cycles.push(cycle.into_iter().map(|node| self.nodes[node]).collect());
        }
        cycles
    }

    /// Shortest way from `start` along needs back to itself.
    fn path_back_to(&self, start: usize) -> Option<Vec<usize>> {
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for &next in &self.needs[node] {
                if next == start {
                    let mut path = vec![node];
                    while let Some(&before) = came_from.get(path.last()?) {
                        path.push(before);
                    }
                    path.reverse();
                    return Some(path);
                }
                if let std::collections::btree_map::Entry::Vacant(entry) = came_from.entry(next) {
                    entry.insert(node);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

/// `` `a` -> `b` -> `a` ``, for messages.
pub fn cycle_text(cycle: &[&str]) -> String {
    let closed = cycle.iter().chain(cycle.first());
    closed
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" -> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(nodes: &[&str], edges: &[(&str, &str)]) -> String {
        let mut graph = Graph::new(nodes.iter().copied());
        for (node, needed) in edges {
            graph.add(node, needed);
        }
        match graph.order() {
            Ok(order) => order.join(" "),
            Err(cycles) => {
                let texts: Vec<String> = cycles.iter().map(|cycle| cycle_text(cycle)).collect();
                texts.join("; ")
            }
        }
    }

    #[test]
    fn order_keeps_ties_as_given() {
        assert_eq!(check(&[], &[]), "");
        assert_eq!(check(&["c", "a", "b"], &[]), "c a b");
        assert_eq!(check(&["c", "a", "b"], &[("c", "b")]), "a b c");
        assert_eq!(
            check(&["d", "c", "b", "a"], &[("d", "a"), ("c", "b")]),
            "b c a d"
        );
        assert_eq!(check(&["a", "a"], &[]), "a");
    }

    #[test]
    fn unknown_names_are_ignored() {
        assert_eq!(check(&["a"], &[("a", "ghost"), ("ghost", "a")]), "a");
    }

    #[test]
    fn a_cycle_starts_at_its_smallest_name() {
        assert_eq!(check(&["a"], &[("a", "a")]), "`a` -> `a`");
        let ring = [("c", "b"), ("b", "d"), ("d", "c")];
        assert_eq!(check(&["d", "c", "b"], &ring), "`b` -> `d` -> `c` -> `b`");
    }

    #[test]
    fn nodes_that_only_wait_for_a_cycle_are_not_in_it() {
        let edges = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")];
        assert_eq!(check(&["a", "b", "c", "d"], &edges), "`b` -> `c` -> `b`");
    }

    #[test]
    fn separate_cycles_are_all_found() {
        let edges = [("a", "b"), ("b", "a"), ("x", "y"), ("y", "x")];
        assert_eq!(
            check(&["x", "y", "a", "b"], &edges),
            "`a` -> `b` -> `a`; `x` -> `y` -> `x`"
        );
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let names: Vec<String> = (0..20_000).map(|n| format!("n{n:05}")).collect();
        let mut graph = Graph::new(names.iter().map(String::as_str));
        for pair in names.windows(2) {
            graph.add(&pair[0], &pair[1]);
        }
        assert_eq!(graph.order().expect("no cycle").first(), Some(&"n19999"));
    }
}
