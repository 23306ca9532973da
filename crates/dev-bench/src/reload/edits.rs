//! Edits as people make them, at random: bodies, signatures, functions and files that are new, modules with other names, derives,
//! constants and types that other crates use, and all of that taken back.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// The sources at a moment: all of them are made from this.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Code {
    /// A constant each of `core`, `db` and `guard`.
    constants: [u32; 3],
    /// In the body of a generic function of `core`.
    generic: u32,
    /// In the body of a function of `core` that is inlined.
    inlined: u32,
    /// In the bodies of plain functions of `core`, `db` and `guard`.
    plain: [u32; 3],
    /// Whether that of `core` has the compiler make an instance of the generic function which `entries` uses, too.
    instance: bool,
    /// Whether a type of `core` has one more field.
    wide: bool,
    modules: Vec<Module>,
    names: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Module {
    name: String,
    derives: bool,
    functions: Vec<Function>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    name: String,
    takes: bool,
    value: u32,
}

/// A series of edits.
pub(super) struct Edits {
    random: StdRng,
    code: Code,
    before: Vec<Code>,
}

/// Files with their contents.
pub(super) type Files = BTreeMap<String, String>;

impl Edits {
    /// A series that is the same for the same seed.
    pub(super) fn new(seed: u64) -> Self {
        let first = Module {
            name: "m0".to_owned(),
            derives: true,
            functions: vec![Function {
                name: "f1".to_owned(),
                takes: false,
                value: 1,
            }],
        };
        let code = Code {
            constants: [1; 3],
            generic: 1,
            inlined: 1,
            plain: [1; 3],
            instance: false,
            wide: false,
            modules: vec![first],
            names: 2,
        };
        Self {
            random: StdRng::seed_from_u64(seed),
            code,
            before: Vec::new(),
        }
    }

    /// The sources as they are now.
    pub(super) fn files(&self) -> Files {
        self.code.files()
    }

    /// Makes one more edit, and says what it is.
    pub(super) fn next(&mut self) -> &'static str {
        let before = self.code.clone();
        let what = loop {
            let what = self.edit();
            if self.code != before {
                break what;
            }
        };
        self.before.push(before);
        what
    }

    fn edit(&mut self) -> &'static str {
        const MOST_MODULES: usize = 6;
        let (random, code) = (&mut self.random, &mut self.code);
        let kind = random.random_range(0..16);
        let module = random.random_range(0..code.modules.len());
        match kind {
            0..4 => {
                let functions = &mut code.modules[module].functions;
                let one = random.random_range(0..functions.len());
                functions[one].value = random.random_range(0..1000);
                "another body"
            }
            4 => {
                let functions = &mut code.modules[module].functions;
                let one = random.random_range(0..functions.len());
                functions[one].takes ^= true;
                "another signature"
            }
            5 => {
                let name = code.name("f");
                code.modules[module].functions.push(Function {
                    name,
                    takes: random.random(),
                    value: 1,
                });
                "a new function"
            }
            6 if code.modules.len() < MOST_MODULES => {
                let function = Function {
                    name: code.name("f"),
                    takes: false,
                    value: 2,
                };
                let name = code.name("m");
                code.modules.push(Module {
                    name,
                    derives: random.random(),
                    functions: vec![function],
                });
                "a new file"
            }
            6 => {
                code.modules.remove(module);
                "a file less"
            }
            7 => {
                code.modules[module].name = code.name("m");
                "a renamed module"
            }
            8 => {
                code.modules[module].derives ^= true;
                "another derive"
            }
            9 => {
                code.constants[random.random_range(0..3)] = random.random_range(0..1000);
                "another constant below"
            }
            10 => {
                code.generic = random.random_range(0..1000);
                "another body of a generic function below"
            }
            11 => {
                (code.wide, code.inlined) = (random.random(), random.random_range(0..1000));
                "another type and inlined function below"
            }
            12..14 => {
                code.plain[random.random_range(0..3)] = random.random_range(0..1000);
                "another body of a function below"
            }
            14 => {
                code.instance ^= true;
                "another use of a generic function below"
            }
            _ => {
                if let Some(earlier) = self.before.choose(random) {
                    *code = Code {
                        names: code.names,
                        ..earlier.clone()
                    };
                }
                "an earlier state"
            }
        }
    }
}

