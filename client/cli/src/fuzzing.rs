//! The parsers of what users type, for the fuzz targets: nothing else calls them by these names.

use crate::glob::{self, BadPattern, Lister, Pattern};
use crate::paths::{Typed, absolute};

/// Takes a typed path apart and makes it absolute; that does not change it a second time.
pub fn typed_path(text: &str) {
    let typed = Typed::parse(text);
    let path = absolute(typed.path, "/user/ann");
    assert_eq!(absolute(&path, "/user/ann"), path);
    let _ = typed.show(&path, "/user/ann");
}

/// A file system with one name in each folder.
struct One<'a>(&'a str);

impl Lister for One<'_> {
    type Entry = ();
    type Error = BadPattern;

    fn entry(&mut self, path: &str) -> Result<Option<()>, BadPattern> {
        Ok(path.ends_with(self.0).then_some(()))
    }

    fn entries(&mut self, _: &str) -> Result<Vec<(String, ())>, BadPattern> {
        Ok(vec![(self.0.to_owned(), ())])
    }

    fn is_folder((): &()) -> bool {
        true
    }
}

/// Compiles a pattern and matches a name; a text without meaning matches itself alone.
pub fn glob(pattern: &str, name: &str) {
    if let Ok(compiled) = Pattern::compile(pattern) {
        let matches = compiled.matches(name);
        assert!(compiled.has_wildcard() || matches == (glob::unquote(pattern) == name));
    }
    let _ = glob::expand(&mut One(name), pattern, |path| absolute(path, "/user/ann"));
}
