//! Walks a syntax tree and collects what a file imports and which addresses it
//! spells out.
//!
//! Statements are always walked; expressions only if the text holds a word that
//! makes it worthwhile, since most of a tree are expressions and few files name
//! anything in them.

use ruff_python_ast::{
    ArgOrKeyword, ExceptHandler, Expr, ExprCall, Stmt, StmtIf, StmtImport, StmtImportFrom, StmtTry,
    visitor::{self, Visitor},
};
use ruff_text_size::{Ranged, TextSize};

use super::{
    PythonVersion,
    conditions::{self, Effect, last_name},
    endpoints,
    facts::{FileFacts, Import, Need, RelativeImport, Why},
    position::Lines,
    tokens::Fault,
};

/// A statement that stands for `raise`, see `parse::respell`.
pub const RAISE: &str = "RAISE";

/// Adds to `facts` what stands in `body`, the statements of `text`, and the
/// number of lines. `expressions` says whether to look into them, too. Fails if
/// the statements are such that Python would not have parsed them.
pub fn collect<'a>(
    text: &'a str,
    body: &'a [Stmt],
    expressions: bool,
    version: PythonVersion,
    facts: &mut FileFacts,
) -> Result<(), Fault> {
    let mut walk = Walk {
        version,
        lines: Lines::new(text),
        expressions,
        need: Need::Hard,
        fault: None,
        facts,
    };
    walk.visit_body(body);
    walk.facts.lines = walk.lines.total();
    walk.fault.map_or(Ok(()), Err)
}

struct Walk<'a, 'f> {
    version: PythonVersion,
    lines: Lines<'a>,
    /// Whether expressions are looked into.
    expressions: bool,
    /// Of what stands here.
    need: Need,
    /// The first mistake that the parser lets pass.
    fault: Option<Fault>,
    facts: &'f mut FileFacts,
}

impl<'a> Visitor<'a> for Walk<'a, '_> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::Import(import) => self.import(import),
            Stmt::ImportFrom(import) => self.import_from(import),
            Stmt::FunctionDef(function) => {
                for decorator in &function.decorator_list {
                    self.visit_decorator(decorator);
                }
                // Defaults are computed here and now, the body is not.
                self.visit_parameters(&function.parameters);
                self.within(Effect::Never(Why::Function), &function.body);
            }
            Stmt::If(branches) => self.branches(branches),
            Stmt::Try(attempt) => self.attempt(attempt),
            Stmt::With(with) if with.items.iter().any(|item| suppresses(&item.context_expr)) => {
                self.within(Effect::Never(Why::Guarded), &with.body);
            }
            // A text on its own is documentation.
            Stmt::Expr(only) if only.value.is_string_literal_expr() => {}
            _ => visitor::walk_stmt(self, statement),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if !self.expressions {
            return;
        }
        match expr {
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.visit_parameters(parameters);
                }
                let outside = self.enter(Effect::Never(Why::Function));
                self.visit_expr(&lambda.body);
                self.need = outside;
            }
            Expr::Call(call) => self.call(expr, call),
            Expr::StringLiteral(_) | Expr::FString(_) | Expr::BinOp(_) => {
                if !self.literal(expr) {
                    visitor::walk_expr(self, expr);
                }
            }
            _ => visitor::walk_expr(self, expr),
        }
    }
}

