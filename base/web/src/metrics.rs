//! The text form of metrics that Prometheus scrapes (version 0.0.4 of its exposition format).

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::fmt::{Display, Write};

/// Collects families of samples; each family's samples must follow each other.
#[derive(Debug, Default)]
pub struct MetricsText {
    out: String,
}

impl MetricsText {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A number that only grows while the process runs; the name ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: impl Display) -> &mut Self {
        self.family(name, help, "counter").sample(name, &[], value)
    }

    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) -> &mut Self {
        self.family(name, help, "gauge").sample(name, &[], value)
    }

    /// Opens a family whose samples differ by labels.
    pub fn family(&mut self, name: &str, help: &str, kind: &str) -> &mut Self {
        let _ = writeln!(self.out, "# HELP {name} {}", escaped(help, false));
        let _ = writeln!(self.out, "# TYPE {name} {kind}");
        self
    }

    /// One sample of the family opened last.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.out.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            self.out.push(if i == 0 { '{' } else { ',' });
            let _ = write!(self.out, "{label}=\"{}\"", escaped(text, true));
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
        self
    }

    /// The text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.out
    }
}

impl IntoResponse for MetricsText {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], self.out).into_response()
    }
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_help_type_and_escaped_labels() {
        let mut text = MetricsText::new();
        text.gauge("a_bytes", "Bytes\nof a.", 7_u64);
        text.family("b_total", "B.", "counter").sample("b_total", &[("kind", "x\"y\\"), ("l", "m")], 2_u64);
        assert_eq!(
            text.into_string(),
            "# HELP a_bytes Bytes\\nof a.\n# TYPE a_bytes gauge\na_bytes 7\n\
             # HELP b_total B.\n# TYPE b_total counter\nb_total{kind=\"x\\\"y\\\\\",l=\"m\"} 2\n"
        );
    }
}
