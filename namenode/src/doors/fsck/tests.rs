//! Parameters; the texts are tested on real processes.

use super::*;
use axum::http::HeaderValue;

fn asked(pairs: &[(&str, &str)]) -> Asked {
    Asked::of(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

#[test]
fn parameters_are_hdfs_own() {
    let all = asked(&[
        ("ugi", "hdfs,supergroup"),
        ("files", "1"),
        ("blocks", "1"),
        ("replicadetails", "1"),
        ("path", "/a b"),
        ("startblockafter", "7"),
        ("unknown", ""),
    ]);
    assert_eq!((all.user.as_str(), all.path.as_str(), all.after), ("hdfs", "/a b", 7));
    assert!(all.files && all.blocks && all.details && !all.locations && !all.delete);
    let none = asked(&[]);
    assert_eq!((none.user.as_str(), none.path.as_str()), ("", "/"));
    assert_eq!(asked(&[("user.name", "a"), ("ugi", "b")]).user, "b");
    assert_eq!(asked(&[("ugi", "b"), ("user.name", "a")]).user, "b");
}

#[test]
fn browsers_are_told_by_their_headers() {
    let headers = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
    assert!(is_browser(&headers(header::USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64)")));
    assert!(is_browser(&headers(header::HeaderName::from_static("sec-fetch-site"), "cross-site")));
    assert!(!is_browser(&headers(header::USER_AGENT, "Java/17.0.1")));
    assert!(!is_browser(&HeaderMap::new()));
}
