//! What an `if` says about when its branches run: never on Linux, never under
//! the target version, never at all, or in a script only.
//!
//! Only tests whose outcome is certain are judged; any other test leaves both
//! branches as they are.

use ruff_python_ast::{BoolOp, CmpOp, Expr, ExprBoolOp, ExprCall, ExprCompare, Number, UnaryOp};

use super::{PythonVersion, facts::Why};

/// What a branch adds to the imports in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It may run; nothing is known about when.
    Same,
    /// It runs if the file is run as a script.
    Script,
    /// It does not run here.
    Never(Why),
}

/// The two ways out of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    pub then: Effect,
    pub otherwise: Effect,
}

impl Split {
    const UNKNOWN: Split = Split {
        then: Effect::Same,
        otherwise: Effect::Same,
    };

    fn certain(outcome: bool, why: Why) -> Split {
        let (then, otherwise) = match outcome {
            true => (Effect::Same, Effect::Never(why)),
            false => (Effect::Never(why), Effect::Same),
        };
        Split { then, otherwise }
    }

    fn swapped(self) -> Split {
        Split {
            then: self.otherwise,
            otherwise: self.then,
        }
    }
}

/// Judges the test of an `if` for Linux and the target version.
pub fn split(test: &Expr, version: PythonVersion) -> Split {
    match test {
        Expr::Name(_) | Expr::Attribute(_) => named(test),
        Expr::BooleanLiteral(literal) => Split::certain(literal.value, Why::TypeChecking),
        Expr::NoneLiteral(_) => Split::certain(false, Why::TypeChecking),
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(number) => Split::certain(number.as_i64() != Some(0), Why::TypeChecking),
            Number::Float(_) | Number::Complex { .. } => Split::UNKNOWN,
        },
        Expr::UnaryOp(not) if not.op == UnaryOp::Not => split(&not.operand, version).swapped(),
        Expr::BoolOp(parts) => several(parts, version),
        Expr::Compare(compare) => compared(compare, version),
        Expr::Call(call) => starts_with(call),
        _ => Split::UNKNOWN,
    }
}

/// `TYPE_CHECKING`, and the constants of six.
fn named(test: &Expr) -> Split {
    match last_name(test) {
        Some("TYPE_CHECKING") => Split::certain(false, Why::TypeChecking),
        Some("PY2") => Split::certain(false, Why::Version),
        Some("PY3") => Split::certain(true, Why::Version),
        _ => Split::UNKNOWN,
    }
}

/// `a and b` runs only what both let run; its `else` never runs only if
/// neither lets it. `or` is the same the other way round.
fn several(parts: &ExprBoolOp, version: PythonVersion) -> Split {
    let turn = |split: Split| match parts.op {
        BoolOp::And => split,
        BoolOp::Or => split.swapped(),
    };
    let splits: Vec<Split> = parts
        .values
        .iter()
        .map(|part| turn(split(part, version)))
        .collect();
    let never = |effect: &Effect| matches!(effect, Effect::Never(_));
    let any = splits.iter().map(|split| split.then);
    let then = any
        .clone()
        .find(never)
        .or_else(|| any.clone().find(|e| *e == Effect::Script));
    let mut all = splits.iter().map(|split| split.otherwise);
    let otherwise = match all.clone().all(|effect| never(&effect)) {
        true => all.next(),
        false => None,
    };
    turn(Split {
        then: then.unwrap_or(Effect::Same),
        otherwise: otherwise.unwrap_or(Effect::Same),
    })
}

fn compared(compare: &ExprCompare, version: PythonVersion) -> Split {
    let ([op], [right]) = (&*compare.ops, &*compare.comparators) else {
        return Split::UNKNOWN;
    };
    let left = &*compare.left;
    if let Some(split) = script(left, *op, right).or_else(|| script(right, *op, left)) {
        return split;
    }
    let outcome = platform(left)
        .and_then(|value| of_platform(value, *op, right))
        .map(|outcome| (outcome, Why::Platform));
    let outcome = outcome.or_else(|| Some((of_version(left, *op, right, version)?, Why::Version)));
    outcome.map_or(Split::UNKNOWN, |(outcome, why)| {
        Split::certain(outcome, why)
    })
}

/// `__name__ == "__main__"`.
fn script(name: &Expr, op: CmpOp, value: &Expr) -> Option<Split> {
    let named = matches!(name, Expr::Name(name) if name.id.as_str() == "__name__");
    if !named || text(value)? != "__main__" {
        return None;
    }
    let split = Split {
        then: Effect::Script,
        otherwise: Effect::Same,
    };
    match op {
        CmpOp::Eq => Some(split),
        CmpOp::NotEq => Some(split.swapped()),
        _ => None,
    }
}

