//! What safe mode refuses, and how it says so. When safe mode begins and ends is the block map's business.

use crate::api::SafeMode;
use crate::state::State;
use mammoth_protocol::{ErrorCode, FsError, Now};

impl State {
    /// Refuses in safe mode; `what` begins the sentence that clients look for.
    pub(crate) fn check_safe_mode(&self, now: Now, what: &str) -> Result<(), FsError> {
        let mode = self.blocks.safe_mode(now);
        if mode == SafeMode::Off {
            return Ok(());
        }
        let message = format!("{what}. Name node is in safe mode.\n{}", tip(&mode));
        Err(FsError::new(ErrorCode::SafeMode, message))
    }
}

/// Why, and what the administrator can do.
fn tip(mode: &SafeMode) -> String {
    match mode {
        SafeMode::Off => String::new(),
        SafeMode::Manual => {
            "It was turned on manually. Use \"dfs admin -safemode leave\" to turn safe mode off.".to_owned()
        }
        SafeMode::Startup { reported, needed, total, extension_left_ms: None } => format!(
            "The reported blocks {reported} needs additional {} blocks to reach the threshold of {needed} of total \
             blocks {total}. Safe mode will be turned off automatically once the thresholds have been reached.",
            needed.saturating_sub(*reported)
        ),
        SafeMode::Startup { reported, total, extension_left_ms: Some(left), .. } => format!(
            "The reported blocks {reported} has reached the threshold of total blocks {total}. In safe mode extension. \
             Safe mode will be turned off automatically in {} seconds.",
            left.div_ceil(1000)
        ),
        SafeMode::Behind { message } => {
            format!("{message} Edits may be lost. Use \"dfs admin -safemode forceExit\" to go on with what is left.")
        }
    }
}
