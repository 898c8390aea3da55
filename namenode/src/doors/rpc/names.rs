//! ClientProtocol: names, attributes, listings.

use super::call::{Call, Serving};
use super::convert;
use mammoth_namenode_core::api::{Answer, Command, FileStatus, Listing, Query};
use mammoth_protocol::hadoop::hdfs::{
    CheckAccessRequestProto, CheckAccessResponseProto, ConcatRequestProto, ConcatResponseProto, ContentSummaryProto,
    CorruptFileBlocksProto, DeleteRequestProto, DeleteResponseProto, DirectoryListingProto,
    GetContentSummaryRequestProto, GetContentSummaryResponseProto, GetFileInfoRequestProto, GetFileInfoResponseProto,
    GetFileLinkInfoRequestProto, GetFileLinkInfoResponseProto, GetListingRequestProto, GetListingResponseProto,
    GetLocatedFileInfoRequestProto, GetLocatedFileInfoResponseProto, GetPreferredBlockSizeRequestProto,
    GetPreferredBlockSizeResponseProto, GetQuotaUsageRequestProto, GetQuotaUsageResponseProto,
    ListCorruptFileBlocksRequestProto, ListCorruptFileBlocksResponseProto, MkdirsRequestProto, MkdirsResponseProto,
    QuotaUsageProto, Rename2RequestProto, Rename2ResponseProto, RenameRequestProto, RenameResponseProto,
    SetOwnerRequestProto, SetOwnerResponseProto, SetPermissionRequestProto, SetPermissionResponseProto,
    SetReplicationRequestProto, SetReplicationResponseProto, SetTimesRequestProto, SetTimesResponseProto,
    TruncateRequestProto, TruncateResponseProto,
};
use mammoth_protocol::{DfsPath, ErrorCode, FsError};

/// "No quota", as messages say it: -1 in an unsigned field.
const NO_QUOTA: u64 = u64::MAX;
/// "Leave it alone" of `setTimes`: -1 in an unsigned field.
const KEEP_TIME: u64 = u64::MAX;
/// Most files that one answer about corrupt files names.
const CORRUPT_FILES_MAX: usize = 1000;

/// Serves the method, if it is one of this family.
pub(super) fn serve<'a>(call: &'a Call<'_>) -> Option<Serving<'a>> {
    let served = match call.method {
        "mkdirs" => call.serve(|q| mkdirs(call, q)),
        "truncate" => call.serve(|q| truncate(call, q)),
        "concat" => call.serve(|q| concat(call, q)),
        "rename" => call.serve(|q| rename(call, q)),
        "rename2" => call.serve(|q| rename2(call, q)),
        "delete" => call.serve(|q| delete(call, q)),
        "setReplication" => call.serve(|q| set_replication(call, q)),
        "setPermission" => call.serve(|q| set_permission(call, q)),
        "setOwner" => call.serve(|q| set_owner(call, q)),
        "setTimes" => call.serve(|q| set_times(call, q)),
        "getListing" => call.serve(|q| get_listing(call, q)),
        "getFileInfo" => call.serve(|q| get_file_info(call, q)),
        "getFileLinkInfo" => call.serve(|q| get_file_link_info(call, q)),
        "getLocatedFileInfo" => call.serve(|q| get_located_file_info(call, q)),
        "getContentSummary" => call.serve(|q| get_content_summary(call, q)),
        "getQuotaUsage" => call.serve(|q| get_quota_usage(call, q)),
        "getPreferredBlockSize" => call.serve(|q| get_preferred_block_size(call, q)),
        "checkAccess" => call.serve(|q| check_access(call, q)),
        "listCorruptFileBlocks" => call.serve(|q| list_corrupt(call, q)),
        _ => return None,
    };
    Some(served)
}

async fn mkdirs(call: &Call<'_>, q: MkdirsRequestProto) -> Result<MkdirsResponseProto, FsError> {
    let path = convert::path(&q.src)?;
    let mode = convert::mode(q.masked);
    let result = call.done(Command::Mkdirs { path, mode, create_parent: q.create_parent }).await?;
    Ok(MkdirsResponseProto { result })
}

async fn truncate(call: &Call<'_>, q: TruncateRequestProto) -> Result<TruncateResponseProto, FsError> {
    let command = Command::Truncate { path: convert::path(&q.src)?, len: q.new_length, client: q.client_name };
    Ok(TruncateResponseProto { result: call.done(command).await? })
}

