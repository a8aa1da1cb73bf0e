//! Environment markers, the conditions behind `;`: decided for the images, which
//! are all Linux on x86-64 with CPython, and written out. `marker_reader` reads
//! them.

use std::fmt;

use pep440_rs::{Operator, Version, VersionPattern, VersionSpecifier};

use super::name::normalized;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    And(Vec<Marker>),
    Or(Vec<Marker>),
    Compare {
        left: Operand,
        test: Test,
        right: Operand,
    },
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    Variable(Variable),
    Text(String),
}

/// What is asked of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
    Compatible,
    Exactly,
    In,
    NotIn,
}

/// Longer ones first, so that none hides another.
pub const TESTS: [(&str, Test); 8] = [
    ("===", Test::Exactly),
    ("<=", Test::LessOrEqual),
    ("==", Test::Equal),
    ("!=", Test::NotEqual),
    (">=", Test::GreaterOrEqual),
    ("~=", Test::Compatible),
    ("<", Test::Less),
    (">", Test::Greater),
];

/// What a marker can ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    PythonVersion,
    PythonFullVersion,
    ImplementationVersion,
    OsName,
    SysPlatform,
    PlatformRelease,
    PlatformSystem,
    PlatformVersion,
    PlatformMachine,
    PlatformPythonImplementation,
    ImplementationName,
    Extra,
}

/// The first name of a variable is the one of the standard; the rest are older.
pub const VARIABLES: [(Variable, &[&str]); 12] = [
    (Variable::PythonVersion, &["python_version"]),
    (Variable::PythonFullVersion, &["python_full_version"]),
    (Variable::ImplementationVersion, &["implementation_version"]),
    (Variable::OsName, &["os_name", "os.name"]),
    (Variable::SysPlatform, &["sys_platform", "sys.platform"]),
    (Variable::PlatformRelease, &["platform_release"]),
    (Variable::PlatformSystem, &["platform_system"]),
    (
        Variable::PlatformVersion,
        &["platform_version", "platform.version"],
    ),
    (
        Variable::PlatformMachine,
        &["platform_machine", "platform.machine"],
    ),
    (
        Variable::PlatformPythonImplementation,
        &[
            "platform_python_implementation",
            "platform.python_implementation",
            "python_implementation",
        ],
    ),
    (Variable::ImplementationName, &["implementation_name"]),
    (Variable::Extra, &["extra"]),
];

/// The images' interpreter, as markers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    python: String,
    python_full: String,
}

impl Environment {
    /// `version` is the interpreter's: `3.11` or `3.11.9`.
    pub fn of_python(version: &str) -> Self {
        let mut parts: Vec<&str> = version.split('.').collect();
        while parts.len() < 3 {
            parts.push("0");
        }
        Environment {
            python: parts[..2].join("."),
            python_full: parts.join("."),
        }
    }

    fn value(&self, variable: Variable) -> &str {
        match variable {
            Variable::PythonVersion => &self.python,
            Variable::PythonFullVersion | Variable::ImplementationVersion => &self.python_full,
            Variable::OsName => "posix",
            Variable::SysPlatform => "linux",
            Variable::PlatformSystem => "Linux",
            Variable::PlatformMachine => "x86_64",
            Variable::PlatformPythonImplementation => "CPython",
            Variable::ImplementationName => "cpython",
            // The kernel is the host's; nothing can be known about it.
            Variable::PlatformRelease | Variable::PlatformVersion | Variable::Extra => "",
        }
    }
}

impl Marker {
    /// Whether the condition holds in `environment`.
    pub fn holds(&self, environment: &Environment) -> bool {
        match self {
            Marker::And(parts) => parts.iter().all(|part| part.holds(environment)),
            Marker::Or(parts) => parts.iter().any(|part| part.holds(environment)),
            Marker::Compare { left, test, right } => {
                let value = |operand: &Operand| match operand {
                    Operand::Variable(variable) => environment.value(*variable).to_owned(),
                    Operand::Text(text) => text.clone(),
                };
                let is = |wanted: fn(Variable) -> bool| {
                    [left, right].iter().any(
                        |side| matches!(side, Operand::Variable(variable) if wanted(*variable)),
                    )
                };
                let (left, right) = (value(left), value(right));
                if is(|variable| variable == Variable::Extra) {
                    return compare_texts(&normalized(&left), *test, &normalized(&right));
                }
                is(Variable::is_version)
                    .then(|| compare_versions(&left, *test, &right))
                    .flatten()
                    .unwrap_or_else(|| compare_texts(&left, *test, &right))
            }
        }
    }
}

