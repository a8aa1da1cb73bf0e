//! What is found in a text, and how much it is needed.

use crate::{PythonVersion, facts::FileFacts, parse};

fn facts(text: &str) -> FileFacts {
    let facts = parse::one("a.py".into(), text.into(), PythonVersion::DEFAULT);
    assert_eq!(facts.error, None, "{text}");
    facts
}

/// `line module names kind why` of each absolute import.
fn imports(text: &str) -> Vec<String> {
    let facts = facts(text);
    let shown = facts.imports.iter().map(|import| {
        let why = import.need.why().map(|why| format!(" {why:?}"));
        let names = import.names.iter().map(|name| format!(" {name}"));
        let (line, module) = (import.line, &import.module);
        let names: String = names.collect();
        format!(
            "{line} {module}{names} {}{}",
            import.need.kind(),
            why.unwrap_or_default()
        )
    });
    shown.collect()
}

/// Kinds and reasons of the imports, in the order of the file.
fn needs(text: &str) -> Vec<String> {
    let words = imports(text).into_iter().map(|import| {
        let words: Vec<&str> = import.split(' ').skip(2).collect();
        words.join(" ").to_lowercase()
    });
    words.collect()
}

#[test]
fn imports_are_found_wherever_they_stand() {
    let text = "\
import os, zmq.utils as u
from a.b import (c,
   d as e)
from x import *
class A:
    import b
    def f(self):
        import c
async def g():
    if x: import d; from e import f
import a . b
for i in x:
    import h
else:
    import i
match x:
    case 1:
        import j
";
    let expected = [
        "1 os hard",
        "1 zmq.utils hard",
        "2 a.b c d hard",
        "4 x hard",
        "6 b hard",
        "8 c soft Function",
        "10 d soft Function",
        "10 e f soft Function",
        "11 a.b hard",
        "13 h hard",
        "15 i hard",
        "18 j hard",
    ];
    assert_eq!(imports(text), expected);
    let names: Vec<String> = facts(text).imports.into_iter().map(|i| i.name).collect();
    assert_eq!(names[..3], ["os", "zmq", "a"]);
    assert_eq!(imports("# only a comment"), [""; 0]);
    assert_eq!(imports("'import a'\nx = '''\nimport b\n'''"), [""; 0]);
}

#[test]
fn names_are_normalised_as_python_does_it() {
    assert_eq!(imports("import ﬁle"), ["1 file hard"]);
}

#[test]
fn relative_imports_are_apart() {
    let facts = facts("from . import a, b\nfrom ..c.d import *\nfrom ...e import f\n");
    let shown: Vec<_> = facts
        .relative
        .iter()
        .map(|r| (r.level, r.module.as_str(), r.names.join(" "), r.line))
        .collect();
    let expected = [
        (1, "", "a b".to_owned(), 1),
        (2, "c.d", String::new(), 2),
        (3, "e", "f".to_owned(), 3),
    ];
    assert_eq!(shown, expected);
    assert!(facts.imports.is_empty());
}

#[test]
fn a_caught_error_makes_an_import_soft() {
    for caught in [
        "except ImportError",
        "except ModuleNotFoundError as e",
        "except (OSError, ImportError)",
        "except Exception",
        "except BaseException",
        "except builtins.ImportError",
        "except",
        "except OSError: pass\nexcept ImportError",
        "except* ImportError",
    ] {
        let text =
            format!("try:\n import a\n{caught}:\n import b\nelse:\n import c\nfinally:\n import d");
        let soft = "soft guarded";
        assert_eq!(needs(&text), [soft, soft, soft, "hard"], "{caught}");
    }
}

