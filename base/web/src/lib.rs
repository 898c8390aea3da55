//! HTTP for every daemon: host checks, error bodies, metrics, the page shell and its assets.
//!
//! # Layout
//! - [`mod@serve`]: the accept loop, with a bound on connections that silent clients cannot exhaust
//! - [`host`]: refuses requests for names that are not ours, so that no web page can reach a daemon by rebinding a name
//! - [`error`]: the JSON body of a refusal, as WebHDFS clients parse it
//! - [`bind`]: from a setting to a listening socket
//! - [`body`]: request bodies with a limit on size and time
//! - [`html`], [`page`], [`assets`]: pages as plain server-rendered HTML, one stylesheet, nothing from elsewhere
//! - [`doors`]: the threads that serve doors, and their end; [`running`]: a daemon in the hands of its starter
//! - [`inbox`], [`mailbox`]: from the doors to the one thread that owns a state, and back
//! - [`text`]: numbers, sizes, durations and times for people
//! - [`metrics`]: the text that Prometheus scrapes
//! - [`stream`]: text that is made while it is read
//!
//! What is absent: request signing between daemons, TLS, WebHDFS parameters, templates and JavaScript.

pub mod assets;
pub mod bind;
pub mod body;
pub mod doors;
pub mod error;
pub mod host;
pub mod html;
pub mod inbox;
pub mod mailbox;
pub mod metrics;
pub mod page;
pub mod running;
pub mod serve;
pub mod stream;
pub mod text;

pub use error::HttpError;
pub use host::AllowedHosts;
pub use html::Html;
pub use page::Page;
pub use running::Running;
pub use serve::{ConnInfo, ServeLimits, serve};
