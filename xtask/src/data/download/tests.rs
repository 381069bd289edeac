use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::*;

/// What the server does with one connection.
#[derive(Debug, Clone, Copy)]
enum Reply {
    /// Serves the range asked for.
    Serve,
    /// The same, but hangs up after so many bytes of the body.
    Cut(usize),
    /// Serves the whole file whatever is asked.
    Whole,
    /// Answers with a status and no file.
    Status(u16),
}

/// A web server of one file on this machine, that knows `Range` and `If-Range`. After the last reply it repeats it.
struct Server {
    address: SocketAddr,
    ranges: Arc<Mutex<Vec<Option<u64>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(body: &[u8], tag: &str, replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ranges, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(AtomicBool::new(false)));
        let (body, tag, replies) = (body.to_vec(), format!("\"{tag}\""), replies.to_vec());
        let thread = {
            let (ranges, stop) = (Arc::clone(&ranges), Arc::clone(&stop));
            std::thread::spawn(move || {
                for (number, stream) in listener.incoming().enumerate() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let reply = replies[number.min(replies.len() - 1)];
                    // A client that hangs up first is its own affair.
                    let _ = answer(stream.unwrap(), &body, &tag, reply, &ranges);
                }
            })
        };
        Self { address, ranges, stop, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}/set.hdf5", self.address)
    }

    /// Where the ranges of the requests so far began.
    fn ranges(&self) -> Vec<Option<u64>> {
        self.ranges.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn answer(
    mut stream: TcpStream,
    body: &[u8],
    tag: &str,
    reply: Reply,
    ranges: &Mutex<Vec<Option<u64>>>,
) -> io::Result<()> {
    let (mut range, mut same) = (None, true);
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "range" => range = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse().ok()),
            "if-range" => same = value == tag,
            _ => {}
        }
        if line.is_empty() {
            break;
        }
    }
    ranges.lock().unwrap().push(range);
    if let Reply::Status(status) = reply {
        return write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let start = range.filter(|_| same && !matches!(reply, Reply::Whole)).map_or(0, |start: u64| start as usize);
    let total = body.len();
    if start >= total {
        return write!(
            stream,
            "HTTP/1.1 416 No\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let rest = &body[start..];
    if start > 0 {
        write!(stream, "HTTP/1.1 206 Partial\r\nContent-Range: bytes {start}-{}/{total}\r\n", total - 1)?;
    } else {
        write!(stream, "HTTP/1.1 200 OK\r\n")?;
    }
    write!(stream, "ETag: {tag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len())?;
    stream.write_all(&rest[..if let Reply::Cut(bytes) = reply { bytes.min(rest.len()) } else { rest.len() }])
}

const QUICK: Patience = Patience { attempts: 2, pause: Duration::ZERO, silence: Duration::from_secs(10) };

/// Some bytes that do not repeat with a short period.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn target(folder: &tempfile::TempDir, urls: Vec<String>) -> Target {
    Target { urls, path: folder.path().join("cache/set.hdf5"), megabytes: None, sha256: None }
}

fn get(target: &Target) -> Result<Outcome, DownloadError> {
    ensure(target, &|_| Ok(()), &QUICK, &ProgressBar::hidden())
}

#[test]
fn file_arrives_whole_and_its_hash_is_recorded() {
    let (body, folder) = (bytes(300_000), tempfile::tempdir().unwrap());
    let server = Server::start(&body, "1", &[Reply::Serve]);
    let target = target(&folder, vec![server.url()]);
    assert_eq!(get(&target).unwrap(), Outcome::Downloaded);
    assert_eq!(fs::read(&target.path).unwrap(), body);
    let lock = Lock::read(&target.path).unwrap().unwrap();
    assert_eq!((lock.bytes, lock.url), (300_000, Some(server.url())));
    let mut left: Vec<_> = fs::read_dir(folder.path().join("cache")).unwrap().map(|f| f.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["set.hdf5", "set.hdf5.lock"], "no part is left");

    assert_eq!(get(&target).unwrap(), Outcome::Verified);
    assert_eq!(server.ranges().len(), 1, "the second time nothing is downloaded");
}

#[test]
fn cut_connections_are_resumed_where_they_broke() {
    let (body, folder) = (bytes(300_000), tempfile::tempdir().unwrap());
    let server = Server::start(&body, "1", &[Reply::Cut(100_000), Reply::Cut(50_000), Reply::Serve]);
    let target = target(&folder, vec![server.url()]);
    assert_eq!(get(&target).unwrap(), Outcome::Downloaded);
    assert_eq!(fs::read(&target.path).unwrap(), body);
    assert_eq!(server.ranges(), [None, Some(100_000), Some(150_000)]);
}

#[test]
fn interrupted_download_resumes_in_another_run() {
    let (body, folder) = (bytes(200_000), tempfile::tempdir().unwrap());
    let server = Server::start(&body, "1", &[Reply::Cut(120_000), Reply::Cut(0), Reply::Cut(0), Reply::Serve]);
    let target = target(&folder, vec![server.url()]);
    let error = get(&target).unwrap_err();
    assert!(matches!(error, DownloadError::Interrupted { got: 120_000, total: Some(200_000), .. }), "{error:?}");
    assert!(error.to_string().contains("120000 of 200000 bytes"), "{error}");
    assert!(!target.path.exists());
    assert_eq!(get(&target).unwrap(), Outcome::Downloaded);
    assert_eq!(fs::read(&target.path).unwrap(), body);
    assert_eq!(server.ranges().last(), Some(&Some(120_000)));
}

#[test]
fn part_of_a_file_that_changed_starts_over() {
    let (old, new) = (bytes(200_000), vec![7; 150_000]);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&old, "old", &[Reply::Cut(90_000), Reply::Cut(0)]);
    get(&target(&folder, vec![server.url()])).unwrap_err();
    let server = Server::start(&new, "new", &[Reply::Serve]);
    let target = target(&folder, vec![server.url()]);
    assert_eq!(get(&target).unwrap(), Outcome::Downloaded);
    assert_eq!(server.ranges(), [Some(90_000)], "it asked for the rest");
    assert_eq!(fs::read(&target.path).unwrap(), new, "and took the whole");
}

#[test]
fn server_without_ranges_starts_over() {
    let (body, folder) = (bytes(200_000), tempfile::tempdir().unwrap());
    let server = Server::start(&body, "1", &[Reply::Cut(90_000), Reply::Whole]);
    let target = target(&folder, vec![server.url()]);
    assert_eq!(get(&target).unwrap(), Outcome::Downloaded);
    assert_eq!(fs::read(&target.path).unwrap(), body);
}

#[test]
fn complete_part_is_not_downloaded_again() {
    let (body, folder) = (bytes(100_000), tempfile::tempdir().unwrap());
    let server = Server::start(&body, "1", &[Reply::Serve]);
    let target = target(&folder, vec![server.url()]);
    fs::create_dir_all(target.path.parent().unwrap()).unwrap();
    let part = Part::new(&target.path);
    fs::write(&part.path, &body).unwrap();
    fs::write(&part.version, "\"1\"").unwrap();
    assert_eq!(get(&target).unwrap(), Outcome::Downloaded);
    assert_eq!(server.ranges(), [Some(100_000)]);
    assert_eq!(fs::read(&target.path).unwrap(), body);
}

#[test]
fn wrong_bytes_are_refused_by_the_recorded_hash() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&bytes(100_000), "1", &[Reply::Serve]);
    let target = target(&folder, vec![server.url()]);
    get(&target).unwrap();
    fs::remove_file(&target.path).unwrap();
    let evil = Server::start(&vec![0; 100_000], "1", &[Reply::Serve]);
    let error = get(&Target { urls: vec![evil.url()], ..target.clone() }).unwrap_err();
    assert!(matches!(error, DownloadError::Hash { .. }), "{error:?}");
    assert!(!target.path.exists() && !Part::new(&target.path).path.exists(), "nothing wrong is kept");
    assert_eq!(get(&target).unwrap(), Outcome::Downloaded, "the true server still serves");
}

