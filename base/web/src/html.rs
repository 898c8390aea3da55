//! HTML built from fixed markup and escaped values. Markup can only be a literal of the program, so a value that came from
//! a user, a path or a datanode can't become markup.

use std::fmt::{self, Display, Write};

/// A piece of finished markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A literal without values.
    #[must_use]
    pub fn literal(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    /// [`Html::fill`] on an empty piece.
    #[must_use]
    pub fn of(template: &'static str, values: &[&dyn Piece]) -> Self {
        let mut html = Self::new();
        html.fill(template, values);
        html
    }

    /// Appends a literal.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Appends a literal in which each `{}` is replaced by the next value, escaped unless it is [`Html`] itself. Attribute
    /// values in the template must stand in double quotes.
    pub fn fill(&mut self, template: &'static str, values: &[&dyn Piece]) -> &mut Self {
        let mut parts = template.split("{}");
        self.0.push_str(parts.next().unwrap_or_default());
        let mut values = values.iter();
        for part in parts {
            match values.next() {
                Some(value) => value.put(&mut self.0),
                None => debug_assert!(false, "the template has more places than values: {template}"),
            }
            self.0.push_str(part);
        }
        debug_assert!(values.next().is_none(), "the template has fewer places than values: {template}");
        self
    }

    /// Appends finished markup.
    pub fn add(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// The markup.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The markup.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A value that can stand in a template.
pub trait Piece {
    /// Appends itself in a form that is safe between tags and inside double quotes.
    fn put(&self, out: &mut String);
}

impl Piece for Html {
    fn put(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

macro_rules! escaped {
    ($($kind:ty),*) => {
        $(impl Piece for $kind {
            fn put(&self, out: &mut String) {
                // Writing to a String can't fail.
                let _ = write!(Escaping(out), "{self}");
            }
        })*
    };
}

escaped!(str, &str, String, char, u8, u16, u32, u64, usize, i32, i64, std::net::SocketAddr, std::net::IpAddr);

/// Any displayable value, escaped.
pub struct Shown<T>(pub T);

impl<T: Display> Piece for Shown<T> {
    fn put(&self, out: &mut String) {
        let _ = write!(Escaping(out), "{}", self.0);
    }
}

struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Control characters are not allowed in HTML; names of files may hold them.
                c if c.is_control() && c != '\n' && c != '\t' => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Percent-encodes a text for the value of a query parameter or one path segment; `/` stays, as it is allowed in both and
/// keeps addresses of files readable.
#[must_use]
pub fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_markup_is_not() {
        let inner = Html::literal("<b>");
        let html = Html::of("<a title=\"{}\">{}{}</a>", &[&"\"><script>'&", &inner, &7_u64]);
        assert_eq!(html.as_str(), "<a title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\"><b>7</a>");
        assert_eq!(Html::of("{}", &[&"a\u{1}b"]).as_str(), "a\u{fffd}b");
    }

    #[test]
    fn url_encoding_leaves_nothing_that_ends_a_parameter() {
        assert_eq!(url_encode("/a b/ü&c=#%+"), "/a%20b/%C3%BC%26c%3D%23%25%2B");
    }
}
