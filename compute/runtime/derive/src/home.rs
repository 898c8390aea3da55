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

/// Packages that have the traits, best first, and where in them.
const HOMES: [(&str, &str); 3] = [
    ("mammoth-runtime", "mammoth_runtime"),
    ("mammoth-mapreduce", "mammoth_mapreduce::runtime"),
    ("mammoth-rdd", "mammoth_rdd::runtime"),
];

/// Looks into the manifest of the package that is being compiled.
fn found() -> TokenStream {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let manifest = std::fs::read_to_string(Path::new(&folder).join("Cargo.toml")).unwrap_or_default();
    let path = format!("::{}", found_in(&package, &manifest));
    syn::parse_str::<syn::Path>(&path).map_or_else(|_| quote!(::mammoth_runtime), |path| quote!(#path))
}

/// The path without its leading colons.
fn found_in(package: &str, manifest: &str) -> String {
    for (home, path) in HOMES {
        if package == home {
            return path.to_owned();
        }
        if let Some(alias) = manifest_name(manifest, home) {
            let own = home.replace('-', "_");
            return path.replacen(&own, &alias.replace('-', "_"), 1);
        }
    }
    HOMES[0].1.to_owned()
}

/// What a manifest calls a package that it depends on: by its own name or, with `package = "…"`, by another. As Cargo's
/// manifests are written, not all that TOML allows.
fn manifest_name<'a>(manifest: &'a str, package: &str) -> Option<&'a str> {
    let mut table = "";
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']').trim();
            // `[dependencies.NAME]`
            if table.rsplit_once("dependencies.").is_some_and(|(_, name)| name == package) {
                return Some(&table[table.len() - package.len()..]);
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if table.ends_with("dependencies") {
            // `NAME = …`, `NAME.workspace = true`
            let name = key.split('.').next().unwrap_or_default().trim().trim_matches('"');
            if package_of(value).unwrap_or(name) == package {
                return Some(name);
            }
        } else if let Some((_, name)) = table.rsplit_once("dependencies.")
            && key.trim() == "package"
            && value.trim().trim_matches('"') == package
        {
            return Some(name);
        }
    }
    None
}

/// The package that an inline table names.
fn package_of(table: &str) -> Option<&str> {
    let after = table.split("package").skip(1);
    let value = after.filter_map(|rest| rest.trim_start().strip_prefix('=')).next()?;
    value.trim_start().strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::found_in;

    fn home(lines: &[&str]) -> String {
        found_in("mine", &lines.join("\n"))
    }

    #[test]
    fn dependencies_are_recognised_in_their_spellings() {
        for lines in [
            &["[dependencies]", "mammoth-rdd = \"1\""][..],
            &["[dependencies]", "serde = \"1\"", "mammoth-rdd.workspace = true"],
            &["[dependencies]", " mammoth-rdd={ path = \"../packages/mammoth-runtime\" }"],
            &["[dependencies.mammoth-rdd]", "path = \"x\""],
            &["[dev-dependencies]", "mammoth-rdd.path = \"x\""],
            &["[target.'cfg(unix)'.dependencies]", "mammoth-rdd = \"1\""],
        ] {
            assert_eq!(home(lines), "mammoth_rdd::runtime", "{lines:?}");
        }
        for line in ["mammoth-rdd-extra = \"1\"", "# mammoth-rdd = \"1\"", "name = \"mammoth-rdd\"", "[package]"] {
            assert_eq!(home(&["[dependencies]", line]), "mammoth_runtime", "{line}");
        }
        assert_eq!(home(&["[package]", "mammoth-rdd = 1"]), "mammoth_runtime", "no table of dependencies");
    }

    #[test]
    fn the_runtime_itself_goes_first_and_a_package_is_at_home_in_itself() {
        let both = ["[dependencies]", "mammoth-mapreduce = \"1\"", "mammoth-runtime = \"1\""];
        assert_eq!(home(&both), "mammoth_runtime");
        assert_eq!(found_in("mammoth-mapreduce", ""), "mammoth_mapreduce::runtime");
    }

    #[test]
    fn dependencies_may_go_by_another_name() {
        for lines in [
            &["[dependencies]", "my-jobs = { package = \"mammoth-mapreduce\", path = \"x\" }"][..],
            &["[dependencies.my-jobs]", "package = \"mammoth-mapreduce\""],
        ] {
            assert_eq!(home(lines), "my_jobs::runtime", "{lines:?}");
        }
        let other = ["[dependencies]", "mammoth-rdd = { package = \"something\" }"];
        assert_eq!(home(&other), "mammoth_runtime", "the name is another package's");
    }
}