async fn concat(call: &Call<'_>, q: ConcatRequestProto) -> Result<ConcatResponseProto, FsError> {
    let sources = q.srcs.iter().map(|source| convert::path(source)).collect::<Result<_, _>>()?;
    call.done(Command::Concat { target: convert::path(&q.trg)?, sources }).await?;
    Ok(ConcatResponseProto {})
}

async fn rename(call: &Call<'_>, q: RenameRequestProto) -> Result<RenameResponseProto, FsError> {
    let command = Command::Rename { src: convert::path(&q.src)?, dst: convert::path(&q.dst)? };
    Ok(RenameResponseProto { result: call.done(command).await? })
}

async fn rename2(call: &Call<'_>, q: Rename2RequestProto) -> Result<Rename2ResponseProto, FsError> {
    let (src, dst) = (convert::path(&q.src)?, convert::path(&q.dst)?);
    call.done(Command::Rename2 { src, dst, overwrite: q.overwrite_dest }).await?;
    Ok(Rename2ResponseProto {})
}

async fn delete(call: &Call<'_>, q: DeleteRequestProto) -> Result<DeleteResponseProto, FsError> {
    let command = Command::Delete { path: convert::path(&q.src)?, recursive: q.recursive };
    Ok(DeleteResponseProto { result: call.done(command).await? })
}

async fn set_replication(
    call: &Call<'_>,
    q: SetReplicationRequestProto,
) -> Result<SetReplicationResponseProto, FsError> {
    let replication = convert::replication(q.replication)?;
    let command = Command::SetReplication { path: convert::path(&q.src)?, replication };
    Ok(SetReplicationResponseProto { result: call.done(command).await? })
}

async fn set_permission(call: &Call<'_>, q: SetPermissionRequestProto) -> Result<SetPermissionResponseProto, FsError> {
    let command = Command::SetPermission { path: convert::path(&q.src)?, mode: convert::mode(q.permission) };
    call.done(command).await?;
    Ok(SetPermissionResponseProto {})
}

async fn set_owner(call: &Call<'_>, q: SetOwnerRequestProto) -> Result<SetOwnerResponseProto, FsError> {
    let named = |name: Option<String>| name.filter(|name| !name.is_empty());
    let (owner, group) = (named(q.username), named(q.groupname));
    call.done(Command::SetOwner { path: convert::path(&q.src)?, owner, group }).await?;
    Ok(SetOwnerResponseProto {})
}

async fn set_times(call: &Call<'_>, q: SetTimesRequestProto) -> Result<SetTimesResponseProto, FsError> {
    let time = |ms: u64| (ms != KEEP_TIME).then_some(ms);
    let (mtime_ms, atime_ms) = (time(q.mtime), time(q.atime));
    call.done(Command::SetTimes { path: convert::path(&q.src)?, mtime_ms, atime_ms }).await?;
    Ok(SetTimesResponseProto {})
}

async fn listing(call: &Call<'_>, q: GetListingRequestProto) -> Result<Option<Listing>, FsError> {
    let path = convert::path(&q.src)?;
    let query = Query::Listing { path, start_after: q.start_after, need_location: q.need_location };
    match call.ask(query).await? {
        Answer::Listing(listing) => Ok(listing),
        other => Err(call.odd(&other)),
    }
}

async fn get_listing(call: &Call<'_>, q: GetListingRequestProto) -> Result<GetListingResponseProto, FsError> {
    let dir_list = listing(call, q).await?.map(|listing| DirectoryListingProto {
        remaining_entries: listing.remaining,
        partial_listing: listing.entries.into_iter().map(|e| convert::file_status(call.pool(), e)).collect(),
    });
    Ok(GetListingResponseProto { dir_list })
}

/// Status of a path; `None` if it does not exist.
async fn status(call: &Call<'_>, path: DfsPath) -> Result<Option<FileStatus>, FsError> {
    match call.ask(Query::FileInfo { path }).await? {
        Answer::FileInfo(status) => Ok(status.map(|status| *status)),
        other => Err(call.odd(&other)),
    }
}

/// Status of a path that must exist.
async fn existing(call: &Call<'_>, path: DfsPath) -> Result<FileStatus, FsError> {
    let missing = || FsError::new(ErrorCode::FileNotFound, format!("File does not exist: {path}"));
    status(call, path.clone()).await?.ok_or_else(missing)
}

