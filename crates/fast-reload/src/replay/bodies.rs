//! Edits of nothing but the bodies of plain functions. Callers are compiled with the signature of such a function, and not with its body.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// Macros that declare nothing where they stand, and keywords that `!` may follow.
const HARMLESS: [&str; 31] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "concat",
    "debug",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "eprintln",
    "error",
    "format",
    "format_args",
    "info",
    "matches",
    "panic",
    "println",
    "todo",
    "trace",
    "unimplemented",
    "unreachable",
    "vec",
    "warn",
    "write",
    "writeln",
    "stringify",
    "break",
    "else",
    "if",
    "in",
    "match",
    "return",
];
/// Words of what a body might declare, which may be seen outside (`impl`), or be known to the linker.
const DECLARING: [&str; 13] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "macro_rules",
    "mod",
    "static",
    "struct",
    "trait",
    "type",
    "union",
];

/// Returns whether two versions of a file differ at most in the bodies of plain functions.
///
/// A plain function has no type or lifetime parameters, no attributes that change the code, and no `impl Trait`. It is neither `const` nor
/// `async`, and not in a trait or a generic `impl`. Its body declares nothing.
pub(super) fn alone_differ(before: &str, after: &str) -> bool {
    let shown = |text: &str| Some(shown(text.parse().ok()?).to_string());
    shown(before).is_some_and(|before| shown(after) == Some(before))
}

/// A file or block of declarations, with the bodies of plain functions left out.
fn shown(tokens: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = tokens.as_slice();
    let mut shown = Vec::new();
    while !rest.is_empty() {
        let (declaration, after) = rest.split_at(end(rest));
        rest = after;
        let (last, before) = declaration.split_last().expect("it is not empty");
        shown.extend_from_slice(before);
        shown.push(match last {
            TokenTree::Group(block)
                if is_plain_function(before) && declare_nothing(std::slice::from_ref(last)) =>
            {
                braces(TokenStream::new())
            }
            TokenTree::Group(block) if is_of_declarations(before) => {
                braces(self::shown(block.stream()))
            }
            other => other.clone(),
        });
    }
    shown.into_iter().collect()
}

fn braces(inside: TokenStream) -> TokenTree {
    Group::new(Delimiter::Brace, inside).into()
}

/// Where the first declaration ends: with its block, or with `;`.
fn end(tokens: &[TokenTree]) -> usize {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    tokens
        .iter()
        .position(is_end)
        .map_or(tokens.len(), |at| at + 1)
}