impl Variable {
    fn is_version(self) -> bool {
        matches!(
            self,
            Variable::PythonVersion | Variable::PythonFullVersion | Variable::ImplementationVersion
        )
    }
}

/// `None` where one side is no version, or the test is none of versions.
fn compare_versions(left: &str, test: Test, right: &str) -> Option<bool> {
    let operator = match test {
        Test::Less => Operator::LessThan,
        Test::LessOrEqual => Operator::LessThanEqual,
        Test::Equal => Operator::Equal,
        Test::NotEqual => Operator::NotEqual,
        Test::GreaterOrEqual => Operator::GreaterThanEqual,
        Test::Greater => Operator::GreaterThan,
        Test::Compatible => Operator::TildeEqual,
        Test::Exactly => Operator::ExactEqual,
        Test::In | Test::NotIn => return None,
    };
    let left: Version = left.parse().ok()?;
    let right: VersionPattern = right.parse().ok()?;
    let specifier = VersionSpecifier::from_pattern(operator, right).ok()?;
    Some(specifier.contains(&left))
}

fn compare_texts(left: &str, test: Test, right: &str) -> bool {
    match test {
        Test::Less => left < right,
        Test::LessOrEqual => left <= right,
        Test::Equal | Test::Exactly => left == right,
        Test::NotEqual => left != right,
        Test::GreaterOrEqual => left >= right,
        Test::Greater => left > right,
        Test::In => right.contains(left),
        Test::NotIn => !right.contains(left),
        Test::Compatible => false,
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = |parts: &[Marker], word: &str| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(out, " {word} ")?;
                }
                // What needs no brackets was one list when it was read.
                if matches!(part, Marker::Compare { .. }) {
                    write!(out, "{part}")?;
                } else {
                    write!(out, "({part})")?;
                }
            }
            Ok(())
        };
        match self {
            Marker::And(parts) => list(parts, "and"),
            Marker::Or(parts) => list(parts, "or"),
            Marker::Compare { left, test, right } => {
                write!(out, "{left} {} {right}", test.text())
            }
        }
    }
}

impl Test {
    fn text(self) -> &'static str {
        match self {
            Test::In => "in",
            Test::NotIn => "not in",
            _ => TESTS
                .iter()
                .find(|(_, test)| *test == self)
                .map_or("", |(text, _)| text),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Variable(variable) => {
                let names = VARIABLES.iter().find(|(known, _)| known == variable);
                out.write_str(names.map_or("", |(_, names)| names[0]))
            }
            Operand::Text(text) if text.contains('"') => write!(out, "'{text}'"),
            Operand::Text(text) => write!(out, "\"{text}\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::marker_reader::parse, *};

    fn holds(text: &str) -> bool {
        let marker = parse(text).expect(text);
        assert_eq!(parse(&marker.to_string()).as_ref(), Ok(&marker), "{text}");
        marker.holds(&Environment::of_python("3.11.9"))
    }

    #[test]
    fn markers_are_decided_for_the_images() {
        for text in [
            "sys_platform == 'linux'",
            "sys_platform != \"win32\" and os_name=='posix'",
            "python_version >= '3.8'",
            "python_version < '3.12' and python_version > '3.9'",
            "'3.9' < python_version",
            "python_full_version >= '3.11.4'",
            "python_version == '3.*'",
            "python_version ~= '3.8'",
            "python_version in '3.10 3.11'",
            "python_version not in '2.7, 3.6'",
            "platform_machine == 'x86_64' or sys_platform == 'win32'",
            "platform.python_implementation == 'CPython'",
            "platform_python_implementation != 'PyPy'",
            "implementation_name == 'cpython'",
            "(os.name == 'nt' or (python_version > '3')) and platform_system == 'Linux'",
            "extra == ''",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "sys_platform == 'win32'",
            "platform_system == \"Darwin\"",
            "python_version < '3.8'",
            // As texts these two would be the other way round.
            "python_version < '3.9'",
            "'3.9' >= python_version",
            "extra == 'dev'",
            "platform_machine == 'aarch64'",
            "sys_platform == 'win32' or python_version < '3' and os_name == 'posix'",
            "sys_platform ~= 'linux'",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn a_short_version_is_completed() {
        let marker = parse("python_full_version >= '3.11.0'").unwrap();
        assert!(marker.holds(&Environment::of_python("3.11")));
        assert!(!marker.holds(&Environment::of_python("3.10")));
    }
}
