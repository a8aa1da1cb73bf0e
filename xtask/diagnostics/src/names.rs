//! Names in messages: which known name a mistyped one is nearest to, and lists
//! of names in a sentence.

/// The known name that `name` was probably meant to be.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| (similarity(name, candidate), candidate))
        .filter(|(score, _)| *score >= 0.72)
        // Of equals the first wins, so that the answer does not depend on luck.
        .fold(None, |best: Option<(f64, &str)>, next| match best {
            Some(held) if held.0 >= next.0 => Some(held),
            _ => Some(next),
        })
        .map(|(_, candidate)| candidate)
}

fn similarity(left: &str, right: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(&left.to_lowercase(), &right.to_lowercase())
        .max(strsim::jaro_winkler(&left.to_lowercase(), &right.to_lowercase()) - 0.12)
}

/// Longest list of names that is still a help.
const LIST_MAX: usize = 12;

/// Remedy for an unknown `name`: the nearest known one, else all of them, else
/// the five nearest of many.
pub fn suggestion(name: &str, plural: &str, known: &[&str]) -> String {
    if let Some(candidate) = nearest(name, known.iter().copied()) {
        return did_you_mean(&[candidate]);
    }
    if known.is_empty() {
        return format!("there are no {plural}");
    }
    if known.len() <= LIST_MAX {
        return format!("known {plural}: {}", quoted_list(known));
    }
    let mut near = known.to_vec();
    near.sort_by(|left, right| similarity(name, right).total_cmp(&similarity(name, left)));
    format!(
        "the nearest of {} {plural}: {}",
        known.len(),
        quoted_list(&near[..5])
    )
}

/// `` `a`, `b`, `c` ``
pub fn quoted_list<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    quoted.join(", ")
}

/// The nearest of `known` to a mistyped `name`, or all of them when none is
/// near.
pub fn nearest_or_all<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = near(name, &known);
    if near.is_empty() {
        return format!("known: {}", known.join(", "));
    }
    did_you_mean(&near)
}

/// The sentence that asks for the one of `names` that was meant.
pub fn did_you_mean(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("did you mean {}?", names.join(" or "))
}

/// The three of `known` that are nearest to `name`, those that are far left out.
pub fn near<'a>(name: &str, known: &[&'a str]) -> Vec<&'a str> {
    let lower = name.to_lowercase();
    let mut near: Vec<(f64, &str)> = known
        .iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&lower, &candidate.to_lowercase()),
                *candidate,
            )
        })
        .filter(|(score, _)| *score > 0.8)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// No line names more than this.
const NAMES_MAX: usize = 6;

/// A few names and how many more there are.
pub fn some<'n>(names: impl Iterator<Item = &'n str> + Clone) -> String {
    let shown: Vec<&str> = names.clone().take(NAMES_MAX).collect();
    match names.count().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["port", "health_port", "script", "depends_on"];
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(nearest("healthport", known), Some("health_port"));
        assert_eq!(nearest("depend", known), Some("depends_on"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(suggestion("x", "networks", &[]), "there are no networks");
        assert_eq!(
            suggestion("x", "networks", &["a", "b"]),
            "known networks: `a`, `b`"
        );
    }

    #[test]
    fn nearest_names_or_all() {
        let known = ["CoordinatorAgent", "EmotionEngine", "core-services"];
        assert_eq!(
            nearest_or_all("cordinatoragent", known),
            "did you mean `CoordinatorAgent`?"
        );
        assert_eq!(
            nearest_or_all("x", known),
            "known: CoordinatorAgent, EmotionEngine, core-services"
        );
    }
}