async fn get_file_info(call: &Call<'_>, q: GetFileInfoRequestProto) -> Result<GetFileInfoResponseProto, FsError> {
    let found = status(call, convert::path(&q.src)?).await?;
    Ok(GetFileInfoResponseProto { fs: found.map(|s| convert::file_status(call.pool(), s)) })
}

async fn get_file_link_info(
    call: &Call<'_>,
    q: GetFileLinkInfoRequestProto,
) -> Result<GetFileLinkInfoResponseProto, FsError> {
    let found = status(call, convert::path(&q.src)?).await?;
    Ok(GetFileLinkInfoResponseProto { fs: found.map(|s| convert::file_status(call.pool(), s)) })
}

async fn get_located_file_info(
    call: &Call<'_>,
    q: GetLocatedFileInfoRequestProto,
) -> Result<GetLocatedFileInfoResponseProto, FsError> {
    let path = convert::path(q.src())?;
    let Some(mut found) = status(call, path.clone()).await? else {
        return Ok(GetLocatedFileInfoResponseProto { fs: None });
    };
    if !found.is_dir {
        found.blocks = Some(super::blocks::locations(call, path, 0, u64::MAX).await?);
    }
    Ok(GetLocatedFileInfoResponseProto { fs: Some(convert::file_status(call.pool(), found)) })
}

async fn get_content_summary(
    call: &Call<'_>,
    q: GetContentSummaryRequestProto,
) -> Result<GetContentSummaryResponseProto, FsError> {
    match call.ask(Query::ContentSummary { path: convert::path(&q.path)? }).await? {
        Answer::Summary(sum) => Ok(GetContentSummaryResponseProto {
            summary: ContentSummaryProto {
                length: sum.len,
                file_count: sum.files,
                directory_count: sum.dirs,
                quota: NO_QUOTA,
                space_consumed: sum.space,
                space_quota: NO_QUOTA,
                erasure_coding_policy: Some(String::new()),
                ..ContentSummaryProto::default()
            },
        }),
        other => Err(call.odd(&other)),
    }
}

async fn get_quota_usage(call: &Call<'_>, q: GetQuotaUsageRequestProto) -> Result<GetQuotaUsageResponseProto, FsError> {
    match call.ask(Query::ContentSummary { path: convert::path(&q.path)? }).await? {
        Answer::Summary(sum) => Ok(GetQuotaUsageResponseProto {
            usage: QuotaUsageProto {
                file_and_directory_count: sum.files.saturating_add(sum.dirs),
                quota: NO_QUOTA,
                space_consumed: sum.space,
                space_quota: NO_QUOTA,
                type_quota_infos: None,
            },
        }),
        other => Err(call.odd(&other)),
    }
}

async fn get_preferred_block_size(
    call: &Call<'_>,
    q: GetPreferredBlockSizeRequestProto,
) -> Result<GetPreferredBlockSizeResponseProto, FsError> {
    let found = existing(call, convert::path(&q.filename)?).await?;
    Ok(GetPreferredBlockSizeResponseProto { bsize: found.block_size })
}

async fn check_access(call: &Call<'_>, q: CheckAccessRequestProto) -> Result<CheckAccessResponseProto, FsError> {
    let mode = u8::try_from(q.mode & 7).unwrap_or_default();
    call.ask(Query::CheckAccess { path: convert::path(&q.path)?, mode }).await?;
    Ok(CheckAccessResponseProto {})
}

async fn list_corrupt(
    call: &Call<'_>,
    q: ListCorruptFileBlocksRequestProto,
) -> Result<ListCorruptFileBlocksResponseProto, FsError> {
    let below = convert::path(&q.path)?;
    // All that there is to say goes into the first page.
    let max = if q.cookie().is_empty() { CORRUPT_FILES_MAX } else { 0 };
    match call.ask(Query::CorruptFiles { max }).await? {
        Answer::Paths(paths) => {
            let here = paths.iter().take(max).filter(|path| path.starts_with(&below));
            let files: Vec<String> = here.map(|path| path.as_str().to_owned()).collect();
            let cookie = max.to_string();
            Ok(ListCorruptFileBlocksResponseProto { corrupt: CorruptFileBlocksProto { files, cookie } })
        }
        other => Err(call.odd(&other)),
    }
}
