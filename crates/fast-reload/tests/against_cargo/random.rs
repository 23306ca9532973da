//! Random edits: after each one, the program of the fast way, or of [`Workspace::build`](fast_reload::Workspace::build), behaves as the
//! program of an ordinary `cargo build`.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::{FAST, Files, Scratch, manifests};

/// Each edit takes about two seconds on two cores. More: `FAST_RELOAD_TEST_EDITS`.
const EDITS: usize = 20;
/// Another seed makes other edits: `FAST_RELOAD_TEST_SEED`.
const SEED: u64 = 20;
const MOST_MODULES: usize = 5;

/// The state that all sources are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Code {
    /// A constant of `low` and of `mid`.
    constants: [u32; 2],
    /// In the bodies of a generic and of an inlined function of `low`.
    generic: u32,
    inlined: u32,
    /// In the bodies of plain functions of `low` and `mid`.
    plain: [u32; 2],
    /// Whether that of `low` has an instance of the generic function, which `top` uses too.
    has_instance: bool,
    /// Whether a type of `low` has one more field.
    is_wide: bool,
    /// A text that `top` includes, and whether `mid` includes it too.
    note: u32,
    is_shared: bool,
    /// Whether `mid` compiles.
    is_broken: bool,
    /// Modules of `top`, which is closed.
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

impl Code {
    fn new() -> Self {
        let mut code = Self {
            constants: [1; 2],
            generic: 1,
            inlined: 1,
            plain: [1; 2],
            has_instance: false,
            is_wide: false,
            note: 1,
            is_shared: false,
            is_broken: false,
            modules: Vec::new(),
            names: 0,
        };
        code.add_module(true);
        code
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn add_module(&mut self, derives: bool) {
        let function = Function {
            name: self.name("f"),
            takes: false,
            value: 1,
        };
        let name = self.name("m");
        self.modules.push(Module {
            name,
            derives,
            functions: vec![function],
        });
    }

    /// Makes one edit, and names it. It may change nothing.
    fn edit(&mut self, random: &mut StdRng, before: &[Self]) -> &'static str {
        let module = random.random_range(0..self.modules.len());
        let number = random.random_range(0..1000);
        let one = random.random_range(0..self.modules[module].functions.len());
        let crate_below = random.random_range(0..2);
        match random.random_range(0..20) {
            0..4 => {
                self.modules[module].functions[one].value = number;
                "another body"
            }
            4 => {
                self.modules[module].functions[one].takes ^= true;
                "another signature"
            }
            5 => {
                let function = Function {
                    name: self.name("f"),
                    takes: random.random(),
                    value: 1,
                };
                self.modules[module].functions.push(function);
                "a new function"
            }
            6 if self.modules.len() < MOST_MODULES => {
                self.add_module(random.random());
                "a new file"
            }
            6 => {
                self.modules.remove(module);
                "a removed file"
            }
            7 => {
                self.modules[module].name = self.name("m");
                "a renamed file"
            }
            8 => {
                self.modules[module].derives ^= true;
                "a derived trait"
            }
            9 => {
                self.constants[crate_below] = number;
                "a constant below"
            }
            10 => {
                self.generic = number;
                "a generic body below"
            }
            11 => {
                self.inlined = number;
                "an inlined body below"
            }
            12 | 13 => {
                self.plain[crate_below] = number;
                "a plain body below"
            }
            14 => {
                self.has_instance ^= true;
                "an instance below"
            }
            15 => {
                self.is_wide ^= true;
                "a field below"
            }
            16 => {
                self.note = number;
                "an included text"
            }
            17 => {
                self.is_shared ^= true;
                "a text that two crates include"
            }
            18 => {
                self.is_broken = true;
                "an error"
            }
            _ => {
                if let Some(earlier) = before.get(random.random_range(0..before.len().max(1))) {
                    let names = self.names;
                    *self = earlier.clone();
                    self.names = names;
                }
                "an earlier version"
            }
        }
    }

