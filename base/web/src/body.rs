//! Request bodies with a limit on size and on time, so that no client can hold memory or a task for ever.

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// How long a client may take to send the body of a control message.
pub const BODY_TIME: Duration = Duration::from_secs(30);

/// Why a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyRefusal {
    /// More bytes than allowed.
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// Not all of it came in time.
    TooSlow,
    /// The connection broke.
    Broken,
}

impl BodyRefusal {
    /// The HTTP status that says so.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

impl std::fmt::Display for BodyRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge { max } => write!(f, "the request body is larger than {max} bytes"),
            Self::TooSlow => write!(f, "the request body did not arrive within {} s", BODY_TIME.as_secs()),
            Self::Broken => f.write_str("the request body ended early"),
        }
    }
}

/// Reads a whole body of at most `max` bytes within [`BODY_TIME`]. A declared length over the limit is refused before a
/// byte is read.
///
/// # Errors
/// See [`BodyRefusal`].
pub async fn read_limited(body: Body, max: usize) -> Result<Vec<u8>, BodyRefusal> {
    use axum::body::HttpBody;
    if usize::try_from(body.size_hint().lower()).map_or(true, |lower| lower > max) {
        return Err(BodyRefusal::TooLarge { max });
    }
    let whole = tokio::time::timeout(BODY_TIME, Limited::new(body, max).collect()).await;
    match whole {
        Err(_) => Err(BodyRefusal::TooSlow),
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyRefusal::TooLarge { max }),
        Ok(Err(_)) => Err(BodyRefusal::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_over_the_limit_are_refused() {
        assert_eq!(read_limited(Body::from("12345"), 5).await, Ok(b"12345".to_vec()));
        assert_eq!(read_limited(Body::from("123456"), 5).await, Err(BodyRefusal::TooLarge { max: 5 }));
    }
}