/// Whether what stands before a block makes it the body of a plain function.
fn is_plain_function(head: &[TokenTree]) -> bool {
    match without_attributes(head).map(public) {
        Some(
            [
                TokenTree::Ident(function),
                TokenTree::Ident(_),
                signature @ ..,
            ],
        ) => {
            let arguments = matches!(signature, [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Parenthesis);
            // In `A<{ 1 }>` the block belongs to the type.
            let ends = |last: &TokenTree| !matches!(last, TokenTree::Punct(punct) if !matches!(punct.as_char(), '>' | '!'));
            let complete = signature.last().is_some_and(ends);
            function == "fn" && arguments && complete && declare_nothing(signature)
        }
        _ => false,
    }
}

/// Whether what stands before a block makes it one of declarations that apply to no type but those they name.
fn is_of_declarations(head: &[TokenTree]) -> bool {
    match without_attributes(head).map(public) {
        Some([TokenTree::Ident(word), TokenTree::Ident(_)]) => word == "mod",
        Some([TokenTree::Ident(word), TokenTree::Ident(_), ..]) => word == "impl",
        _ => false,
    }
}

/// What follows the attributes of a declaration; `None` where one of them says anything of what is compiled.
fn without_attributes(mut tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    while let [TokenTree::Punct(hash), rest @ ..] = tokens {
        // Those of the whole file stand before the first declaration.
        let rest = if is(rest.first()?, '!') {
            &rest[1..]
        } else {
            rest
        };
        let (TokenTree::Group(group), rest) = rest.split_first()? else {
            return None;
        };
        let text: String = group.stream().to_string().split_whitespace().collect();
        let says_nothing = text == "must_use"
            || ["doc=", "allow(", "expect("]
                .iter()
                .any(|beginning| text.starts_with(beginning));
        if hash.as_char() != '#' || !says_nothing {
            return None;
        }
        tokens = rest;
    }
    Some(tokens)
}

/// What follows `pub`, if that is there.
fn public(tokens: &[TokenTree]) -> &[TokenTree] {
    match tokens {
        [TokenTree::Ident(word), TokenTree::Group(group), rest @ ..]
            if word == "pub" && group.delimiter() == Delimiter::Parenthesis =>
        {
            rest
        }
        [TokenTree::Ident(word), rest @ ..] if word == "pub" => rest,
        other => other,
    }
}

/// Whether no word among these, however deep, declares anything, and no attribute or unknown macro might.
fn declare_nothing(tokens: &[TokenTree]) -> bool {
    let is_macro = |three: &[TokenTree]| match three {
        [
            TokenTree::Ident(name),
            TokenTree::Punct(bang),
            TokenTree::Group(_),
        ] => bang.as_char() == '!' && !is_among(name, &HARMLESS),
        _ => false,
    };
    let declares = |at: usize| match &tokens[at] {
        // `'static` is none.
        TokenTree::Ident(word) => {
            is_among(word, &DECLARING) && !(at > 0 && is(&tokens[at - 1], '\''))
        }
        TokenTree::Group(group) => {
            !declare_nothing(&group.stream().into_iter().collect::<Vec<_>>())
        }
        TokenTree::Punct(punct) => punct.as_char() == '#',
        TokenTree::Literal(_) => false,
    };
    !tokens.windows(3).any(is_macro) && !(0..tokens.len()).any(declares)
}

fn is_among(word: &Ident, words: &[&str]) -> bool {
    words.iter().any(|known| word == known)
}

fn is(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "use a::B;\n/// Doc.\n#[must_use] #[allow(x)]\npub fn f(b: &'static B, n: u32) -> Vec<B> { if !(n > 1) { info!(n); } vec![b.c()] }\n\
        impl From<u8> for B { const D: u8 = 1; fn from(d: u8) -> Self { Self { d } } }\n\
        pub(crate) mod e { fn g() { { 1 }; } }\nconst H: u8 = { 2 };\n";

    #[test]
    fn bodies_of_plain_functions() {
        for (from, to) in [
            ("n > 1", "n > 2"),
            ("b.c()", "b.d(), b.e()"),
            ("Self { d }", "Self { d: d + 1 }"),
            ("{ 1 };", "use x::y; y();"),
        ] {
            assert!(BEFORE.contains(from));
            assert!(alone_differ(BEFORE, &BEFORE.replace(from, to)), "{to}");
        }
        assert!(alone_differ(BEFORE, BEFORE));
        assert!(alone_differ("//! A.\nfn f() { 1 }", "//! A.\nfn f() { 2 }"));
        assert!(!alone_differ(
            "//! A.\nfn f() { 1 }",
            "//! B.\nfn f() { 1 }"
        ));
    }

    #[test]
    fn whatever_else_differs() {
        for (from, to) in [
            ("a::B", "a::C as B"),
            ("Doc", "Other doc"),
            ("n: u32", "n: u64"),
            ("Vec<B>", "Box<B>"),
            ("u8 = 1", "u8 = 2"),
            ("{ 2 }", "{ 3 }"),
            ("fn g() { { 1 }; }", "fn g() { { 1 }; } fn h() {}"),
            ("fn g() { { 1 }; }", ""),
            ("b.c()", "{ impl X for B {} b.c() }"),
            ("b.c()", "{ static X: u8 = 1; b.c() }"),
            ("b.c()", "{ declare!(X); b.c() }"),
            ("b.c()", "{ #[cfg(x)] b.c() }"),
            ("b.c()", "{ b.c()"),
        ] {
            assert!(BEFORE.contains(from));
            assert!(!alone_differ(BEFORE, &BEFORE.replace(from, to)), "{to}");
        }
    }

    #[test]
    fn bodies_that_others_see() {
        for head in [
            "const fn f()",
            "async fn f()",
            "fn f<T>(t: T)",
            "fn f(t: impl T)",
            "fn f() -> impl T",
            "fn f() -> A<",
            "fn f() -> A<u8, ",
            "#[inline] fn f()",
            "#[instrument] fn f()",
            "extern \"C\" fn f()",
            "trait T { fn f()",
            "impl<T> A<T> { fn f(self)",
            "#[async_trait] impl A { fn f(self)",
            "#[cfg(test)] mod tests { fn f()",
            "macro_rules! m { () =>",
            "m! { fn f()",
            "const F: u8 =",
        ] {
            let file = |body: u8| {
                format!(
                    "{head} {{ {body} }}{}",
                    " }".repeat(head.matches('{').count())
                )
            };
            assert!(file(1).parse::<TokenStream>().is_ok(), "{head}");
            assert!(!alone_differ(&file(1), &file(2)), "{head}");
        }
    }
}
