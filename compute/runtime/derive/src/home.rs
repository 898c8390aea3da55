//! Where the generated code finds the runtime: a program may know it only through one of the two SDKs.

use proc_macro2::TokenStream;
use quote::quote;
use std::path::Path;
use syn::{Attribute, Error};

/// Path of the crate whose module `key` has the traits.
pub(crate) fn path(attributes: &[Attribute]) -> Result<TokenStream, Error> {
    let mut given = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("key")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                let path: syn::Path = meta.value()?.parse()?;
                given = Some(quote!(#path));
                return Ok(());
            }
            Err(meta.error("expected `crate = path`"))
        })?;
    }
    Ok(given.unwrap_or_else(found))
}

/// Looks into the manifest of the package that is being compiled.
fn found() -> TokenStream {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let manifest = std::fs::read_to_string(Path::new(&folder).join("Cargo.toml")).unwrap_or_default();
    let uses = |name: &str| package == name || manifest.lines().any(|line| depends(line, name));
    if uses("mammoth-runtime") {
        return quote!(::mammoth_runtime);
    }
    if uses("mammoth-mapreduce") {
        return quote!(::mammoth_mapreduce::runtime);
    }
    if uses("mammoth-rdd") {
        return quote!(::mammoth_rdd::runtime);
    }
    quote!(::mammoth_runtime)
}

/// Whether a line of a manifest names this dependency: `name = …`, `name.workspace = …` or `[dependencies.name]`.
fn depends(line: &str, name: &str) -> bool {
    let line = line.trim();
    let rest = match line.strip_prefix('[') {
        Some(table) => table.rsplit_once("dependencies.").map(|(_, rest)| rest),
        None => Some(line),
    };
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix(name)) else { return false };
    rest.trim_start().starts_with(['=', '.', ']'])
}

#[cfg(test)]
mod tests {
    use super::depends;

    #[test]
    fn dependencies_are_recognised_in_their_three_spellings() {
        for line in
            ["mammoth-rdd = \"1\"", "mammoth-rdd.workspace = true", " mammoth-rdd={", "[dependencies.mammoth-rdd]"]
        {
            assert!(depends(line, "mammoth-rdd"), "{line}");
        }
        for line in ["mammoth-rdd-extra = \"1\"", "# mammoth-rdd = \"1\"", "name = \"mammoth-rdd\"", "[package]"] {
            assert!(!depends(line, "mammoth-rdd"), "{line}");
        }
    }
}
