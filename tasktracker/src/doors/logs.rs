//! What attempts and executors have printed, as plain text.

use super::{Doors, file};
use crate::names::ChildId;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use mammoth_protocol::jobs::{AppId, AttemptId, ExecutorId};
use serde::Deserialize;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// How far from the end the wanted lines are looked for.
const TAIL_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
pub(super) struct Tail {
    /// Only so many lines at the end.
    tail: Option<usize>,
}

#[derive(Deserialize)]
pub(super) struct TaskLog {
    #[serde(default)]
    attemptid: String,
    /// `stdout` or `stderr`; both if absent.
    filter: Option<String>,
}

pub(super) async fn of_attempt(
    State(doors): State<Arc<Doors>>,
    Path((attempt, stream)): Path<(String, String)>,
    Query(params): Query<Tail>,
) -> Response {
    let child = attempt.parse::<AttemptId>().ok().map(ChildId::Attempt);
    one(&doors, child, &stream, params.tail).await
}

pub(super) async fn of_executor(
    State(doors): State<Arc<Doors>>,
    Path((app, executor, stream)): Path<(String, String, String)>,
    Query(params): Query<Tail>,
) -> Response {
    let number = executor.parse::<u32>().ok().filter(|number| number.to_string() == executor).map(ExecutorId);
    let child = app.parse::<AppId>().ok().zip(number).map(|(app, number)| ChildId::Executor(app, number));
    one(&doors, child, &stream, params.tail).await
}

/// Both streams of an attempt one after the other, as Hadoop's tasktrackers give them.
pub(super) async fn tasklog(State(doors): State<Arc<Doors>>, Query(params): Query<TaskLog>) -> Response {
    let Ok(attempt) = params.attemptid.parse::<AttemptId>() else { return absent() };
    let child = ChildId::Attempt(attempt);
    if let Some(filter) = &params.filter {
        return one(&doors, Some(child), filter, None).await;
    }
    let folder = doors.folder.logs(child);
    let read = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        for name in ["stdout", "stderr"] {
            let log = File::open(folder.join(name)).and_then(|file| last_part(&file, super::logs::WHOLE_MAX))?;
            text.extend_from_slice(format!("{name} logs\n").as_bytes());
            text.extend_from_slice(&log);
            text.extend_from_slice(b"\n");
        }
        io::Result::Ok(text)
    });
    match read.await {
        Ok(Ok(text)) => (plain(), text).into_response(),
        _ => absent(),
    }
}

/// Bytes of a log that are given whole; more than a log can have.
const WHOLE_MAX: u64 = 2 * crate::child::log::LOG_BYTES_MAX;

async fn one(doors: &Doors, child: Option<ChildId>, stream: &str, tail: Option<usize>) -> Response {
    let (Some(child), "stdout" | "stderr") = (child, stream) else { return absent() };
    let path = doors.folder.logs(child).join(stream);
    let opened = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        match tail {
            None => Ok((file.metadata()?.len(), Some(file), bytes::Bytes::new())),
            Some(lines) => {
                let part = last_part(&file, TAIL_BYTES)?;
                Ok((0, None, bytes::Bytes::copy_from_slice(last_lines(&part, lines))))
            }
        }
    });
    match opened.await {
        Ok(io::Result::Ok((len, Some(file), _))) => {
            let length = [(CONTENT_LENGTH, len.to_string())];
            (plain(), length, file::body(file, 0, len)).into_response()
        }
        Ok(Ok((_, None, text))) => (plain(), text).into_response(),
        _ => absent(),
    }
}

fn plain() -> [(axum::http::HeaderName, &'static str); 3] {
    [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (CACHE_CONTROL, "no-store")]
}

fn absent() -> Response {
    (StatusCode::NOT_FOUND, "There is no such log here (any more).\n").into_response()
}

fn last_part(file: &File, max: u64) -> io::Result<bytes::Bytes> {
    let len = file.metadata()?.len();
    let part = len.min(max);
    file::read(file, len - part, part)
}

fn last_lines(text: &[u8], lines: usize) -> &[u8] {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let Some(last) = lines.checked_sub(1) else { return &[] };
    let ends = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    let start = ends.map(|(at, _)| at + 1).nth(last).unwrap_or(0);
    text.get(start..).unwrap_or_default()
}

/// For [`crate::fuzzing`].
pub(super) fn fuzz_query(uri: &axum::http::Uri) {
    let _ = Query::<Tail>::try_from_uri(uri);
    let _ = Query::<TaskLog>::try_from_uri(uri);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole() {
        for (text, lines, expected) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\n", 9, "a\nb\n"),
            ("a\n\n", 1, "\n"),
            ("a\n", 0, ""),
            ("", 3, ""),
        ] {
            assert_eq!(last_lines(text.as_bytes(), lines), expected.as_bytes(), "{text:?} {lines}");
        }
    }
}