/// What an expression that names the platform is on Linux.
fn platform(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Name(name) => (name.id.as_str() == "platform").then_some("linux"),
        Expr::Attribute(attribute) => match (last_name(&attribute.value)?, attribute.attr.as_str())
        {
            ("sys" | "_sys", "platform") => Some("linux"),
            ("os" | "_os", "name") => Some("posix"),
            _ => None,
        },
        Expr::Call(call) if call.arguments.is_empty() => match &*call.func {
            Expr::Attribute(method) => match (method.attr.as_str(), &*method.value) {
                ("system", Expr::Name(module)) => {
                    (module.id.as_str() == "platform").then_some("Linux")
                }
                ("lower", inner) => platform(inner).map(|_| "linux"),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn of_platform(value: &str, op: CmpOp, right: &Expr) -> Option<bool> {
    match op {
        CmpOp::Eq => Some(value == text(right)?),
        CmpOp::NotEq => Some(value != text(right)?),
        CmpOp::In => Some(texts(right)?.contains(&value)),
        CmpOp::NotIn => Some(!texts(right)?.contains(&value)),
        _ => None,
    }
}

/// `sys.platform.startswith("win")`.
fn starts_with(call: &ExprCall) -> Split {
    let (Expr::Attribute(method), [start]) = (&*call.func, &*call.arguments.args) else {
        return Split::UNKNOWN;
    };
    if method.attr.as_str() != "startswith" {
        return Split::UNKNOWN;
    }
    let starts = texts(start).or_else(|| Some(vec![text(start)?]));
    match (platform(&method.value), starts) {
        (Some(value), Some(starts)) => Split::certain(
            starts.iter().any(|start| value.starts_with(start)),
            Why::Platform,
        ),
        _ => Split::UNKNOWN,
    }
}

/// Comparisons of `sys.version_info`, or of its first parts, with numbers.
fn of_version(left: &Expr, op: CmpOp, right: &Expr, version: PythonVersion) -> Option<bool> {
    let target = [i64::from(version.major), i64::from(version.minor)];
    let is_info = |expr: &Expr| last_name(expr) == Some("version_info");
    let (ours, whole): (&[i64], bool) = match left {
        Expr::Attribute(part) if is_info(&part.value) => match part.attr.as_str() {
            "major" => (&target[..1], false),
            "minor" => (&target[1..], false),
            _ => return None,
        },
        Expr::Subscript(part) if is_info(&part.value) => match &*part.slice {
            Expr::Slice(slice) if slice.lower.is_none() && slice.step.is_none() => {
                let end = usize::try_from(integer(slice.upper.as_deref()?)?).ok()?;
                (target.get(..end)?, false)
            }
            index => match integer(index)? {
                0 => (&target[..1], false),
                1 => (&target[1..], false),
                _ => return None,
            },
        },
        info if is_info(info) => (&target, true),
        _ => return None,
    };
    let theirs: Vec<i64> = match right {
        Expr::Tuple(tuple) => tuple.elts.iter().map(integer).collect::<Option<_>>()?,
        single => vec![integer(single)?],
    };
    // `version_info` has five parts, of which two are known.
    if whole && theirs.len() > ours.len() && theirs.starts_with(ours) {
        return None;
    }
    let longer = whole && theirs.len() <= ours.len() && ours.starts_with(&theirs);
    let order = match longer {
        true => std::cmp::Ordering::Greater,
        false => ours.cmp(&theirs),
    };
    match op {
        CmpOp::Eq => Some(order.is_eq()),
        CmpOp::NotEq => Some(order.is_ne()),
        CmpOp::Lt => Some(order.is_lt()),
        CmpOp::LtE => Some(order.is_le()),
        CmpOp::Gt => Some(order.is_gt()),
        CmpOp::GtE => Some(order.is_ge()),
        _ => None,
    }
}

/// The name, or the last part of `a.b.name`.
pub fn last_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name) => Some(name.id.as_str()),
        Expr::Attribute(attribute) => Some(attribute.attr.as_str()),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::StringLiteral(literal) => Some(literal.value.to_str()),
        _ => None,
    }
}

fn texts(expr: &Expr) -> Option<Vec<&str>> {
    let items = match expr {
        Expr::Tuple(tuple) => &tuple.elts,
        Expr::List(list) => &list.elts,
        Expr::Set(set) => &set.elts,
        _ => return None,
    };
    items.iter().map(text).collect()
}

