//! Files that pages refer to, compiled in, and revalidated by their ETag.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Where the stylesheet is.
pub const STYLE: &str = "/assets/style.css";
/// Where the icon is.
pub const ICON: &str = "/assets/favicon.svg";

struct Asset {
    kind: &'static str,
    bytes: &'static [u8],
    hash: u64,
}

static STYLESHEET: Asset = asset("text/css; charset=utf-8", include_bytes!("../assets/style.css"));
static FAVICON: Asset = asset("image/svg+xml", include_bytes!("../assets/favicon.svg"));

const fn asset(kind: &'static str, bytes: &'static [u8]) -> Asset {
    Asset { kind, bytes, hash: fnv1a(bytes) }
}

/// FNV-1a: tells one build's file from another's, nothing more.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        rest = tail;
    }
    hash
}

/// The routes of all assets.
pub fn router() -> Router {
    Router::new()
        .route(STYLE, get(|headers: HeaderMap| async move { answer(&STYLESHEET, &headers) }))
        .route(ICON, get(|headers: HeaderMap| async move { answer(&FAVICON, &headers) }))
        .route("/favicon.ico", get(|headers: HeaderMap| async move { answer(&FAVICON, &headers) }))
}

fn answer(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let tag = format!("\"{:016x}\"", asset.hash);
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let fresh = known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let common = [(ETAG, tag.as_str()), (CACHE_CONTROL, "no-cache")];
    if fresh {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let content = [(CONTENT_TYPE, asset.kind), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (common, content, asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_saves_the_body() {
        let first = answer(&STYLESHEET, &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers().get(ETAG).expect("a tag").clone();
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, tag);
        assert_eq!(answer(&STYLESHEET, &headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer(&FAVICON, &headers).status(), StatusCode::OK);
    }
}