    fn files(&self) -> Files {
        let mut files = manifests(&[
            ("app", &["top", "mid", "low"]),
            ("top", &["mid", "low"]),
            ("mid", &["low"]),
            ("low", &[]),
        ]);
        let mut insert = |file: &str, text: String| files.insert(file.to_owned(), text);
        insert(
            "app/src/main.rs",
            "fn main() {\n    println!(\"{}\", top::text());\n}\n".to_owned(),
        );
        let [low, mid] = self.constants;
        let [low_plain, mid_plain] = self.plain;
        let low_plain = if self.has_instance {
            format!("generic({low_plain}_u64)")
        } else {
            format!("format!(\"{{}}\", {low_plain})")
        };
        let (more, set) = if self.is_wide {
            ("    pub more: u8,\n", ", more: 7")
        } else {
            ("", "")
        };
        let (generic, inlined) = (self.generic, self.inlined);
        insert(
            "low/src/lib.rs",
            format!(
                "use std::fmt::Display;\n\npub const VALUE: u32 = {low};\n\n#[derive(Clone, Debug)]\npub struct Shape {{\n{more}    pub value: u32,\n}}\n\n\
                 impl Shape {{\n    pub fn new(value: u32) -> Self {{\n        Self {{ value{set} }}\n    }}\n}}\n\n\
                 pub fn generic<T: Display>(value: T) -> String {{\n    format!(\"{generic}:{{value}}\")\n}}\n\n\
                 #[inline]\npub fn inlined() -> u32 {{\n    {inlined}\n}}\n\n\
                 pub fn plain() -> String {{\n    {low_plain}\n}}\n"
            ),
        );
        let shared = if self.is_shared {
            "include_str!(\"../../top/src/note.txt\")"
        } else {
            "\"\""
        };
        let broken = if self.is_broken { " oh dear" } else { "" };
        insert(
            "mid/src/lib.rs",
            format!(
                "pub const VALUE: u32 = {mid} + low::VALUE;\n\npub const NOTE: &str = {shared};\n\npub fn plain() -> u32 {{\n    {mid_plain}{broken}\n}}\n"
            ),
        );
        insert(
            "top/src/lib.rs",
            "mod all;\n\n#[inline(never)]\npub fn text() -> String {\n    all::text()\n}\n"
                .to_owned(),
        );
        insert("top/src/note.txt", format!("note {}", self.note));
        let (mut all, mut calls) = (String::new(), Vec::new());
        for module in &self.modules {
            all.push_str(&format!("mod {};\n", module.name));
            let (derive, written) = match module.derives {
                true => ("#[derive(Debug)]\n", ""),
                false => (
                    "",
                    "\nimpl std::fmt::Debug for Value {\n    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {\n        write!(f, \"<{}>\", self.value)\n    }\n}\n",
                ),
            };
            let mut text = format!(
                "{derive}struct Value {{\n    #[allow(dead_code)]\n    value: u32,\n}}\n{written}"
            );
            for Function { name, takes, value } in &module.functions {
                let (parameter, argument, more) = if *takes {
                    ("more: u32", "3", " + more")
                } else {
                    ("", "", "")
                };
                text.push_str(&format!(
                    "\npub fn {name}({parameter}) -> String {{\n    low::generic(format!(\"{{:?}}\", Value {{ value: {value}{more} }}))\n}}\n"
                ));
                calls.push(format!("{}::{name}({argument})", module.name));
            }
            insert(&format!("top/src/all/{}.rs", module.name), text);
        }
        all.push_str(&format!(
            "\npub fn text() -> String {{\n    let shape = low::Shape::new(1);\n    format!(\"{{:?}} {{shape:?}} {{}} {{}} {{}} {{:?}} {{}} {{}}\", [low::VALUE, mid::VALUE, low::inlined(), mid::plain()], \
             size_of_val(&shape), low::plain(), low::generic(7_u64), [{}], mid::NOTE, include_str!(\"note.txt\"))\n}}\n",
            calls.join(", ")
        ));
        insert("top/src/all.rs", all);
        files
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn random_edits_behave_as_those_that_cargo_builds() {
    let count = variable("FAST_RELOAD_TEST_EDITS").map_or(EDITS, |n| n.try_into().unwrap());
    let seed = variable("FAST_RELOAD_TEST_SEED").unwrap_or(SEED);
    let mut random = StdRng::seed_from_u64(seed);
    let mut code = Code::new();
    let mut scratch = Scratch::new(&code.files());
    // Written by itself: with the times that cargo expects.
    let plain = Scratch::new(&code.files());
    scratch.build().await.unwrap();
    let mut before: Vec<Code> = Vec::new();
    let mut printed = scratch.printed();
    let mut behind = std::collections::BTreeSet::new();
    let (mut kinds, mut fast) = (BTreeMap::<&str, usize>::new(), 0);
    for n in 0..count {
        let last = code.clone();
        let what = if code.is_broken {
            code.is_broken = false;
            "a corrected error"
        } else {
            loop {
                let what = code.edit(&mut random, &before);
                if code.files() != last.files() {
                    break what;
                }
            }
        };
        let named = format!("{what} (edit {n} of seed {seed})");
        behind.extend(scratch.save(&last.files(), &code.files()));
        plain.save(&last.files(), &code.files());
        // As after `mv` and `cp -p`.
        if random.random_ratio(1, 4) {
            scratch.age(behind.iter().cloned());
        }
        let expected = plain.printed_by_cargo();
        let is_fast = FAST && scratch.replace(&behind).await == Ok(true);
        fast += usize::from(is_fast);
        match (is_fast || scratch.build().await.is_ok(), expected) {
            (true, Some(expected)) => {
                printed = scratch.printed();
                assert_eq!(printed, expected, "{named}, fast: {is_fast}");
                behind.clear();
            }
            (false, None) => assert_eq!(scratch.printed(), printed, "{named}"),
            (compiles, expected) => panic!("{named}: compiles {compiles}, by cargo {expected:?}"),
        }
        *kinds.entry(what).or_default() += 1;
        before.push(last);
    }
    println!("{fast} of {count} by the fast way: {kinds:?}");
    assert!(
        !FAST || fast * 8 >= count,
        "{fast} of {count} by the fast way"
    );
}
