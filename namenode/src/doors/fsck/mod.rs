//! `GET /fsck`: the check of the file system that `hdfs fsck` and `dfs fsck` ask for, in HDFS's parameters and words.
//!
//! The text is made here from answers of the core, a page of a folder at a time ([`walk`]), while it is read; a reader that
//! goes away ends the check. The caller sees what the user of the parameter `ugi` may see, as in a cluster without security.
//! Nothing is changed but by `delete`, which is refused to browsers: any page could make one ask.
//!
//! What is absent: `move`, for which the namenode would have to call datanodes. The client does that.

mod blocks;
mod tally;
#[cfg(test)]
mod tests;
mod walk;

use crate::driver::DriverHandle;
use crate::groups::Groups;
use axum::Router;
use axum::extract::{Extension, Query as UrlQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mammoth_namenode_core::api::{Answer, Command, DatanodeKind, Health, Query, Reply};
use mammoth_platform::Clock;
use mammoth_protocol::{Caller, DfsPath, ErrorCode, FsError};
use mammoth_web::stream::{self, ReaderGone, TextSender};
use mammoth_web::{AllowedHosts, ConnInfo};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use tally::Tally;
use tokio::sync::Semaphore;

/// Checks at a time.
const CHECKS_MAX: usize = 8;

/// What checks are made from.
pub struct Fsck {
    /// Answers.
    pub driver: DriverHandle,
    /// Groups of callers.
    pub groups: Groups,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The block pool.
    pub pool: String,
    /// Replicas of files whose writer did not say.
    pub default_replication: u16,
    /// Good replicas that a block needs at least.
    pub min_replication: usize,
    /// Who asks if the request does not say.
    pub user: String,
}

struct Door {
    fsck: Fsck,
    running: Arc<Semaphore>,
}

impl Fsck {
    /// The route, guarded by the check of names.
    pub fn router(self, hosts: AllowedHosts) -> Router {
        let door = Door { fsck: self, running: Arc::new(Semaphore::new(CHECKS_MAX)) };
        hosts.guard(Router::new().route("/fsck", get(serve)).with_state(Arc::new(door)))
    }
}

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of a command line")]
struct Asked {
    path: String,
    user: String,
    files: bool,
    blocks: bool,
    locations: bool,
    racks: bool,
    details: bool,
    open: bool,
    corrupt_blocks: bool,
    after: u64,
    delete: bool,
    moves: bool,
    replicates: bool,
    block_ids: Option<String>,
}

impl Asked {
    /// Reads the parameters; those of HDFS that mean nothing here, and unknown ones, are passed over as HDFS does.
    fn of(pairs: Vec<(String, String)>) -> Self {
        let mut asked = Self { path: "/".to_owned(), ..Self::default() };
        for (key, value) in pairs {
            match key.as_str() {
                "path" => asked.path = value,
                "ugi" => asked.user = value,
                "user.name" if asked.user.is_empty() => asked.user = value,
                "files" => asked.files = true,
                "blocks" => asked.blocks = true,
                "locations" => asked.locations = true,
                "racks" => asked.racks = true,
                "replicadetails" => asked.details = true,
                "openforwrite" => asked.open = true,
                "listcorruptfileblocks" => asked.corrupt_blocks = true,
                "startblockafter" => asked.after = value.parse().unwrap_or(0),
                "delete" => asked.delete = true,
                "move" => asked.moves = true,
                "replicate" => asked.replicates = true,
                "blockId" => asked.block_ids = Some(value),
                _ => {}
            }
        }
        // Hadoop's own `ugi` may be a list of the user and its groups, which are not believed.
        let user = asked.user.split(',').next().map_or(0, str::len);
        asked.user.truncate(user);
        asked
    }
}

/// One check on its way.
struct Check {
    driver: DriverHandle,
    caller: Caller,
    asked: Asked,
    pool: String,
    sender: TextSender,
}

/// Why a check ends early.
enum End {
    /// Nobody reads.
    Gone,
    /// It is refused.
    Failed(FsError),
}

impl From<ReaderGone> for End {
    fn from(_: ReaderGone) -> Self {
        Self::Gone
    }
}

impl From<FsError> for End {
    fn from(error: FsError) -> Self {
        Self::Failed(error)
    }
}

fn odd() -> FsError {
    FsError::new(ErrorCode::Io, "the namenode gave itself an answer of the wrong kind")
}

impl Check {
    async fn ask(&self, query: Query) -> Result<Answer, FsError> {
        self.driver.query(self.caller.clone(), query).await
    }

    async fn order(&self, command: Command) -> Result<Reply, FsError> {
        self.driver.command(self.caller.clone(), command).await
    }

    async fn send(&self, text: String) -> Result<(), End> {
        Ok(self.sender.send(text).await?)
    }
}

async fn serve(
    State(door): State<Arc<Door>>,
    Extension(conn): Extension<ConnInfo>,
    headers: HeaderMap,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Response {
    let mut asked = Asked::of(pairs);
    if asked.delete && is_browser(&headers) {
        return (StatusCode::FORBIDDEN, "Browsers may not delete files: use dfs fsck -delete.\n").into_response();
    }
    let Ok(permit) = Arc::clone(&door.running).try_acquire_owned() else {
        let text = format!("{CHECKS_MAX} checks are running: try again later.\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    if asked.user.is_empty() {
        asked.user.clone_from(&door.fsck.user);
    }
    let (sender, body) = stream::text();
    let groups = door.fsck.groups.of(&asked.user).await;
    let caller = Caller { user: asked.user.clone(), groups, addr: Some(conn.peer.ip()), ..Caller::default() };
    let (driver, pool) = (door.fsck.driver.clone(), door.fsck.pool.clone());
    let check = Check { driver, caller, asked, pool, sender };
    tokio::spawn(async move {
        match run(&door.fsck, &check, conn.peer.ip()).await {
            Ok(()) => drop(check.sender.finish().await),
            Err(End::Failed(error)) => {
                tracing::warn!(path = check.asked.path, %error, "check of the file system failed");
                let _gone = check.sender.finish().await;
            }
            Err(End::Gone) => {}
        }
        drop(permit);
    });
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// Whether a browser asks: any page can make it do so in its user's name.
fn is_browser(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent.starts_with("Mozilla") || agent.starts_with("Opera") || headers.contains_key("sec-fetch-site")
}

/// `Tue Jan 23 15:49:09 KST 2024`, as Java writes the time.
fn date(clock: &dyn Clock) -> String {
    let zone = TimeZone::system();
    let millis = i64::try_from(clock.now().wall_ms).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    time.to_zoned(zone).strftime("%a %b %d %H:%M:%S %Z %Y").to_string()
}

async fn run(fsck: &Fsck, check: &Check, peer: IpAddr) -> Result<(), End> {
    let started_ms = fsck.clock.now().monotonic_ms;
    let Asked { user, path, .. } = &check.asked;
    let place = if check.asked.block_ids.is_some() { String::new() } else { format!(" for path {path}") };
    let head = format!("FSCK started by {user} (auth:SIMPLE) from /{peer}{place} at {}\n", date(&*fsck.clock));
    check.send(head).await?;
    let outcome = match &check.asked.block_ids {
        Some(ids) => blocks::by_id(check, ids).await,
        None => whole(fsck, check, started_ms).await,
    };
    if let Err(End::Failed(error)) = &outcome {
        let mut text = ended(fsck, started_ms);
        let _ = write!(text, "{}\n\n\nFsck on path '{path}' FAILED", error.message);
        check.send(text).await?;
    }
    outcome
}

fn ended(fsck: &Fsck, started_ms: u64) -> String {
    let took_ms = fsck.clock.now().monotonic_ms.saturating_sub(started_ms);
    format!("FSCK ended at {} in {took_ms} milliseconds\n", date(&*fsck.clock))
}

async fn whole(fsck: &Fsck, check: &Check, started_ms: u64) -> Result<(), End> {
    if check.asked.moves {
        let text = "the namenode moves no data: use dfs fsck -move";
        return Err(FsError::new(ErrorCode::Unsupported, text).into());
    }
    if check.asked.replicates {
        let text = "replicate is not supported: the namenode restores replicas by itself";
        return Err(FsError::new(ErrorCode::Unsupported, text).into());
    }
    let path = DfsPath::parse(&check.asked.path).map_err(FsError::from)?;
    let status = match check.ask(Query::FileInfo { path: path.clone() }).await? {
        Answer::FileInfo(status) => status,
        _ => return Err(odd().into()),
    };
    let Some(status) = status else { return check.send(format!("\n\nPath '{path}' does not exist")).await };
    if check.asked.corrupt_blocks {
        return blocks::corrupt(check, &path).await;
    }
    let (nodes, racks) = nodes(check).await?;
    let health = health(check).await?;
    let tally = Tally {
        default_replication: fsck.default_replication,
        min_replication: fsck.min_replication,
        queued: health.pending_copies,
        ..Tally::default()
    };
    let mut walk = walk::Walk::new(check, tally, racks);
    walk.run(&path, status.is_dir).await?;
    let (tally, failed) = (walk.tally, walk.failed);
    if failed {
        // HDFS's words.
        return Err(FsError::new(ErrorCode::Io, "fsck encountered internal errors!").into());
    }
    let word = if tally.is_healthy() { "HEALTHY" } else { "CORRUPT" };
    let dirs = tally.dirs;
    let mut text = format!("\nStatus: {word}\n Number of data-nodes:\t{nodes}\n Number of racks:\t\t{racks}\n");
    let _ = write!(text, " Total dirs:\t\t\t{dirs}\n Total symlinks:\t\t0\n\nReplicated Blocks:\n{tally}\n");
    text.push_str(tally::NO_STRIPED);
    text.push_str(&ended(fsck, started_ms));
    let _ = write!(text, "\n\nThe filesystem under path '{path}' is {word}");
    check.send(text).await
}

/// Live datanodes, and racks of all.
async fn nodes(check: &Check) -> Result<(usize, usize), End> {
    match check.ask(Query::Datanodes { kind: DatanodeKind::All }).await? {
        Answer::Datanodes(nodes) => {
            let racks: BTreeSet<&str> = nodes.iter().map(|node| node.rack.as_str()).collect();
            Ok((nodes.iter().filter(|node| node.live).count(), racks.len()))
        }
        _ => Err(odd().into()),
    }
}

async fn health(check: &Check) -> Result<Health, End> {
    match check.ask(Query::Health).await? {
        Answer::Health(health) => Ok(*health),
        _ => Err(odd().into()),
    }
}

/// For [`crate::fuzzing`].
pub(super) fn fuzz_query(text: &str) {
    if let Ok(uri) = format!("/?{text}").parse::<axum::http::Uri>()
        && let Ok(UrlQuery(pairs)) = UrlQuery::<Vec<(String, String)>>::try_from_uri(&uri)
    {
        let asked = Asked::of(pairs);
        assert!(!asked.user.contains(','));
        asked.block_ids.iter().for_each(|ids| blocks::fuzz(ids));
    }
}
