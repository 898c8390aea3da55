//! The door for datanodes, on a listener of its own so that no flood of clients delays a heartbeat: registration, heartbeats,
//! block reports. Small messages are JSON, reports are postcard.
//!
//! The namenode never calls a datanode: what it wants done rides home on the reply to a heartbeat.

use crate::driver::{DriverHandle, Reported};
use crate::topology::Topology;
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mammoth_namenode_core::api::{Command, ReplicaOn, Report};
use mammoth_protocol::internal::{
    BadReplicas, ClusterIdentity, CommitBlockSync, DnCommand, FullReportSlice, HeartbeatReply, HeartbeatRequest,
    IncrementalReport, InternalRefusal, RegisterReply, RegisterRequest, ReportReply, routes,
};
use mammoth_protocol::limits::{INCREMENTAL_EVENTS_MAX, INTERNAL_BINARY_MAX, INTERNAL_JSON_MAX, REPORT_SLICE_REPLICAS};
use mammoth_protocol::{Auth, Caller, ErrorCode, FsError, StorageId, Term};
use mammoth_web::AllowedHosts;
use mammoth_web::body::read_limited;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The door.
pub struct DatanodeDoor {
    /// Who decides.
    pub driver: DriverHandle,
    /// Which file system this is.
    pub identity: ClusterIdentity,
    /// Racks.
    pub topology: Topology,
    /// Reign of this namenode.
    pub term: Term,
}

type Door = State<Arc<DatanodeDoor>>;

/// A refusal on its way to a datanode.
struct Refused {
    status: StatusCode,
    refusal: InternalRefusal,
}

impl From<FsError> for Refused {
    fn from(error: FsError) -> Self {
        let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self { status, refusal: InternalRefusal { code: error.code, message: error.message } }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.refusal)).into_response()
    }
}

fn malformed(message: String) -> Refused {
    FsError::new(ErrorCode::IllegalArgument, message).into()
}

impl DatanodeDoor {
    /// The routes, guarded by the check of names.
    pub fn router(self, hosts: AllowedHosts) -> Router {
        let routes = Router::new()
            .route(routes::IDENTITY, get(identity))
            .route(routes::REGISTER, post(register))
            .route(routes::HEARTBEAT, post(heartbeat))
            .route(routes::INCREMENTAL, post(incremental))
            .route(routes::FULL, post(full))
            .route(routes::BAD, post(bad))
            .route(routes::COMMIT_SYNC, post(commit_sync))
            .with_state(Arc::new(self));
        hosts.guard(routes)
    }

    async fn report(&self, report: Report) -> Result<Json<ReportReply>, Refused> {
        let Reported { register, resync, .. } = self.driver.report(report).await?;
        Ok(Json(self.reply(register, resync)))
    }

    fn reply(&self, register: bool, resync: Vec<StorageId>) -> ReportReply {
        ReportReply { cluster_id: self.identity.cluster_id.clone(), term: self.term, register, resync }
    }
}

async fn whole(body: Body, max: usize) -> Result<Vec<u8>, Refused> {
    read_limited(body, max).await.map_err(|refusal| Refused {
        status: refusal.status(),
        refusal: InternalRefusal { code: ErrorCode::IllegalArgument, message: refusal.to_string() },
    })
}

async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let bytes = whole(body, INTERNAL_JSON_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|error| malformed(format!("malformed JSON message: {error}")))
}

async fn binary<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let bytes = whole(body, INTERNAL_BINARY_MAX).await?;
    postcard::from_bytes(&bytes).map_err(|error| malformed(format!("malformed binary message: {error}")))
}

async fn identity(State(door): Door) -> Json<ClusterIdentity> {
    Json(door.identity.clone())
}

async fn register(State(door): Door, body: Body) -> Result<Json<RegisterReply>, Refused> {
    let mut request: RegisterRequest = json(body).await?;
    let cluster_id = door.identity.cluster_id.clone();
    if request.cluster_id != cluster_id {
        let message = format!(
            "datanode {} belongs to cluster {}, this namenode serves {cluster_id}",
            request.datanode, request.cluster_id
        );
        return Err(malformed(message));
    }
    request.rack = door.topology.rack_of(&request.addr, &request.rack).await;
    let epoch = door.driver.register(request).await?;
    Ok(Json(RegisterReply { cluster_id, term: door.term, epoch }))
}

async fn heartbeat(State(door): Door, body: Body) -> Result<Json<HeartbeatReply>, Refused> {
    let request: HeartbeatRequest = json(body).await?;
    let Reported { orders, register, resync, seq } = door.driver.report(Report::Heartbeat(request)).await?;
    let mut commands = orders;
    if register {
        commands = vec![DnCommand::Register];
    } else if !resync.is_empty() {
        commands.push(DnCommand::FullReport { storages: resync });
    }
    Ok(Json(HeartbeatReply { cluster_id: door.identity.cluster_id.clone(), term: door.term, seq, commands }))
}

async fn incremental(State(door): Door, body: Body) -> Result<Json<ReportReply>, Refused> {
    let report: IncrementalReport = binary(body).await?;
    let events: usize = report.storages.iter().map(|storage| storage.events.len()).sum();
    if events > INCREMENTAL_EVENTS_MAX {
        return Err(malformed(format!("{events} events in one report, {INCREMENTAL_EVENTS_MAX} are allowed")));
    }
    door.report(Report::Incremental(report)).await
}

async fn full(State(door): Door, body: Body) -> Result<Json<ReportReply>, Refused> {
    let slice: FullReportSlice = binary(body).await?;
    let replicas = slice.replicas.len();
    if replicas > REPORT_SLICE_REPLICAS {
        return Err(malformed(format!("{replicas} replicas in one slice, {REPORT_SLICE_REPLICAS} are allowed")));
    }
    door.report(Report::Full(slice)).await
}

async fn bad(State(door): Door, body: Body) -> Result<Json<ReportReply>, Refused> {
    let found: BadReplicas = json(body).await?;
    let replicas = found.replicas.into_iter().map(|(storage, block)| (ReplicaOn::Storage(storage), block)).collect();
    door.report(Report::Bad { replicas }).await
}

async fn commit_sync(State(door): Door, body: Body) -> Result<Json<ReportReply>, Refused> {
    let commit: CommitBlockSync = json(body).await?;
    let caller = Caller { auth: Auth::Internal, ..Caller::default() };
    door.driver.command(caller, Command::CommitBlockSync(commit)).await?;
    Ok(Json(door.reply(false, Vec::new())))
}
