//! The imports among the modules of the simulator go one way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The top-level modules. Each may import itself and those before it.
const LAYERS: [&str; 7] = ["util", "model", "faults", "record", "state", "http", "simulator"];

/// Each file as a module path, such as `state::tokens`, with the modules that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

fn read_modules(directory: &Path, path: &str, modules: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap().path();
        let name = entry.file_stem().unwrap().to_str().unwrap();
        let module = if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
        if entry.is_dir() {
            read_modules(&entry, &module, modules);
        } else if name == "mod" {
            modules.insert(path.to_owned(), std::fs::read_to_string(&entry).unwrap());
        } else if !["lib", "main"].contains(&module.as_str()) {
            modules.insert(module, std::fs::read_to_string(&entry).unwrap());
        }
    }
}

fn imports() -> Imports {
    let mut modules = BTreeMap::new();
    read_modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut modules);
    let imports_of = |module: &String, source: &str| {
        let mut imports = BTreeSet::new();
        for line in source.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            assert!(
                !line.contains("super::") || line == "use super::*;",
                "{module} must import by `crate::`: {line}"
            );
            for rest in line.split("crate::").skip(1) {
                let path: String = rest
                    .chars()
                    .take_while(|char| char.is_alphanumeric() || "_:".contains(*char))
                    .collect();
                let imported = modules
                    .keys()
                    .filter(|known| path.starts_with(&format!("{known}::")))
                    .max_by_key(|known| known.len())
                    .unwrap_or_else(|| panic!("{module} imports no module: {line}"));
                // Otherwise braces can hide the path of a submodule.
                let is_file =
                    !modules.keys().any(|other| other.starts_with(&format!("{imported}::")));
                assert!(is_file, "{module} must name the file that it imports: {line}");
                imports.insert(imported.clone());
            }
        }
        imports
    };
    modules.iter().map(|(module, source)| (module.clone(), imports_of(module, source))).collect()
}

fn layer(module: &str) -> usize {
    let top = module.split("::").next().unwrap();
    LAYERS.iter().position(|layer| *layer == top).unwrap_or_else(|| panic!("no layer: {module}"))
}

/// Removes the modules without imports again and again. Those that remain are in or behind a cycle.
fn cyclic(mut imports: Imports) -> Imports {
    loop {
        let free: BTreeSet<_> =
            imports.iter().filter(|(_, of)| of.is_empty()).map(|(name, _)| name.clone()).collect();
        if free.is_empty() {
            return imports;
        }
        imports.retain(|name, of| {
            of.retain(|imported| !free.contains(imported));
            !free.contains(name)
        });
    }
}

#[test]
fn no_module_imports_a_higher_layer() {
    let imports = imports();
    assert!(imports.len() > 30, "the sources were not found: {imports:?}");
    for (module, imported) in &imports {
        for imported in imported {
            assert!(layer(imported) <= layer(module), "{module} imports {imported}");
        }
    }
}

#[test]
fn no_file_imports_itself_in_a_circle() {
    assert_eq!(cyclic(imports()), Imports::new());
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let circle = Imports::from([
        ("a".to_owned(), set(&["b"])),
        ("b".to_owned(), set(&["c"])),
        ("c".to_owned(), set(&["b", "d"])),
        ("d".to_owned(), set(&[])),
    ]);
    assert_eq!(cyclic(circle).len(), 3, "the check itself finds a circle");
}
