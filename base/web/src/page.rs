//! The shell of every page: head, top bar, navigation, footer; and the small parts that pages share.

use crate::assets::{ICON, STYLE};
use crate::html::{Html, Piece};
use crate::text;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

/// Only our own stylesheet and icon, no script at all, no frame around us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

const MARK: &str = "<svg viewBox=\"0 0 32 32\" aria-hidden=\"true\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"3\" \
stroke-linecap=\"round\" stroke-linejoin=\"round\"><path d=\"M4 26V15a8 8 0 0 1 8-8h2a7 7 0 0 1 11 5.5V20c0 2.5 1 4 3.5 4\
M11 26v-6h6v6M21 17c1 5-1.5 8-5 8\"/></svg>";

/// What all pages of one daemon share.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The kind of daemon: `Namenode`.
    pub daemon: &'static str,
    /// Under which address it is known.
    pub place: String,
    /// Label and address of each entry of the navigation.
    pub nav: &'static [(&'static str, &'static str)],
    /// Version of the program.
    pub version: &'static str,
}

/// One page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Comes first in the title of the window.
    pub title: String,
    /// The entry of the navigation that it belongs to.
    pub nav: &'static str,
    /// Load again after so many seconds.
    pub refresh_s: Option<u32>,
    /// HTTP status.
    pub status: StatusCode,
    /// The content.
    pub body: Html,
}

impl Page {
    /// A page that was found.
    pub fn new(title: impl Into<String>, nav: &'static str, body: Html) -> Self {
        Self { title: title.into(), nav, refresh_s: None, status: StatusCode::OK, body }
    }

    /// A page that says in words why there is nothing to see.
    pub fn problem(status: StatusCode, nav: &'static str, heading: &str, explanation: &str) -> Self {
        let body = Html::of(
            "<section class=\"verdict warn\"><p class=\"tag\">{}</p><h1 class=\"path\">{}</h1><p class=\"path\">{}</p></section>",
            &[&status.as_u16(), &heading, &explanation],
        );
        Self { title: heading.to_owned(), nav, refresh_s: None, status, body }
    }

    /// Loads itself again every so many seconds.
    #[must_use]
    pub fn refreshed(mut self, seconds: u32) -> Self {
        self.refresh_s = Some(seconds);
        self
    }
}

impl Shell {
    /// The whole document.
    #[must_use]
    pub fn document(&self, page: &Page, uptime_ms: u64) -> Html {
        let mut html = Html::literal("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.raw("<meta name=\"color-scheme\" content=\"light dark\">");
        if let Some(seconds) = page.refresh_s {
            html.fill("<meta http-equiv=\"refresh\" content=\"{}\">", &[&seconds]);
        }
        html.fill("<title>{} · {} · Mammoth</title>", &[&page.title, &self.daemon]);
        html.fill(
            "<link rel=\"stylesheet\" href=\"{}\"><link rel=\"icon\" href=\"{}\"></head><body>",
            &[&STYLE, &ICON],
        );
        html.raw("<a class=\"skip\" href=\"#content\">Skip to the content</a><header class=\"top\"><div>");
        html.raw("<a class=\"brand\" href=\"/\">").raw(MARK);
        html.fill("Mammoth <span>{}</span></a><nav aria-label=\"Pages\"><ul>", &[&self.daemon]);
        for (label, address) in self.nav {
            let current = Html::literal(if *address == page.nav { " aria-current=\"page\"" } else { "" });
            html.fill("<li><a href=\"{}\"{}>{}</a></li>", &[address, &current, label]);
        }
        html.fill("</ul></nav><span class=\"place\">{}</span></div></header>", &[&self.place]);
        html.fill("<main id=\"content\">{}</main>", &[&page.body]);
        let uptime = text::duration_ms(uptime_ms);
        html.raw("<footer class=\"foot\"><div>");
        html.fill("<span>Mammoth {}</span><span>up for {}</span>", &[&self.version, &uptime]);
        html.raw("<span><a href=\"/metrics\">Metrics</a></span></div></footer></body></html>\n");
        html
    }