#[test]
fn an_error_that_is_not_caught_leaves_an_import_hard() {
    for (handlers, need) in [
        ("except OSError: pass", "hard"),
        ("except (OSError, ValueError): pass", "hard"),
        ("except some.Error: pass", "hard"),
        ("finally: pass", "hard"),
        ("except ImportError: raise", "hard"),
        ("except ImportError: raise;", "hard"),
        (
            "except ImportError:\n print('x')\n raise RuntimeError from None",
            "hard",
        ),
        ("except ImportError: sys.exit(1)", "hard"),
        ("except ImportError: exit()", "hard"),
        ("except ImportError: quit(2)", "hard"),
        ("except ImportError: os._exit(2)", "hard"),
        (
            "except ImportError:\n if x: raise\n else: sys.exit()",
            "hard",
        ),
        ("except ImportError:\n with x: raise", "hard"),
        // Not every way ends there.
        ("except ImportError:\n if x: raise", "soft guarded"),
        (
            "except ImportError:\n if x: raise\n elif y: raise",
            "soft guarded",
        ),
        (
            "except ImportError:\n with suppress(Exception): raise",
            "soft guarded",
        ),
        ("except ImportError: os.exit", "soft guarded"),
        ("except ImportError:\n def f(): raise", "soft guarded"),
        // The first that gets the error decides.
        ("except ImportError: raise\nexcept Exception: pass", "hard"),
        (
            "except ModuleNotFoundError: pass\nexcept ImportError: raise",
            "soft guarded",
        ),
    ] {
        assert_eq!(
            needs(&format!("try:\n import a\n{handlers}")),
            [need],
            "{handlers}"
        );
    }
}

#[test]
fn suppressed_errors_make_an_import_soft() {
    for (with, need) in [
        ("contextlib.suppress(ImportError)", "soft guarded"),
        ("suppress(OSError, Exception)", "soft guarded"),
        ("a, suppress(ImportError) as b", "soft guarded"),
        ("suppress(OSError)", "hard"),
        ("suppress", "hard"),
        ("open(x)", "hard"),
    ] {
        assert_eq!(needs(&format!("with {with}:\n import a")), [need], "{with}");
    }
}

#[test]
fn branches_follow_their_tests() {
    let text = "\
if TYPE_CHECKING:
    import a
elif x:
    import b
else:
    import c
if sys.platform == 'win32':
    import d
elif sys.platform == 'linux':
    import e
else:
    import f
if __name__ == '__main__':
    import g
    try: import h
    except ImportError: pass
else:
    import i
def j():
    if __name__ == '__main__': import k
";
    let expected = [
        "soft typechecking",
        "hard",
        "hard",
        "soft platform",
        "hard",
        "soft platform",
        "main",
        "soft guarded",
        "hard",
        "soft function",
    ];
    assert_eq!(needs(text), expected);
}

#[test]
fn the_outermost_reason_counts() {
    let text = "def f():\n try: import a\n except ImportError: pass\ntry:\n def g(): import b\nexcept ImportError: pass";
    assert_eq!(needs(text), ["soft function", "soft guarded"]);
}

#[test]
fn dynamic_imports_are_apart_and_need_a_literal() {
    let text = "\
import importlib
a = importlib.import_module('b.c')
def f(x=__import__('d')):
    return import_module(name='e')
g = lambda: __import__('h', fromlist=['i', 'j k', 1])
importlib.import_module(x); importlib.import_module('not a name'); importlib.import_module()
importlib.import_module('.k', 'l.m'); importlib.import_module('..n', package='o.p')
importlib.import_module('.q', __package__); importlib.import_module('...r', 's')
if TYPE_CHECKING: [__import__('t') for _ in x]
x.import_module(f'u{v}'); print(f'{__import__(\"w\")}')
";
    let facts = facts(text);
    let shown = facts.dynamic.iter().map(|import| {
        let (module, need) = (&import.module, import.need.kind());
        format!("{} {module} {need} {}", import.line, import.names.join(","))
    });
    let expected = [
        "2 b.c hard ",
        "3 d hard ",
        "4 e soft ",
        "5 h soft i",
        "7 l.m.k hard ",
        "7 o.n hard ",
        "9 t soft ",
        "10 w hard ",
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert_eq!(facts.imports.len(), 1);
    let relative = facts.relative.iter().map(|r| (r.level, r.module.as_str()));
    assert_eq!(relative.collect::<Vec<_>>(), [(1, "q")]);
}