#[test]
fn known_hash_is_verified_on_the_first_download() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(b"abc", "1", &[Reply::Serve]);
    let mut target = target(&folder, vec![server.url()]);
    target.sha256 = Some("00".repeat(32));
    assert!(matches!(get(&target), Err(DownloadError::Hash { .. })));
    target.sha256 = Some("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD".to_owned());
    assert_eq!(get(&target).unwrap(), Outcome::Downloaded);
}

#[test]
fn file_that_changed_on_disk_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&bytes(1000), "1", &[Reply::Serve]);
    let target = target(&folder, vec![server.url()]);
    get(&target).unwrap();
    let mut body = bytes(1000);
    body[500] ^= 1;
    fs::write(&target.path, body).unwrap();
    let error = get(&target).unwrap_err();
    assert!(error.to_string().contains("is recorded; delete the file"), "{error}");
}

#[test]
fn file_put_by_hand_is_checked_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let target = target(&folder, vec![]);
    fs::create_dir_all(target.path.parent().unwrap()).unwrap();
    fs::write(&target.path, b"abc").unwrap();
    let refuse = |_: &Path| Err("no data set".to_owned());
    let error = ensure(&target, &refuse, &QUICK, &ProgressBar::hidden()).unwrap_err();
    assert!(matches!(error, DownloadError::Structure { .. }), "{error:?}");
    assert_eq!(get(&target).unwrap(), Outcome::Recorded);
    assert_eq!(get(&target).unwrap(), Outcome::Verified);
}

