//! A refusal over HTTP: the status and the `RemoteException` body that WebHDFS clients parse.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mammoth_protocol::{ErrorCode, FsError};
use serde::Serialize;

/// A refusal on its way to an HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    code: ErrorCode,
    message: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "RemoteException")]
    remote: Remote<'a>,
}

#[derive(Serialize)]
struct Remote<'a> {
    exception: &'a str,
    #[serde(rename = "javaClassName")]
    class: &'a str,
    message: &'a str,
}

impl HttpError {
    /// A bad request: a parameter that is missing or makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        FsError::new(ErrorCode::IllegalArgument, message).into()
    }

    /// The refusal's HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Its kind.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// One sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<FsError> for HttpError {
    fn from(error: FsError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let class = self.code.java_class();
        let exception = class.rsplit(['.', '$']).next().unwrap_or(class);
        let remote = Remote { exception, class, message: &self.message };
        (self.status(), Json(Body { remote })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_names_the_class_in_both_forms() {
        let error = HttpError::from(FsError::new(ErrorCode::PathComponentTooLong, "too long"));
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let body = Body {
            remote: Remote { exception: "FileNotFoundException", class: "java.io.FileNotFoundException", message: "m" },
        };
        assert_eq!(
            serde_json::to_string(&body).expect("plain data"),
            "{\"RemoteException\":{\"exception\":\"FileNotFoundException\",\
             \"javaClassName\":\"java.io.FileNotFoundException\",\"message\":\"m\"}}"
        );
    }
}
