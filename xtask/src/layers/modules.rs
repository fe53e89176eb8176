// SPDX-License-Identifier: Apache-2.0
//! The modules of one crate and the paths each of them names.
//!
//! Mechanism: starting at the root file every `mod` is followed to its file; `use` trees, paths in code and paths inside
//! macros are collected as written. Re-exports are kept by name, so that a path through one can be followed to its source.
//! Invariants: what is compiled for tests only (`#[cfg(test)]`) does not count.
//! Depends on: syn.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// The path of a module below the crate's root; the root's is empty.
pub(super) type Name = Vec<String>;

/// Modules by name.
pub(super) type Tree = BTreeMap<Name, Module>;

/// What is read of a module.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Paths as written, each with at least one segment.
    pub(super) paths: Vec<Name>,
    /// Names that `use` brings in, with the path each comes from.
    pub(super) imports: BTreeMap<String, Name>,
    /// Paths of `use …::*`.
    pub(super) globs: Vec<Name>,
    /// Names of the items defined here.
    pub(super) items: Vec<String>,
}

/// Reads a crate from its root file.
pub(super) fn read(root: &Path) -> Result<Tree> {
    let folder = root
        .parent()
        .context("invariant: a source file has a folder")?
        .to_owned();
    let mut reader = Reader { tree: Tree::new() };
    reader.file(root, Name::new(), &folder)?;
    Ok(reader.tree)
}

/// Reads a crate from text, with inline modules only.
#[cfg(test)]
pub(super) fn parse(text: &str) -> Tree {
    let mut reader = Reader { tree: Tree::new() };
    reader
        .items(
            &syn::parse_file(text).unwrap().items,
            Name::new(),
            Path::new("/nowhere"),
        )
        .unwrap();
    reader.tree
}

struct Reader {
    tree: Tree,
}

impl Reader {
    /// `folder`: where the files of this module's children are.
    fn file(&mut self, file: &Path, name: Name, folder: &Path) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("parsing {}", file.display()))?;
        self.items(&parsed.items, name, folder)
    }

    fn items(&mut self, items: &[syn::Item], name: Name, folder: &Path) -> Result<()> {
        let mut module = Module::default();
        for item in items.iter().filter(|item| !is_for_tests(item)) {
            if let syn::Item::Mod(child) = item {
                self.child(child, &name, folder)?;
            } else {
                module.items.extend(item_name(item));
                module.visit_item(item);
            }
        }
        self.tree.insert(name, module);
        Ok(())
    }

    fn child(&mut self, child: &syn::ItemMod, parent: &Name, folder: &Path) -> Result<()> {
        let ident = child.ident.to_string();
        let name: Name = parent.iter().cloned().chain([ident.clone()]).collect();
        let below = folder.join(&ident);
        match &child.content {
            Some((_, items)) => self.items(items, name, &below),
            None => self.file(&file_of(folder, &ident)?, name, &below),
        }
    }
}

fn file_of(folder: &Path, ident: &str) -> Result<PathBuf> {
    let candidates = [folder.join(format!("{ident}.rs")), folder.join(ident).join("mod.rs")];
    match candidates.into_iter().find(|file| file.exists()) {
        Some(file) => Ok(file),
        None => bail!("module {ident} has no file in {}", folder.display()),
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, Name::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.paths
                .push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.paths.extend(paths_in(&call.tokens.to_string()));
        visit::visit_macro(self, call);
    }
}

impl Module {
    fn use_tree(&mut self, tree: &syn::UseTree, mut prefix: Name) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.use_tree(&path.tree, prefix);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, prefix.clone())),
            syn::UseTree::Glob(_) => {
                self.paths.push(prefix.clone());
                self.globs.push(prefix);
            }
            syn::UseTree::Name(name) => self.import(&name.ident, &name.ident, prefix),
            syn::UseTree::Rename(rename) => self.import(&rename.ident, &rename.rename, prefix),
        }
    }

    fn import(&mut self, ident: &syn::Ident, known_as: &syn::Ident, mut path: Name) {
        let alias = if ident == "self" {
            path.last().cloned()
        } else {
            Some(known_as.to_string())
        };
        if ident != "self" {
            path.push(ident.to_string());
        }
        self.imports.extend(alias.map(|alias| (alias, path.clone())));
        self.paths.push(path);
    }
}

/// Paths from `crate` or `super` in a macro's tokens, which are not parsed as Rust.
fn paths_in(tokens: &str) -> Vec<Name> {
    let words: Vec<_> = spaced(tokens).split_whitespace().map(str::to_owned).collect();
    let starts = words.iter().enumerate().filter(|(i, word)| {
        matches!(word.as_str(), "crate" | "super") && i.checked_sub(1).is_none_or(|before| words[before] != "::")
    });
    starts.map(|(start, _)| path_at(&words[start..])).collect()
}

/// With a blank around everything that is not part of a name.
fn spaced(tokens: &str) -> String {
    let mut text = String::with_capacity(tokens.len() * 2);
    for c in tokens.chars() {
        if c.is_alphanumeric() || c == '_' || c == ':' {
            text.push(c);
        } else {
            text.extend([' ', c, ' ']);
        }
    }
    text.replace("::", " :: ")
}

fn path_at(words: &[String]) -> Name {
    let mut path = vec![words[0].clone()];
    for pair in words[1..].chunks(2) {
        match pair {
            [colons, segment] if colons == "::" => path.push(segment.clone()),
            _ => break,
        }
    }
    path
}

fn is_for_tests(item: &syn::Item) -> bool {
    attributes(item).iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|argument| argument.is_ident("test"))
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        _ => &[],
    }
}

fn item_name(item: &syn::Item) -> Option<String> {
    match item {
        syn::Item::Const(item) => Some(item.ident.to_string()),
        syn::Item::Enum(item) => Some(item.ident.to_string()),
        syn::Item::Fn(item) => Some(item.sig.ident.to_string()),
        syn::Item::Static(item) => Some(item.ident.to_string()),
        syn::Item::Struct(item) => Some(item.ident.to_string()),
        syn::Item::Trait(item) => Some(item.ident.to_string()),
        syn::Item::Type(item) => Some(item.ident.to_string()),
        syn::Item::Union(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<Name> {
        paths
            .iter()
            .map(|path| path.split("::").map(str::to_owned).collect())
            .collect()
    }

    #[test]
    fn use_trees_are_spread_out() {
        let tree = parse("use crate::a::{self, B, c::*, d::E as F};");
        assert_eq!(
            tree[&Name::new()].paths,
            names(&["crate::a", "crate::a::B", "crate::a::c", "crate::a::d::E"])
        );
        assert_eq!(tree[&Name::new()].imports.keys().collect::<Vec<_>>(), ["B", "F", "a"]);
    }

    #[test]
    fn paths_inside_macros_are_seen() {
        assert_eq!(
            paths_in("\"{}\" , crate :: a :: b (super::c::d)"),
            names(&["crate::a::b", "super::c::d"])
        );
    }

    #[test]
    fn test_modules_do_not_count() {
        let tree = parse("mod a { #[cfg(test)] mod tests { use crate::b::C; } } mod b {}");
        assert_eq!(
            tree.keys().cloned().collect::<Vec<_>>(),
            [Name::new(), vec!["a".into()], vec!["b".into()]]
        );
    }
}