#[test]
fn body_that_fails_the_structure_check_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(b"<html>not found</html>", "1", &[Reply::Serve]);
    let target = target(&folder, vec![server.url()]);
    let refuse = |path: &Path| Err(format!("{} bytes of HTML", fs::metadata(path).unwrap().len()));
    let error = ensure(&target, &refuse, &QUICK, &ProgressBar::hidden()).unwrap_err();
    assert!(error.to_string().contains("22 bytes of HTML"), "{error}");
    assert_eq!(fs::read_dir(folder.path().join("cache")).unwrap().count(), 0);
}

#[test]
fn size_far_from_the_published_one_is_refused_before_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&bytes(100_000), "1", &[Reply::Serve]);
    let target = Target { megabytes: Some(500), ..target(&folder, vec![server.url()]) };
    let error = get(&target).unwrap_err();
    assert!(matches!(error, DownloadError::Size { expected: 500, found: 100_000, .. }), "{error:?}");
    assert_eq!(Part::new(&target.path).len(), 0);
}

#[test]
fn offline_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago: connections are refused.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = target(&folder, vec![format!("http://127.0.0.1:{port}/set.hdf5")]);
    let error = get(&target).unwrap_err();
    assert!(matches!(error, DownloadError::Offline { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("offline") && text.contains("--base-url") && text.contains("set.hdf5"), "{text}");
}

#[test]
fn second_mirror_serves_when_the_first_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (
        Server::start(b"", "1", &[Reply::Status(404)]),
        Server::start(&bytes(5000), "1", &[Reply::Status(503), Reply::Serve]),
    );
    let error = get(&target(&folder, vec![first.url()])).unwrap_err();
    assert!(matches!(error, DownloadError::Refused { status: 404, .. }), "{error:?}");
    let target = target(&folder, vec![first.url(), second.url()]);
    assert_eq!(get(&target).unwrap(), Outcome::Downloaded);
    assert_eq!(second.ranges().len(), 2, "a busy server is asked again");
}
