//! The door for tasktrackers, on a listener of its own so that no flood of clients makes them look dead.
//!
//! The jobtracker never calls a tasktracker: what it wants done rides home on the reply to a poll.

use crate::driver::DriverHandle;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use mammoth_protocol::internal::InternalRefusal;
use mammoth_protocol::jobs::tracker::{PollRequest, RegisterReply, RegisterRequest, routes};
use mammoth_protocol::limits::INTERNAL_BINARY_MAX;
use mammoth_protocol::{ErrorCode, FsError};
use mammoth_web::AllowedHosts;
use mammoth_web::body::read_limited;
use serde::de::DeserializeOwned;

/// A refusal on its way to a tasktracker.
struct Refused(StatusCode, InternalRefusal);

impl From<FsError> for Refused {
    fn from(error: FsError) -> Self {
        let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self(status, InternalRefusal { code: error.code, message: error.message })
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

/// The routes, guarded by the check of names.
pub fn router(driver: DriverHandle, hosts: AllowedHosts) -> Router {
    let routes =
        Router::new().route(routes::REGISTER, post(register)).route(routes::POLL, post(poll)).with_state(driver);
    hosts.guard(routes)
}

async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let bytes = read_limited(body, INTERNAL_BINARY_MAX).await.map_err(|refusal| {
        let code = ErrorCode::IllegalArgument;
        Refused(refusal.status(), InternalRefusal { code, message: refusal.to_string() })
    })?;
    let malformed = |error: serde_json::Error| {
        Refused::from(FsError::new(ErrorCode::IllegalArgument, format!("malformed JSON message: {error}")))
    };
    serde_json::from_slice(&bytes).map_err(malformed)
}

async fn register(State(driver): State<DriverHandle>, body: Body) -> Result<Json<RegisterReply>, Refused> {
    let request: RegisterRequest = json(body).await?;
    Ok(Json(driver.register(request).await?))
}

async fn poll(State(driver): State<DriverHandle>, body: Body) -> Result<Response, Refused> {
    let request: PollRequest = json(body).await?;
    match driver.poll(request).await? {
        Some(reply) => Ok(Json(reply).into_response()),
        None => {
            let message = "this registration is not the present one; register again".to_owned();
            Err(Refused(StatusCode::CONFLICT, InternalRefusal { code: ErrorCode::UnregisteredNode, message }))
        }
    }
}