impl<'a> Walk<'a, '_> {
    fn import(&mut self, import: &StmtImport) {
        let line = self.lines.line(import.start());
        for alias in &import.names {
            self.facts
                .imports
                .push(absolute(alias.name.as_str(), Vec::new(), line, self.need));
        }
    }

    fn import_from(&mut self, import: &StmtImportFrom) {
        let line = self.lines.line(import.start());
        let module = import.module.as_ref().map_or("", |module| module.as_str());
        let names = import.names.iter().map(|alias| alias.name.as_str());
        let names = names
            .filter(|name| *name != "*")
            .map(str::to_owned)
            .collect();
        if import.level == 0 {
            self.facts
                .imports
                .push(absolute(module, names, line, self.need));
        } else {
            self.facts.relative.push(RelativeImport {
                level: import.level,
                module: module.to_owned(),
                names,
                line,
                need: self.need,
            });
        }
    }

    /// Each test also says something about the branches after it.
    fn branches(&mut self, branches: &'a StmtIf) {
        let outside = self.need;
        let first = (Some(&*branches.test), &branches.body);
        let rest = &branches.elif_else_clauses;
        let rest = rest
            .iter()
            .map(|clause| (clause.test.as_ref(), &clause.body));
        for (test, body) in std::iter::once(first).chain(rest) {
            let Some(test) = test else {
                self.visit_body(body);
                break;
            };
            self.visit_expr(test);
            let split = conditions::split(test, self.version);
            self.within(split.then, body);
            self.enter(split.otherwise);
        }
        self.need = outside;
    }

    fn attempt(&mut self, attempt: &'a StmtTry) {
        if attempt.handlers.is_empty() && !attempt.orelse.is_empty() {
            self.fault.get_or_insert(Fault {
                place: attempt.start(),
                message: "expected `except` after `try` block, since there is an `else`",
            });
        }
        let handlers = attempt.handlers.iter();
        let handlers = handlers.map(|ExceptHandler::ExceptHandler(handler)| handler);
        // The first handler that gets an error of an import decides.
        let decides = handlers
            .clone()
            .find(|handler| handler.type_.as_deref().is_none_or(catches_imports));
        let guarded = match decides {
            Some(handler) if !ends(&handler.body) => Effect::Never(Why::Guarded),
            _ => Effect::Same,
        };
        self.within(guarded, &attempt.body);
        for handler in handlers {
            if let Some(kind) = &handler.type_ {
                self.visit_expr(kind);
            }
            self.within(Effect::Never(Why::Guarded), &handler.body);
        }
        // Reached only if the body went well.
        self.within(guarded, &attempt.orelse);
        self.visit_body(&attempt.finalbody);
    }

    fn within(&mut self, effect: Effect, body: &'a [Stmt]) {
        let outside = self.enter(effect);
        self.visit_body(body);
        self.need = outside;
    }

    /// Returns what was before.
    fn enter(&mut self, effect: Effect) -> Need {
        let outside = self.need;
        self.need = match (outside, effect) {
            (Need::Soft(_), _) | (_, Effect::Same) => outside,
            (_, Effect::Script) => Need::Main,
            (_, Effect::Never(why)) => Need::Soft(why),
        };
        outside
    }

    fn call(&mut self, expr: &'a Expr, call: &'a ExprCall) {
        let first = call.arguments.args.first();
        let first = first.or_else(|| {
            call.arguments
                .keywords
                .first()
                .map(|keyword| &keyword.value)
        });
        match (last_name(&call.func), first) {
            (Some(function @ ("import_module" | "__import__")), Some(module)) => {
                self.dynamic(expr.start(), function, module, call);
                visitor::walk_expr(self, expr);
            }
            (Some(method @ ("bind" | "connect" | "bind_to_random_port")), Some(address)) => {
                self.visit_expr(&call.func);
                let found = endpoints::endpoint(address);
                let rest = call.arguments.iter_source_order().map(ArgOrKeyword::value);
                // What is given to the socket is not found a second time.
                for argument in rest
                    .skip_while(|argument| found.is_some() && argument.start() <= address.start())
                {
                    self.visit_expr(argument);
                }
                if let Some(mut found) = found {
                    found.line = self.lines.line(address.start());
                    match method {
                        "connect" => self.facts.peers.push(found),
                        _ => self.facts.binds.push(found),
                    }
                }
            }
            _ if self.literal(expr) => {}
            _ => visitor::walk_expr(self, expr),
        }
    }

    /// An address that is not given to a socket right here.
    fn literal(&mut self, expr: &Expr) -> bool {
        let Some(mut found) = endpoints::endpoint(expr) else {
            return false;
        };
        found.line = self.lines.line(expr.start());
        if endpoints::is_wildcard(&found) {
            self.facts.binds.push(found);
        } else if found.host.is_some() || found.port.is_some() {
            self.facts.peers.push(found);
        }
        true
    }

    fn dynamic(&mut self, place: TextSize, function: &str, module: &Expr, call: &ExprCall) {
        let Expr::StringLiteral(literal) = module else {
            return;
        };
        let literal = literal.value.to_str();
        let module = literal.trim_start_matches('.');
        let level = literal.len() - module.len();
        let line = self.lines.line(place);
        if !is_module(module) || (level > 0 && function == "__import__") {
            return;
        }
        if level == 0 {
            let import = absolute(module, from_list(call), line, self.need);
            self.facts.dynamic.push(import);
        } else if let Some(package) = package(call) {
            // `import_module(".b", "a")` is `a.b`; each further dot is one up.
            let mut parts: Vec<&str> = package.split('.').collect();
            if level <= parts.len() {
                parts.truncate(parts.len() + 1 - level);
                parts.push(module);
                let import = absolute(&parts.join("."), Vec::new(), line, self.need);
                self.facts.dynamic.push(import);
            }
        } else {
            self.facts.relative.push(RelativeImport {
                level: u32::try_from(level).unwrap_or(u32::MAX),
                module: module.to_owned(),
                names: Vec::new(),
                line,
                need: self.need,
            });
        }
    }
}

