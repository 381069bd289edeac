//! Downloads that survive a bad line and do not trust what they get.
//!
//! Bytes go to `FILE.part`. A cut connection is taken up where it broke with an HTTP range request (RFC 9110, section
//! 14), guarded by `If-Range` so that a file that changed on the server in between starts over. A complete part is
//! compared with the size the server announced, with the published size, with the SHA-256 recorded in `FILE.lock` by an
//! earlier download, and is opened as a data set; only then does it get its name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use ureq::http::{Response, StatusCode};

use super::lock::{Lock, LockError};

/// What to download and what is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Addresses, tried in order until one has the file.
    pub urls: Vec<String>,
    /// Where the file goes.
    pub path: PathBuf,
    /// Published size in units of 2^20 bytes, if any.
    pub megabytes: Option<u64>,
    /// SHA-256 known beforehand, if any.
    pub sha256: Option<String>,
}

/// How patient to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Connections in a row that bring no new byte before giving up.
    pub attempts: u32,
    /// Wait between them.
    pub pause: Duration,
    /// Longest silence of a server.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 4, pause: Duration::from_secs(2), silence: Duration::from_secs(30) }
    }
}

/// How the file got here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was here and is what it was.
    Verified,
    /// It was here without a record; its hash is recorded now.
    Recorded,
    /// It came over the network.
    Downloaded,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadError {
    /// No server answers.
    #[error(
        "cannot reach {url}: {reason}. Is this machine offline? Get the file elsewhere and put it at {}, or name a \
         mirror with --base-url or ANN_DATA_URL", path.display()
    )]
    Offline {
        /// Address tried last.
        url: String,
        /// What the network says.
        reason: String,
        /// Where the file is expected.
        path: PathBuf,
    },
    /// The server answers, but not with the file.
    #[error("{url}: the server answers {status}")]
    Refused {
        /// Address tried last.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The line breaks again and again.
    #[error(
        "{url}: the connection broke after {got} of {total} bytes ({reason}); run the command again to resume",
        total = total.map_or("an unknown number of".to_owned(), |total| total.to_string())
    )]
    Interrupted {
        /// Address.
        url: String,
        /// Bytes in the part file.
        got: u64,
        /// Bytes announced.
        total: Option<u64>,
        /// What the network says.
        reason: String,
    },
    /// The size is not the published one.
    #[error("{url}: {found} bytes, but about {expected} MiB are published; this is not the data set")]
    Size {
        /// Address.
        url: String,
        /// Published size in MiB.
        expected: u64,
        /// Bytes announced or received.
        found: u64,
    },
    /// The hash is not the recorded one.
    #[error(
        "{}: SHA-256 {found}, but {expected} is recorded; delete the file to download it again, or its .lock if the \
         change is meant", path.display()
    )]
    Hash {
        /// File in question.
        path: PathBuf,
        /// What is recorded.
        expected: String,
        /// What was computed.
        found: String,
    },
    /// It is no data set, or another one.
    #[error("{}: {reason}", path.display())]
    Structure {
        /// File in question.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The record cannot be read or written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// File in question.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// Opens a file and says what is wrong with it.
pub(crate) type Check<'a> = &'a dyn Fn(&Path) -> Result<(), String>;

/// Makes sure that `target.path` holds the data set: verifies it if it is there, downloads it if not.
///
/// # Errors
/// [`DownloadError`]; whatever arrived stays in the part file unless it is known to be wrong.
pub(crate) fn ensure(
    target: &Target,
    check: Check<'_>,
    patience: &Patience,
    bar: &ProgressBar,
) -> Result<Outcome, DownloadError> {
    if target.path.exists() {
        return verify(target, check);
    }
    if let Some(folder) = target.path.parent() {
        fs::create_dir_all(folder).map_err(|source| DownloadError::Io { path: folder.to_owned(), source })?;
    }
    let mut last = DownloadError::Offline {
        url: "(no address)".to_owned(),
        reason: "the catalogue has no address for it".to_owned(),
        path: target.path.clone(),
    };
    for url in &target.urls {
        let part = Part::new(&target.path);
        match fetch(url, target, &part, patience, bar).and_then(|()| accept(url, target, &part, check)) {
            Ok(()) => return Ok(Outcome::Downloaded),
            Err(error @ (DownloadError::Io { .. } | DownloadError::Lock(_))) => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn verify(target: &Target, check: Check<'_>) -> Result<Outcome, DownloadError> {
    let found = Lock::of(&target.path, None)?;
    let recorded = Lock::read(&target.path)?;
    compare(&target.path, &found, recorded.as_ref(), target.sha256.as_deref())?;
    // A hash that came with the catalogue needs no record.
    if recorded.is_some() || target.sha256.is_some() {
        return Ok(Outcome::Verified);
    }
    check(&target.path).map_err(|reason| DownloadError::Structure { path: target.path.clone(), reason })?;
    found.write(&target.path)?;
    Ok(Outcome::Recorded)
}

fn compare(path: &Path, found: &Lock, recorded: Option<&Lock>, known: Option<&str>) -> Result<(), DownloadError> {
    let wrong = match (recorded, known) {
        (Some(recorded), _) if !recorded.agrees(found) => &recorded.sha256,
        (_, Some(known)) if !known.eq_ignore_ascii_case(&found.sha256) => known,
        _ => return Ok(()),
    };
    Err(DownloadError::Hash { path: path.to_owned(), expected: wrong.to_owned(), found: found.sha256.clone() })
}

/// The last steps: a complete part becomes the file, or is thrown away.
fn accept(url: &str, target: &Target, part: &Part, check: Check<'_>) -> Result<(), DownloadError> {
    let found = Lock::of(&part.path, Some(url.to_owned()))?;
    let verdict = size(url, target, found.bytes)
        .and_then(|()| compare(&target.path, &found, Lock::read(&target.path)?.as_ref(), target.sha256.as_deref()))
        .and_then(|()| {
            check(&part.path).map_err(|reason| DownloadError::Structure { path: target.path.clone(), reason })
        });
    if let Err(error) = verdict {
        part.discard();
        return Err(error);
    }
    found.write(&target.path)?;
    fs::rename(&part.path, &target.path).map_err(|source| DownloadError::Io { path: target.path.clone(), source })?;
    part.discard();
    Ok(())
}

/// Published sizes are rounded, in units that vary: a tenth either way is still the same file.
fn size(url: &str, target: &Target, bytes: u64) -> Result<(), DownloadError> {
    match target.megabytes {
        Some(expected) if (bytes >> 10).abs_diff(expected << 10) > (expected << 10) / 10 + 1024 => {
            Err(DownloadError::Size { url: url.to_owned(), expected, found: bytes })
        }
        _ => Ok(()),
    }
}

/// The unfinished file, and the version of the server's file that it is a part of.
struct Part {
    path: PathBuf,
    version: PathBuf,
}

impl Part {
    fn new(file: &Path) -> Self {
        let with = |ending: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Self { path: with(".part"), version: with(".part.version") }
    }

    fn len(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |data| data.len())
    }

    fn discard(&self) {
        // Nothing is lost if they are already gone, and nothing can be done if they cannot go.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.version);
    }

    fn io(&self) -> impl Fn(io::Error) -> DownloadError + '_ {
        |source| DownloadError::Io { path: self.path.clone(), source }
    }
}

/// How one connection ended.
enum Ended {
    Complete,
    Broken { total: Option<u64>, reason: String },
}

/// Connects again and again until the part is complete.
fn fetch(url: &str, target: &Target, part: &Part, patience: &Patience, bar: &ProgressBar) -> Result<(), DownloadError> {
    let agent = agent(url, patience);
    let mut in_vain = 0;
    loop {
        let before = part.len();
        match connect(&agent, url, target, part, bar)? {
            Ended::Complete => return Ok(()),
            Ended::Broken { total, reason } => {
                in_vain = if part.len() > before { 0 } else { in_vain + 1 };
                if in_vain >= patience.attempts {
                    let got = part.len();
                    return Err(if got == 0 && total.is_none() {
                        DownloadError::Offline { url: url.to_owned(), reason, path: target.path.clone() }
                    } else {
                        DownloadError::Interrupted { url: url.to_owned(), got, total, reason }
                    });
                }
                std::thread::sleep(patience.pause);
            }
        }
    }
}

fn agent(url: &str, patience: &Patience) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        // Some hosts turn unknown programs away. An encoded body could not be resumed.
        .user_agent("Mozilla/5.0 (compatible; ann-xtask)")
        .accept_encoding("identity")
        .timeout_connect(Some(patience.silence))
        .timeout_recv_response(Some(patience.silence))
        .timeout_per_read(Some(patience.silence));
    // A proxy of the environment is for the world outside.
    let local = ["://127.", "://localhost", "://[::1]"].iter().any(|host| url.contains(host));
    if local { config.proxy(None) } else { config }.build().into()
}

fn connect(
    agent: &ureq::Agent,
    url: &str,
    target: &Target,
    part: &Part,
    bar: &ProgressBar,
) -> Result<Ended, DownloadError> {
    // Without a version to compare, the rest of a part may belong to another file.
    let version = fs::read_to_string(&part.version).unwrap_or_default();
    let have = if version.is_empty() { 0 } else { part.len() };
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-")).header("If-Range", &version);
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(error) => return Ok(Ended::Broken { total: None, reason: error.to_string() }),
    };
    let announced = match response.status() {
        StatusCode::OK => Announced { start: 0, total: content_length(&response) },
        StatusCode::PARTIAL_CONTENT => match content_range(&response) {
            Some(announced) if announced.start == have => announced,
            _ => {
                part.discard();
                return Ok(Ended::Broken { total: None, reason: "the server answered another range".to_owned() });
            }
        },
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let total =
                header(&response, "content-range").and_then(|range| range.strip_prefix("bytes */")?.parse().ok());
            if total == Some(have) && have > 0 {
                return Ok(Ended::Complete);
            }
            part.discard();
            return Ok(Ended::Broken { total, reason: "the part is not of the server's file".to_owned() });
        }
        status if status.is_server_error() => {
            return Ok(Ended::Broken { total: None, reason: format!("the server answers {status}") });
        }
        status => return Err(DownloadError::Refused { url: url.to_owned(), status: status.as_u16() }),
    };
    if let Some(total) = announced.total {
        // Before the disk fills with the wrong file.
        size(url, target, total)?;
        bar.set_length(total);
    }
    receive(response, announced, part, bar)
}

