//! Tokens from a file that another program replaces.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::provider::{RefreshReason, Token, TokenError, TokenProvider};
use crate::clean::clean;

/// A token has a few kilobytes.
const MAX_BYTES: u64 = 64 * 1024;

pub(super) struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl TokenProvider for TokenFile {
    async fn token(&self, _: RefreshReason) -> Result<Token, TokenError> {
        let path = self.path.clone();
        // On a thread of its own, because a file can be on a slow disk, or be a pipe.
        match tokio::task::spawn_blocking(move || read(&path)).await {
            Ok(Ok(token)) => Ok(Token::new(token)),
            // A file that is being replaced can be absent for a moment.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                Err(TokenError::fatal(error))
            }
            Ok(Err(error)) => Err(TokenError::transient(error)),
            Err(error) => Err(TokenError::transient(error)),
        }
    }
}

/// Reads a token. The errors name the file and nothing in it.
fn read(path: &Path) -> io::Result<String> {
    let at = |error: io::Error| {
        io::Error::new(error.kind(), format!("token file {}: {error}", path.display()))
    };
    let wrong = |problem: &str| at(io::Error::new(io::ErrorKind::InvalidData, problem));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(at)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong("is longer than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    match clean(&text) {
        // A writer may have truncated the file before writing to it.
        "" => Err(at(io::Error::new(io::ErrorKind::UnexpectedEof, "is empty"))),
        token => Ok(token.to_owned()),
    }
}