impl Code {
    fn name(&mut self, letter: &str) -> String {
        self.names += 1;
        format!("{letter}{}", self.names)
    }

    fn files(&self) -> Files {
        let head = "//! The benchmark's.\n\n#![allow(missing_docs, unreachable_pub)]\n";
        let mut files = Files::new();
        let [core, db, guard] = self.constants;
        let [core_plain, db_plain, guard_plain] = self.plain;
        for (name, value, plain) in [("db", db, db_plain), ("guard", guard, guard_plain)] {
            let text = format!(
                "{head}pub const VALUE: u32 = {value};\n\npub fn plain() -> u32 {{\n    {plain}\n}}\n"
            );
            files.insert(format!("backend/{name}/src/bench.rs"), text);
        }
        let core_plain = if self.instance {
            format!("generic({core_plain}_u64)")
        } else {
            format!("format!(\"{{}}\", {core_plain})")
        };
        let (more, set) = if self.wide {
            ("    pub more: u8,\n", ", more: 7")
        } else {
            ("", "")
        };
        let (generic, inlined) = (self.generic, self.inlined);
        files.insert(
            "backend/core/src/bench.rs".to_owned(),
            format!(
                "{head}use std::fmt::Display;\n\npub const VALUE: u32 = {core};\n\n#[derive(Clone, Debug)]\npub struct Shape {{\n{more}    pub value: u32,\n}}\n\n\
                 impl Shape {{\n    pub fn new(value: u32) -> Self {{\n        Self {{ value{set} }}\n    }}\n}}\n\n\
                 pub fn generic<T: Display>(value: T) -> String {{\n    format!(\"{generic}:{{value}}\")\n}}\n\n\
                 #[inline]\npub fn inlined() -> u32 {{\n    {inlined}\n}}\n\n\
                 pub fn plain() -> String {{\n    {core_plain}\n}}\n"
            ),
        );
        let mut top = head.to_owned();
        let mut calls = Vec::new();
        for module in &self.modules {
            top.push_str(&format!("mod {};\n", module.name));
            let (derive, written) = match module.derives {
                true => ("#[derive(Debug)]\n", ""),
                false => (
                    "",
                    "\nimpl std::fmt::Debug for Value {\n    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {\n        write!(f, \"<{}>\", self.value)\n    }\n}\n",
                ),
            };
            let mut text = format!(
                "//! The benchmark's.\n\n{derive}struct Value {{\n    #[allow(dead_code)]\n    value: u32,\n}}\n{written}"
            );
            for Function { name, takes, value } in &module.functions {
                let (parameter, argument, more) = if *takes {
                    ("more: u32", "3", " + more")
                } else {
                    ("", "", "")
                };
                text.push_str(&format!(
                    "\npub(super) fn {name}({parameter}) -> String {{\n    emotionviz_core::bench::generic(format!(\"{{:?}}\", Value {{ value: {value}{more} }}))\n}}\n"
                ));
                calls.push(format!("{}::{name}({argument})", module.name));
            }
            files.insert(
                format!("backend/entries/src/bench/{}.rs", module.name),
                text,
            );
        }
        let below = "emotionviz_core::bench::VALUE, emotionviz_db::bench::VALUE, emotionviz_guard::bench::VALUE, emotionviz_core::bench::inlined(), \
            emotionviz_db::bench::plain(), emotionviz_guard::bench::plain()";
        top.push_str(&format!(
            "\npub(crate) fn all() -> String {{\n    let shape = emotionviz_core::bench::Shape::new(1);\n    \
             format!(\"{{:?}} {{shape:?}} {{}} {{}} {{}} {{:?}}\", [{below}], size_of_val(&shape), emotionviz_core::bench::plain(), \
             emotionviz_core::bench::generic(7_u64), [{}])\n}}\n",
            calls.join(", ")
        ));
        files.insert("backend/entries/src/bench.rs".to_owned(), top);
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_edits_and_each_changes_something() {
        let (mut one, mut other) = (Edits::new(7), Edits::new(7));
        let mut kinds = std::collections::BTreeSet::new();
        for _ in 0..300 {
            let before = one.files();
            kinds.insert(one.next());
            other.next();
            assert!(one.files() != before && one.files() == other.files());
        }
        assert_eq!(kinds.len(), 13, "{kinds:?}");
    }
}
