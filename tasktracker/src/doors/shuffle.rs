//! The shuffle: one partition's segment of one output, as it lies in the data file.
//!
//! Whose process wrote the output does not matter: it lies in the tracker's folder and is served from there.

use super::{Doors, file};
use crate::folder::Folder;
use crate::names::Owner;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::shuffle::{DATA_SUFFIX, INDEX_SUFFIX, is_output_name};
use serde::Deserialize;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A segment up to this length is read at once with its index.
const SMALL: u64 = 256 * 1024;

#[derive(Deserialize)]
pub(super) struct Params {
    #[serde(default)]
    generation: String,
}

/// Where a segment lies, and its bytes if they are few.
struct Found {
    file: File,
    offset: u64,
    len: u64,
    small: Option<bytes::Bytes>,
}

type Refusal = (StatusCode, String);

pub(super) async fn segment(
    State(doors): State<Arc<Doors>>,
    Path((owner, output, partition)): Path<(String, String, String)>,
    Query(params): Query<Params>,
) -> Response {
    match find(&doors, &owner, &output, &partition, &params.generation).await {
        Ok(found) => {
            doors.shuffle_segments.fetch_add(1, Ordering::Relaxed);
            doors.shuffle_bytes.fetch_add(found.len, Ordering::Relaxed);
            let headers =
                [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_LENGTH, found.len.to_string())];
            let body = match found.small {
                Some(bytes) => Body::from(bytes),
                None => file::body(found.file, found.offset, found.len),
            };
            (headers, body).into_response()
        }
        Err((status, reason)) => {
            doors.shuffle_refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(owner, output, partition, %status, reason, "segment refused");
            (status, format!("{reason}\n")).into_response()
        }
    }
}

async fn find(
    doors: &Arc<Doors>,
    owner: &str,
    output: &str,
    partition: &str,
    generation: &str,
) -> Result<Found, Refusal> {
    let absent = |what: String| (StatusCode::NOT_FOUND, what);
    let wanted: Uuid = generation
        .parse()
        .map_err(|_| (StatusCode::BAD_REQUEST, "the parameter generation must be a UUID".to_owned()))?;
    let present = doors.folder.generation;
    if wanted != present {
        let reason = format!("the outputs of generation {wanted} are gone; this is generation {present}");
        return Err((StatusCode::GONE, reason));
    }
    let owner: Owner = owner.parse().map_err(|error| absent(format!("{error}")))?;
    if !is_output_name(output) {
        return Err(absent("not the name of an output".to_owned()));
    }
    let digits = partition.bytes().all(|byte| byte.is_ascii_digit());
    let partition = partition.parse().ok().filter(|_| digits).ok_or_else(|| absent("not a partition".to_owned()))?;
    let name = format!("{owner} {output}");
    let (folder, of) = (Arc::clone(&doors.folder), output.to_owned());
    let opened = tokio::task::spawn_blocking(move || open(&folder, owner, &of, partition)).await;
    let failed = |reason: String| (StatusCode::INTERNAL_SERVER_ERROR, reason);
    match opened.map_err(|error| failed(error.to_string()))? {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(absent(format!("{name} has no partition {partition} here"))),
        Err(reason) => {
            tracing::warn!(output = name, reason, "an output cannot be served");
            Err(failed(format!("{name}: {reason}")))
        }
    }
}

/// `None` if there is no such output or partition.
fn open(folder: &Folder, owner: Owner, output: &str, partition: usize) -> Result<Option<Found>, String> {
    let dir = folder.shuffle(owner);
    let with = |suffix: &str| dir.join(format!("{output}{suffix}"));
    let text = |error: std::io::Error| error.to_string();
    let Some(index) = folder.indexes.get(owner, output, &with(INDEX_SUFFIX))? else { return Ok(None) };
    let file = match File::open(with(DATA_SUFFIX)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(text)?,
    };
    let Some(segment) = index.segments.get(partition) else { return Ok(None) };
    let there = file.metadata().map_err(text)?.len();
    if there < index.data_len() {
        return Err(format!("its data file has {there} bytes, its index says {}", index.data_len()));
    }
    let (offset, len) = (segment.offset, segment.len);
    let small = if len <= SMALL { Some(file::read(&file, offset, len).map_err(text)?) } else { None };
    Ok(Some(Found { file, offset, len, small }))
}

/// For [`crate::fuzzing`].
pub(super) fn fuzz_query(uri: &axum::http::Uri) {
    let _ = Query::<Params>::try_from_uri(uri);
}