fn absolute(module: &str, names: Vec<String>, line: u32, need: Need) -> Import {
    Import {
        name: module.split('.').next().unwrap_or(module).to_owned(),
        module: module.to_owned(),
        names,
        line,
        need,
    }
}

/// Whether a text can be the name of a module.
fn is_module(text: &str) -> bool {
    let letter = |letter: char| letter == '_' || letter.is_alphanumeric();
    text.split('.').all(|part| {
        !part.is_empty() && part.chars().all(letter) && !part.starts_with(char::is_numeric)
    })
}

/// The literal second argument of `import_module`.
fn package(call: &ExprCall) -> Option<&str> {
    match call.arguments.find_argument_value("package", 1)? {
        Expr::StringLiteral(literal) => Some(literal.value.to_str()).filter(|text| is_module(text)),
        _ => None,
    }
}

/// The literals of `__import__(…, fromlist=[…])`.
fn from_list(call: &ExprCall) -> Vec<String> {
    let items = match call.arguments.find_argument_value("fromlist", 3) {
        Some(Expr::List(list)) => &list.elts,
        Some(Expr::Tuple(tuple)) => &tuple.elts,
        _ => return Vec::new(),
    };
    let text = |item: &Expr| match item {
        Expr::StringLiteral(literal) => Some(literal.value.to_str().to_owned()),
        _ => None,
    };
    items
        .iter()
        .filter_map(text)
        .filter(|name| is_module(name))
        .collect()
}

/// Whether `except EXPR` gets the error of a failed import.
fn catches_imports(expr: &Expr) -> bool {
    match expr {
        Expr::Tuple(tuple) => tuple.elts.iter().any(catches_imports),
        _ => matches!(
            last_name(expr),
            Some("ImportError" | "ModuleNotFoundError" | "Exception" | "BaseException")
        ),
    }
}

/// `contextlib.suppress(ImportError)`.
fn suppresses(expr: &Expr) -> bool {
    match expr {
        Expr::Call(call) => {
            last_name(&call.func) == Some("suppress")
                && call.arguments.args.iter().any(catches_imports)
        }
        _ => false,
    }
}

/// Whether a body never comes to its end: it raises, or ends the process.
fn ends(body: &[Stmt]) -> bool {
    body.iter().any(|statement| match statement {
        Stmt::Raise(_) => true,
        Stmt::Expr(only) => match &*only.value {
            Expr::Call(call) => is_exit(&call.func),
            Expr::Name(name) => name.id.as_str() == RAISE,
            _ => false,
        },
        Stmt::If(branches) => {
            let rest = &branches.elif_else_clauses;
            let total = rest.last().is_some_and(|last| last.test.is_none());
            total && ends(&branches.body) && rest.iter().all(|clause| ends(&clause.body))
        }
        Stmt::With(with) => {
            let suppressed = with.items.iter().any(|item| suppresses(&item.context_expr));
            !suppressed && ends(&with.body)
        }
        _ => false,
    })
}

/// `sys.exit`, `exit`, `quit`, `os._exit`, `os.abort`.
fn is_exit(function: &Expr) -> bool {
    match function {
        Expr::Name(name) => matches!(name.id.as_str(), "exit" | "quit" | "_exit"),
        Expr::Attribute(attribute) => {
            let module = last_name(&attribute.value);
            let name = attribute.attr.as_str();
            matches!(
                (module, name),
                (Some("sys"), "exit") | (Some("os"), "_exit" | "abort")
            )
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