    /// The document as a response.
    #[must_use]
    pub fn respond(&self, page: &Page, uptime_ms: u64) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "same-origin"),
        ];
        (page.status, headers, self.document(page, uptime_ms).into_string()).into_response()
    }
}

/// The mood of a state; the label beside it says the same in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// As it should be.
    Ok,
    /// Something takes its time, on purpose.
    Wait,
    /// Works, but with less than the wanted safety.
    Warn,
    /// Something does not work.
    Bad,
    /// Says nothing.
    Off,
}

impl Tone {
    /// The class of the stylesheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Wait => "wait",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Off => "off",
        }
    }
}

/// A state in words, with its colour.
#[must_use]
pub fn tag(tone: Tone, label: &str) -> Html {
    Html::of("<span class=\"tag {}\">{}</span>", &[&tone.class(), &label])
}

/// A bar that shows which part of `whole` is used, and by what else. `label` says it in words.
#[must_use]
pub fn fill_bar(used: u64, other: u64, whole: u64, label: &str) -> Html {
    let share = |part: u64| {
        let share = if whole == 0 { 0 } else { (u128::from(part) * 1000 / u128::from(whole)).min(1000) };
        // A sliver stays visible.
        if part > 0 { share.max(5) } else { share }
    };
    let (used, other) = (share(used).to_string(), share(other).to_string());
    Html::of(
        "<svg class=\"fill\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\
         <rect class=\"used\" width=\"{}\" height=\"10\"/>\
         <rect class=\"other\" x=\"{}\" width=\"{}\" height=\"10\"/></svg>",
        &[&label, &used, &used, &other],
    )
}

/// A number with its name, for a row of tiles.
#[must_use]
pub fn tile(tone: Tone, name: &str, value: &dyn Piece, note: &str) -> Html {
    let mut html = Html::of("<div class=\"{}\"><dt>{}</dt><dd>{}", &[&tone.class(), &name, value]);
    if !note.is_empty() {
        html.fill("<small>{}</small>", &[&note]);
    }
    html.raw("</dd></div>");
    html
}

/// A wall time for people, with the exact one behind it.
#[must_use]
pub fn moment(wall_ms: u64) -> Html {
    if wall_ms == 0 {
        return Html::literal("–");
    }
    Html::of("<time datetime=\"{}\">{}</time>", &[&text::utc_time(wall_ms), &text::local_time(wall_ms)])
}

impl Piece for Tone {
    fn put(&self, out: &mut String) {
        out.push_str(self.class());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Shell = Shell {
        daemon: "Namenode",
        place: String::new(),
        nav: &[("Overview", "/"), ("Files", "/explorer")],
        version: "1",
    };

    #[test]
    fn shell_marks_the_current_entry_and_escapes_the_title() {
        let page = Page::new("<x>", "/explorer", Html::literal("<p>body</p>")).refreshed(5);
        let document = SHELL.document(&page, 61_000).into_string();
        assert!(document.contains("<title>&lt;x&gt; · Namenode · Mammoth</title>"), "{document}");
        assert!(document.contains("<a href=\"/explorer\" aria-current=\"page\">Files</a>"));
        assert!(document.contains("<a href=\"/\">Overview</a>"));
        assert!(document.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
        assert!(document.contains("<main id=\"content\"><p>body</p></main>"));
        assert!(document.contains("up for 1 min 1 s") || document.contains("up for 1 min"));
        assert!(
            !document.contains("http://") && !document.contains("<script"),
            "no page loads anything from elsewhere"
        );
    }

    #[test]
    fn bars_stay_within_their_frame() {
        for (used, other, whole) in [(0, 0, 0), (5, 5, 0), (u64::MAX, 1, 3), (1, 0, u64::MAX)] {
            let bar = fill_bar(used, other, whole, "x").into_string();
            let widths = bar.split("width=\"").skip(1).filter_map(|rest| rest.split('"').next()?.parse::<u32>().ok());
            assert!(widths.into_iter().all(|width| width <= 1000), "{bar}");
        }
    }
}
