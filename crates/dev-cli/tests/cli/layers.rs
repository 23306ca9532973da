//! Which modules import which: no arrow points up, and no modules import each other in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

use crate::support::workspace;

/// The layers of dev-env. A layer uses only those above it in this list.
const LAYERS: [&str; 8] = [
    "report",
    "project",
    "service",
    "build",
    "database",
    "supervisor",
    "engines",
    "verbs",
];

/// The segments of a path, from the root of a crate.
type Module = Vec<String>;

/// The modules of a crate, each with those that it imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// What a file names.
#[derive(Default)]
struct Names {
    /// Paths as they stand in the code.
    paths: Vec<Vec<String>>,
    /// The path behind each name that the file exports again.
    exports: BTreeMap<String, Vec<String>>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if is_for_tests(&item.attrs) {
            return;
        }
        let mut leaves = Vec::new();
        collect_leaves(&item.tree, &mut Vec::new(), &mut leaves);
        for (path, name) in leaves {
            if matches!(item.vis, syn::Visibility::Inherited) {
                self.paths.push(path);
            } else {
                self.exports.insert(name, path);
            }
        }
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // A single name may be a variable with the name of a module.
        if path.segments.len() > 1 {
            let segments = path.segments.iter();
            self.paths
                .push(segments.map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string().contains("test"))
    })
}

fn collect_leaves(
    tree: &syn::UseTree,
    prefix: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, String)>,
) {
    let mut add = |last: &syn::Ident, name: &syn::Ident| {
        let mut path = prefix.clone();
        if last != "self" {
            path.push(last.to_string());
        }
        leaves.push((path, name.to_string()));
    };
    match tree {
        syn::UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            collect_leaves(&path.tree, prefix, leaves);
            prefix.pop();
        }
        syn::UseTree::Name(name) => add(&name.ident, &name.ident),
        syn::UseTree::Rename(rename) => add(&rename.ident, &rename.rename),
        syn::UseTree::Glob(_) => leaves.push((prefix.clone(), "*".to_owned())),
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                collect_leaves(tree, prefix, leaves);
            }
        }
    }
}

/// Reads the sources of a crate.
fn imports(source: &Path) -> Imports {
    let mut modules = BTreeMap::new();
    read_folder(source, &mut Vec::new(), &mut modules);
    let mut imports = Imports::new();
    for (module, names) in &modules {
        let found = names
            .paths
            .iter()
            .filter_map(|path| resolve(&modules, module, path));
        imports.insert(
            module.clone(),
            found.filter(|found| found != module).collect(),
        );
    }
    imports
}

fn read_folder(folder: &Path, above: &mut Module, modules: &mut BTreeMap<Module, Names>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            above.push(name);
            read_folder(&path, above, modules);
            above.pop();
        } else if path.extension().is_some_and(|kind| kind == "rs") && name != "tests" {
            let mut module = above.clone();
            match name.as_str() {
                "lib" => {}
                // The program of a library imports that library like any other crate.
                "main" if folder.join("lib.rs").exists() => continue,
                "main" => {}
                _ => module.push(name),
            }
            let mut names = Names::default();
            names.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
            modules.insert(module, names);
        }
    }
}

/// Returns the module that defines what a path names, if it is in this crate.
fn resolve(modules: &BTreeMap<Module, Names>, from: &[String], path: &[String]) -> Option<Module> {
    let (first, mut rest) = path.split_first()?;
    let mut module = from.to_vec();
    match first.as_str() {
        "crate" => module.clear(),
        "self" => {}
        "super" => {
            module.pop();
            while let Some(("super", after)) =
                rest.split_first().map(|(s, after)| (s.as_str(), after))
            {
                module.pop();
                rest = after;
            }
        }
        _ => {
            module.push(first.clone());
            modules.get(&module)?;
        }
    }
    while let Some((next, after)) = rest.split_first() {
        module.push(next.clone());
        if !modules.contains_key(&module) {
            module.pop();
            // A name that is exported again belongs to the module that defines it.
            return match modules[&module].exports.get(next) {
                Some(path) => resolve(modules, &module, &[path, after].concat()),
                None => Some(module),
            };
        }
        rest = after;
    }
    Some(module)
}

/// Returns the shortest way from a module back to itself.
fn circle(imports: &Imports, start: &Module) -> Option<Vec<Module>> {
    let mut ways = VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in &imports[way.last().unwrap()] {
            let longer = [way.clone(), vec![next.clone()]].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

fn crates() -> Vec<(String, Imports)> {
    let folders = ["backend", "crates"]
        .iter()
        .flat_map(|folder| fs::read_dir(workspace().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path());
    folders
        .filter(|folder| folder.join("src").is_dir())
        .map(|folder| {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            (name, imports(&folder.join("src")))
        })
        .collect()
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for (name, imports) in crates() {
        for way in imports.keys().filter_map(|module| circle(&imports, module)) {
            let way: Vec<_> = way.iter().map(|module| module.join("::")).collect();
            circles.push(format!("{name}: {}", way.join(" → ")));
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn layers_of_dev_env_use_only_those_above_them() {
    let imports = imports(&workspace().join("crates/dev-env/src"));
    let layer = |module: &Module| {
        let first = module.first()?;
        LAYERS.iter().position(|layer| layer == first)
    };
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for (from, targets) in &imports {
        let Some(here) = layer(from) else {
            assert!(from.is_empty(), "{} is in no layer", from.join("::"));
            continue;
        };
        found.insert(here);
        for target in targets.iter().filter(|target| layer(target) > Some(here)) {
            wrong.push(format!("{} → {}", from.join("::"), target.join("::")));
        }
    }
    assert_eq!(found.len(), LAYERS.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_two_modules_differ_by_a_plural_only() {
    for (name, imports) in crates() {
        for module in imports.keys().filter(|module| !module.is_empty()) {
            let mut plural = module.clone();
            plural.last_mut().unwrap().push('s');
            assert!(
                !imports.contains_key(&plural),
                "{name}: {} and {}",
                module.join("::"),
                plural.join("::")
            );
        }
    }
}
