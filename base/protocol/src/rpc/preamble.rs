//! The seven bytes that open a connection, and those who meant another protocol.

/// Bytes of the preamble.
pub const PREAMBLE_BYTES: usize = 7;

const MAGIC: [u8; 4] = *b"hrpc";
const AUTH_NONE: u8 = 0;
/// -33 as a byte.
const AUTH_SASL: u8 = 0xdf;
/// First four bytes of what a browser or an HTTP client sends.
const HTTP: [[u8; 4]; 4] = [*b"GET ", *b"POST", *b"PUT ", *b"HEAD"];

/// What an HTTP client gets on this port, a whole answer.
pub const HTTP_REFUSAL: &str = "HTTP/1.1 404 Not Found\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 78\r\n\
    Connection: close\r\n\
    \r\n\
    This port speaks Hadoop RPC, not HTTP. The status pages are on another port.\r\n";

/// How the client wants to prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all: it says its name in the connection context.
    None,
    /// By a dialogue in frames with call id -33, before the connection context.
    Sasl,
}

/// An accepted opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// Class of service; not used.
    pub service_class: u8,
    /// Authentication.
    pub auth: Auth,
}

impl Preamble {
    /// The bytes.
    #[must_use]
    pub fn encode(self) -> [u8; PREAMBLE_BYTES] {
        let [h, r, p, c] = MAGIC;
        let auth = match self.auth {
            Auth::None => AUTH_NONE,
            Auth::Sasl => AUTH_SASL,
        };
        [h, r, p, c, super::VERSION, self.service_class, auth]
    }
}

/// An opening that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPreamble {
    /// An HTTP request: it gets [`HTTP_REFUSAL`].
    #[error("an HTTP request on the RPC port")]
    Http,
    /// Neither Hadoop RPC nor HTTP: it gets no answer.
    #[error("not Hadoop RPC")]
    Magic,
    /// Another version: it gets a fatal answer.
    #[error("RPC version {0}")]
    Version(u8),
    /// An authentication byte that nobody defined: it gets a fatal answer.
    #[error("unknown authentication {0}")]
    Auth(u8),
}

/// Reads the opening; `None` if more bytes are needed to tell. Bytes after it are the first frame.
///
/// # Errors
/// As soon as the bytes cannot become an opening.
pub fn parse_preamble(bytes: &[u8]) -> Result<Option<Preamble>, BadPreamble> {
    let starts = |word: &[u8; 4]| bytes.iter().zip(word).all(|(found, expected)| found == expected);
    if !starts(&MAGIC) {
        return match (HTTP.iter().any(starts), bytes.len() < MAGIC.len()) {
            (true, true) => Ok(None),
            (true, false) => Err(BadPreamble::Http),
            (false, _) => Err(BadPreamble::Magic),
        };
    }
    if let Some(version) = bytes.get(4).copied().filter(|version| *version != super::VERSION) {
        return Err(BadPreamble::Version(version));
    }
    let (Some(service_class), Some(auth)) = (bytes.get(5).copied(), bytes.get(6).copied()) else {
        return Ok(None);
    };
    match auth {
        AUTH_NONE => Ok(Some(Preamble { service_class, auth: Auth::None })),
        AUTH_SASL => Ok(Some(Preamble { service_class, auth: Auth::Sasl })),
        other => Err(BadPreamble::Auth(other)),
    }
}