fn receive(
    response: Response<ureq::Body>,
    announced: Announced,
    part: &Part,
    bar: &ProgressBar,
) -> Result<Ended, DownloadError> {
    let version = header(&response, "etag").filter(|tag| !tag.starts_with("W/")).or(header(&response, "last-modified"));
    fs::write(&part.version, version.unwrap_or_default()).map_err(part.io())?;
    let mut file =
        if announced.start == 0 { File::create(&part.path) } else { OpenOptions::new().append(true).open(&part.path) }
            .map_err(part.io())?;
    bar.set_position(announced.start);
    bar.reset_eta();

    let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
    let (mut position, mut buffer) = (announced.start, vec![0; 1 << 16]);
    loop {
        match body.read(&mut buffer) {
            Ok(0) if announced.total.is_none_or(|total| total == position) => return Ok(Ended::Complete),
            Ok(0) => return Ok(Ended::Broken { total: announced.total, reason: "closed by the server".to_owned() }),
            Ok(read) => {
                file.write_all(&buffer[..read]).map_err(part.io())?;
                position += read as u64;
                bar.set_position(position);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Ended::Broken { total: announced.total, reason: error.to_string() }),
        }
    }
}

/// Which bytes the body holds, and of how many.
struct Announced {
    start: u64,
    total: Option<u64>,
}

fn header<'a>(response: &'a Response<ureq::Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn content_length(response: &Response<ureq::Body>) -> Option<u64> {
    header(response, "content-length")?.parse().ok()
}

/// `bytes 100-199/200`
fn content_range(response: &Response<ureq::Body>) -> Option<Announced> {
    let (range, total) = header(response, "content-range")?.strip_prefix("bytes ")?.split_once('/')?;
    Some(Announced { start: range.split_once('-')?.0.parse().ok()?, total: total.parse().ok() })
}

#[cfg(test)]
mod tests;
