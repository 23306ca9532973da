//! Crates whose interface is in `lib.rs` alone: functions over types of other crates. An edit of any other file does not change the interface.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Returns whether the users of a crate with this `lib.rs` read nothing else of the crate.
///
/// `lib.rs` has modules, imports from other crates, and `#[inline(never)] pub fn` without type or lifetime parameters. The callers of such
/// a function read its name and the types of other crates, and nothing of the modules.
pub(super) fn is_closed(lib: &str) -> bool {
    let Ok(tokens) = lib.parse::<TokenStream>() else {
        return false;
    };
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let inside = modules(&tokens);
    let foreign = |part: &[TokenTree]| {
        !names(part)
            .iter()
            .any(|name| inside.contains(name) || is_of_this_crate(name))
    };
    let mut rest = tokens.as_slice();
    let mut functions = 0;
    while !rest.is_empty() {
        let Some((attributes, after)) = attributes(rest) else {
            return false;
        };
        let Some((item, after_item)) = item(after) else {
            return after.is_empty() && functions > 0;
        };
        rest = after_item;
        let good = match words(item).as_slice() {
            [first, ..] if first == "mod" => {
                matches!(item, [_, _, TokenTree::Punct(_)])
                    && !attributes.iter().any(|name| name == "inline")
            }
            [first, ..] if first == "use" => foreign(item),
            [public, function, _, ..] if public == "pub" && function == "fn" => {
                functions += 1;
                let plain = matches!(item.get(3), Some(TokenTree::Group(arguments)) if arguments.delimiter() == Delimiter::Parenthesis);
                let end = item.len() - 1;
                plain
                    && attributes.iter().any(|name| name == "inline")
                    && foreign(&item[3..end])
                    && !words(item).iter().any(|w| w == "impl")
            }
            _ => false,
        };
        if !good {
            return false;
        }
    }
    functions > 0
}

fn is_of_this_crate(name: &str) -> bool {
    matches!(name, "crate" | "self" | "super" | "impl")
}

/// The attributes before an item, by name, and what follows. `None` where one of them is neither documentation nor `#[inline(never)]`.
fn attributes(mut tokens: &[TokenTree]) -> Option<(Vec<String>, &[TokenTree])> {
    let mut found = Vec::new();
    while let [TokenTree::Punct(hash), rest @ ..] = tokens {
        if hash.as_char() != '#' {
            return None;
        }
        let rest = match rest {
            [TokenTree::Punct(bang), rest @ ..] if bang.as_char() == '!' => rest,
            rest => rest,
        };
        let [TokenTree::Group(group), rest @ ..] = rest else {
            return None;
        };
        let text: String = group.stream().to_string().split_whitespace().collect();
        match text.as_str() {
            "inline(never)" => found.push("inline".to_owned()),
            doc if doc.starts_with("doc=") => {}
            _ => return None,
        }
        tokens = rest;
    }
    Some((found, tokens))
}

/// The first item, with the `;` or the block that ends it, and what follows.
fn item(tokens: &[TokenTree]) -> Option<(&[TokenTree], &[TokenTree])> {
    // The braces of an import are followed by its semicolon.
    let import = words(tokens).first().is_some_and(|word| word == "use");
    let is_end = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !import,
        _ => false,
    };
    let end = tokens.iter().position(is_end)?;
    Some(tokens.split_at(end + 1))
}

fn modules(tokens: &[TokenTree]) -> Vec<String> {
    let named = tokens.windows(2).filter_map(|pair| match pair {
        [TokenTree::Ident(word), TokenTree::Ident(name)] if word == "mod" => Some(name.to_string()),
        _ => None,
    });
    named.collect()
}

/// The words at the beginning that stand for themselves.
fn words(tokens: &[TokenTree]) -> Vec<String> {
    tokens
        .iter()
        .filter_map(|token| {
            if let TokenTree::Ident(word) = token {
                Some(word.to_string())
            } else {
                None
            }
        })
        .collect()
}

/// All names, however deep.
fn names(tokens: &[TokenTree]) -> Vec<String> {
    let of = |token: &TokenTree| match token {
        TokenTree::Ident(name) => vec![name.to_string()],
        TokenTree::Group(group) => names(&group.stream().into_iter().collect::<Vec<_>>()),
        _ => Vec::new(),
    };
    tokens.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "//! A crate.\nmod api;\nmod models;\nuse std::sync::Arc;\nuse other::{Pool, Guard};\n\
        /// Its calls.\n#[inline(never)]\npub fn router(pool: Pool, guard: Arc<Guard>) -> Router { api::router(api::State { pool, guard }) }\n";

    #[test]
    fn functions_over_types_of_others() {
        assert!(is_closed(GOOD));
        assert!(is_closed(&format!(
            "{GOOD}#[inline(never)] pub fn again(pool: Pool) {{}}"
        )));
    }

    #[test]
    fn whatever_shows_more() {
        for (from, to) in [
            ("mod api;", "pub mod api;"),
            ("mod api;", "#[macro_use] mod api;"),
            ("mod api;", "#[path = \"x.rs\"] mod api;"),
            ("mod api;", "mod api { pub struct State; }"),
            ("use std::sync::Arc;", "pub use api::State;"),
            ("use std::sync::Arc;", "use api::State;"),
            ("use std::sync::Arc;", "use crate::api::State;"),
            ("use std::sync::Arc;", "use other::{self, Pool};"),
            ("use std::sync::Arc;", "pub struct State;"),
            ("use std::sync::Arc;", "impl Default for State {}"),
            ("use std::sync::Arc;", "pub const MOST: usize = 1;"),
            ("use std::sync::Arc;", "macro_rules! m { () => {} }"),
            ("#[inline(never)]", ""),
            ("#[inline(never)]", "#[inline]"),
            ("#[inline(never)]", "#[no_mangle]"),
            ("router(pool: Pool", "router<T>(pool: T"),
            ("router(pool: Pool", "router(pool: impl Into<Pool>"),
            ("router(pool: Pool", "router(pool: api::State"),
            ("-> Router", "-> impl Into<Router>"),
            ("-> Router", "-> crate::models::Router"),
            ("pub fn", "pub async fn"),
            ("pub fn", "pub const fn"),
            ("pub fn", "fn"),
        ] {
            assert!(GOOD.contains(from));
            assert!(!is_closed(&GOOD.replace(from, to)), "{to}");
        }
        assert!(!is_closed("") && !is_closed("mod api;") && !is_closed("mod api; fn f("));
    }
}
