//! The doors other than data transfer: Hadoop RPC ([`ipc`]) and the status page ([`http`]), on a small runtime of their own.
//! They ask the store and hold no rules.

pub(crate) mod http;
pub(crate) mod ipc;

use axum::Router;
use ipc::IpcHandler;
use mammoth_net::rpc::server::{self, ServerLimits};
use mammoth_platform::Shutdown;
use mammoth_web::ServeLimits;
use mammoth_web::doors::{door_threads, stopped};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// Threads that wait for disks on behalf of calls.
const BLOCKING_THREADS: usize = 8;
/// Connections of Hadoop RPC: one for each client that reads what is being written, and one for each recovery.
const IPC_CONNECTIONS: usize = 512;

/// Serves both doors until the shutdown.
///
/// # Errors
/// The system has no resources for them.
pub(crate) fn serve_doors(
    http: TcpListener,
    router: Router,
    ipc: TcpListener,
    handler: IpcHandler,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let runtime = door_threads("door", 1, BLOCKING_THREADS)?;
    let limits = ServerLimits { connections: IPC_CONNECTIONS, frame_bytes: 1024 * 1024, ..ServerLimits::default() };
    let served = runtime.block_on(async {
        http.set_nonblocking(true)?;
        ipc.set_nonblocking(true)?;
        let (http, ipc) = (tokio::net::TcpListener::from_std(http)?, tokio::net::TcpListener::from_std(ipc)?);
        let pages = mammoth_web::serve(http, router, ServeLimits::default(), stopped(&shutdown));
        tokio::join!(pages, server::serve(ipc, Arc::new(handler), limits, shutdown.clone(), None));
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    served
}
