//! JSON for programs: `/api/v1/status`, `datanodes`, `files?path=`, `blocks?path=`. Fields are only ever added.

use super::Pages;
use super::overview::Overview;
use axum::Json;
use axum::extract::{Query as UrlQuery, State};
use mammoth_namenode_core::api::{Answer, DatanodeKind, DatanodeStatus, FileBlocks, FileStatus, Health, Query};
use mammoth_protocol::internal::ClusterIdentity;
use mammoth_protocol::{DfsPath, Term};
use mammoth_web::HttpError;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Answer of `/api/v1/status`.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    uptime_ms: u64,
    identity: ClusterIdentity,
    term: Term,
    /// The start page's word and sentence about health.
    state: &'static str,
    summary: String,
    details: Vec<String>,
    health: Health,
    datanodes: Vec<DatanodeStatus>,
    unreadable_files: Vec<DfsPath>,
    figures: crate::metrics::Figures,
}

/// Answer of `/api/v1/datanodes`.
#[derive(Debug, Serialize)]
pub(super) struct Datanodes {
    datanodes: Vec<DatanodeStatus>,
}

/// Answer of `/api/v1/files`.
#[derive(Debug, Serialize)]
pub(super) struct Files {
    path: DfsPath,
    status: FileStatus,
    /// Of a folder; a file lists nothing.
    entries: Vec<FileStatus>,
    /// Entries after the last of this page: ask again with `after` = the last name.
    remaining: u32,
}

/// Answer of `/api/v1/blocks`.
#[derive(Debug, Serialize)]
pub(super) struct Blocks {
    path: DfsPath,
    status: FileStatus,
    blocks: FileBlocks,
}

/// Parameters of the calls about one path.
#[derive(Debug, Deserialize)]
pub(super) struct Where {
    /// The path, `/` if absent.
    #[serde(default)]
    pub(super) path: String,
    /// The page of a folder begins after this name.
    #[serde(default)]
    pub(super) after: String,
}

impl Where {
    /// The path.
    ///
    /// # Errors
    /// A text that is no path.
    pub(super) fn path(&self) -> Result<DfsPath, HttpError> {
        if self.path.is_empty() {
            return Ok(DfsPath::root());
        }
        DfsPath::parse(&self.path).map_err(|bad| HttpError::bad_request(bad.to_string()))
    }
}

/// `/api/v1/status`.
pub(super) async fn status(State(pages): State<Arc<Pages>>) -> Result<Json<Status>, HttpError> {
    let Overview { identity, term, health, nodes, unreadable, verdict, figures } = pages.overview().await?;
    Ok(Json(Status {
        version: pages.version(),
        uptime_ms: pages.uptime_ms(),
        identity,
        term,
        state: verdict.label,
        summary: verdict.sentence,
        details: verdict.more,
        health,
        datanodes: nodes,
        unreadable_files: unreadable,
        figures,
    }))
}

/// `/api/v1/datanodes`.
pub(super) async fn datanodes(State(pages): State<Arc<Pages>>) -> Result<Json<Datanodes>, HttpError> {
    match pages.ask_internally(Query::Datanodes { kind: DatanodeKind::All }).await? {
        Answer::Datanodes(datanodes) => Ok(Json(Datanodes { datanodes })),
        other => Err(pages.odd(&other)),
    }
}

/// `/api/v1/files`.
pub(super) async fn files(
    State(pages): State<Arc<Pages>>,
    UrlQuery(query): UrlQuery<Where>,
) -> Result<Json<Files>, HttpError> {
    let path = query.path()?;
    let status = pages.existing(&path).await?;
    if !status.is_dir {
        return Ok(Json(Files { path, status, entries: Vec::new(), remaining: 0 }));
    }
    let listing = pages.listing(&path, &query.after).await?;
    Ok(Json(Files { path, status, entries: listing.entries, remaining: listing.remaining }))
}

/// `/api/v1/blocks`.
pub(super) async fn blocks(
    State(pages): State<Arc<Pages>>,
    UrlQuery(query): UrlQuery<Where>,
) -> Result<Json<Blocks>, HttpError> {
    let path = query.path()?;
    let status = pages.existing(&path).await?;
    let blocks = pages.blocks(&path).await?;
    Ok(Json(Blocks { path, status, blocks }))
}
