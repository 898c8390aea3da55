//! The end asked for by the operating system: SIGTERM and SIGINT. Called by binaries only.

use crate::error::PlatformError;
use crate::shutdown::Shutdown;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Triggers `shutdown` on the first SIGTERM or SIGINT. A second one ends the process at once, for an operator who has lost
/// patience, with the exit code of a process killed by the signal.
///
/// # Errors
/// The system refuses the handlers or the thread.
pub fn on_terminate(shutdown: &Shutdown) -> Result<(), PlatformError> {
    let failed = |source| PlatformError::System { action: "install signal handlers", source };
    let (mut receive, send) = UnixStream::pair().map_err(failed)?;
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // Handlers run in this order, so the flag is still down for the first signal.
        flag::register_conditional_shutdown(signal, 128 + signal, asked.clone()).map_err(failed)?;
        flag::register(signal, asked.clone()).map_err(failed)?;
        low_level::pipe::register(signal, send.try_clone().map_err(failed)?).map_err(failed)?;
    }
    let shutdown = shutdown.clone();
    let wait = move || {
        let mut byte = [0];
        if let Ok(1) = receive.read(&mut byte) {
            tracing::info!("asked to end by a signal");
            shutdown.trigger();
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn sigterm_triggers_the_token() {
        let shutdown = Shutdown::new();
        on_terminate(&shutdown).unwrap();
        assert!(!shutdown.is_triggered());
        low_level::raise(SIGTERM).unwrap();
        assert!(shutdown.wait(Duration::from_secs(10)));
    }
}
