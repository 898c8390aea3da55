//! The check of the `Host` header.
//!
//! A web page of a stranger can make its own name resolve to one of our addresses, and the browser then lets its script talk
//! to us. Such a request still carries the stranger's name, so a name that is not ours is refused.

use crate::serve::ConnInfo;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// The names under which a door may be called, besides loopback names and the address that the connection came in on.
#[derive(Clone, Debug)]
pub struct AllowedHosts {
    names: BTreeSet<String>,
    setting: &'static str,
}

impl AllowedHosts {
    /// No further names; a refusal tells people to add theirs to `setting`.
    #[must_use]
    pub fn new(setting: &'static str) -> Self {
        Self { names: BTreeSet::new(), setting }
    }

    /// Allows these names or addresses too, without ports.
    #[must_use]
    pub fn with(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.names.extend(names.into_iter().map(|name| plain(name.as_ref())).filter(|name| !name.is_empty()));
        self
    }

    /// Whether a `Host` header may be served on a connection that came in on `local`.
    #[must_use]
    pub fn allows(&self, host: &str, local: Option<IpAddr>) -> bool {
        let Some(name) = host_name(host) else { return false };
        let name = plain(name);
        match name.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() || local.is_some_and(|local| local.to_canonical() == ip.to_canonical()) => true,
            _ => name == "localhost" || name.ends_with(".localhost") || self.names.contains(&name),
        }
    }

    /// Puts the check in front of every route of `router`.
    pub fn guard(self, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::new(self), check))
    }
}

/// Lower case, without the dot that ends an absolute name and without the brackets of an IPv6 address.
fn plain(name: &str) -> String {
    let name = name.trim();
    let name = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The part of a `Host` header before the port; `None` for a malformed one.
fn host_name(host: &str) -> Option<&str> {
    if host.starts_with('[') {
        let (name, port) = host.split_at(host.find(']')? + 1);
        return is_port_or_nothing(port).then_some(name);
    }
    let name = host.split(':').next()?;
    is_port_or_nothing(host.strip_prefix(name)?).then_some(name)
}

fn is_port_or_nothing(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

async fn check(State(allowed): State<Arc<AllowedHosts>>, request: Request, next: Next) -> Response {
    let local = request.extensions().get::<ConnInfo>().map(|conn| conn.local.ip());
    // An absolute request target outranks the header, so both must be ours.
    let target = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let header = request.headers().get(HOST).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let Some(host) = header.or_else(|| target.clone()) else {
        return (StatusCode::BAD_REQUEST, "The request has no Host header.\n").into_response();
    };
    for name in target.into_iter().chain([host]) {
        if !allowed.allows(&name, local) {
            let text = format!(
                "This daemon does not answer to the name \"{}\". If the name is right, add it to the setting {}.\n",
                name.chars().filter(|c| !c.is_control()).take(255).collect::<String>(),
                allowed.setting
            );
            return (StatusCode::FORBIDDEN, text).into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_pass_and_others_do_not() {
        let allowed = AllowedHosts::new("x.hosts").with(["Node-1.Example", "10.0.0.7", "[fd00::1]"]);
        let local = "192.168.1.5".parse().ok();
        for host in [
            "localhost",
            "LOCALHOST:9870",
            "a.localhost",
            "127.0.0.1:1",
            "127.8.8.8",
            "[::1]:9870",
            "node-1.example:9870",
            "node-1.example.",
            "10.0.0.7",
            "[fd00::1]:80",
            "192.168.1.5:9870",
        ] {
            assert!(allowed.allows(host, local), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.6",
            "[::1",
            "[::1]x",
            "localhost:80:80",
            "localhost:x",
            "node-1.example@evil",
        ] {
            assert!(!allowed.allows(host, local), "{host}");
        }
        assert!(allowed.allows("192.168.1.5", "::ffff:192.168.1.5".parse().ok()));
    }
}