fn integer(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(number) => number.as_i64(),
            Number::Float(_) | Number::Complex { .. } => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ruff_python_parser::parse_expression;

    use super::*;

    /// `then/otherwise`, each `-`, `script`, or the reason why it never runs.
    fn splits(test: &str) -> String {
        let parsed = parse_expression(test).expect("an expression");
        let split = split(parsed.expr(), PythonVersion::DEFAULT);
        let shown = |effect| match effect {
            Effect::Same => "-".to_owned(),
            Effect::Script => "script".to_owned(),
            Effect::Never(why) => format!("{why:?}").to_lowercase(),
        };
        format!("{}/{}", shown(split.then), shown(split.otherwise))
    }

    #[test]
    fn type_checkers_and_constants() {
        for test in [
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
            "False",
            "0",
            "None",
        ] {
            assert_eq!(splits(test), "typechecking/-", "{test}");
            assert_eq!(splits(&format!("not {test}")), "-/typechecking", "{test}");
        }
        for test in ["True", "1", "not not True"] {
            assert_eq!(splits(test), "-/typechecking", "{test}");
        }
        for test in [
            "x",
            "1.0",
            "'a'",
            "f()",
            "x == 1",
            "a < b < c",
            "DEBUG",
            "x[0]",
        ] {
            assert_eq!(splits(test), "-/-", "{test}");
        }
    }

    #[test]
    fn scripts() {
        for (test, expected) in [
            ("__name__ == '__main__'", "script/-"),
            ("'__main__' == __name__", "script/-"),
            ("__name__ != '__main__'", "-/script"),
            ("not (__name__ == '__main__')", "-/script"),
            ("__name__ == '__main__' and x", "script/-"),
            ("__name__ == 'a'", "-/-"),
            ("__name__ in ('__main__',)", "-/-"),
        ] {
            assert_eq!(splits(test), expected, "{test}");
        }
    }

    #[test]
    fn platforms() {
        for test in [
            "sys.platform == 'win32'",
            "sys.platform != 'linux'",
            "sys.platform in ('win32', 'cygwin')",
            "sys.platform.startswith('win')",
            "sys.platform.startswith(('win', 'darwin'))",
            "platform == 'darwin'",
            "os.name == 'nt'",
            "platform.system() == 'Windows'",
            "platform.system().lower() == 'windows'",
            "not sys.platform.startswith('linux')",
            "sys.platform not in ['linux']",
        ] {
            assert_eq!(splits(test), "platform/-", "{test}");
        }
        for test in [
            "sys.platform == 'linux'",
            "os.name == 'posix'",
            "platform.system() == 'Linux'",
        ] {
            assert_eq!(splits(test), "-/platform", "{test}");
        }
        for test in [
            "sys.platform == x",
            "a.platform == 'win32'",
            "platform.machine() == 'arm'",
        ] {
            assert_eq!(splits(test), "-/-", "{test}");
        }
    }

    #[test]
    fn versions() {
        for (test, expected) in [
            ("sys.version_info >= (3, 11)", "-/version"),
            ("sys.version_info >= (3,)", "-/version"),
            ("sys.version_info > (3, 11)", "-/version"),
            ("sys.version_info < (3, 11)", "version/-"),
            ("sys.version_info < (3, 12)", "-/version"),
            ("sys.version_info >= (3, 12, 1)", "version/-"),
            ("sys.version_info >= (3, 10, 1)", "-/version"),
            // The third part is not known.
            ("sys.version_info >= (3, 11, 1)", "-/-"),
            ("sys.version_info[0] == 2", "version/-"),
            ("sys.version_info[0] < 3", "version/-"),
            ("sys.version_info[:2] == (3, 11)", "-/version"),
            ("sys.version_info[:2] >= (3, 12)", "version/-"),
            ("sys.version_info.major >= 3", "-/version"),
            ("sys.version_info.minor < 8", "version/-"),
            ("six.PY2", "version/-"),
            ("sys.version_info >= x", "-/-"),
            ("sys.version_info[2] > 1", "-/-"),
            ("sys.version_info[:99] > (1,)", "-/-"),
            ("sys.version > '3'", "-/-"),
        ] {
            assert_eq!(splits(test), expected, "{test}");
        }
    }

    #[test]
    fn several_tests_together() {
        for (test, expected) in [
            ("TYPE_CHECKING and x", "typechecking/-"),
            ("x and TYPE_CHECKING", "typechecking/-"),
            ("TYPE_CHECKING or x", "-/-"),
            ("TYPE_CHECKING or os.name == 'nt'", "typechecking/-"),
            ("not TYPE_CHECKING and os.name == 'posix'", "-/typechecking"),
            ("not TYPE_CHECKING or x", "-/typechecking"),
            ("x or y", "-/-"),
        ] {
            assert_eq!(splits(test), expected, "{test}");
        }
    }
}
