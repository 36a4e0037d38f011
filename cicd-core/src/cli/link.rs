//! What the process that runs a pipeline, the runner, and the one that watches it say to each other.
//!
//! The runner is started with one end of a socket pair as its standard input. In it waits a greeting: a secret number, and the
//! standard input that the runner is to have. It takes both before anything else, so that neither is in its arguments, its
//! environment or anything that a process of a step inherits. Each line that it sends begins with the number: whoever writes into
//! descriptors that it finds open says nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use camino::Utf8Path;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv,
    recvmsg, sendmsg,
};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::model::{Event, ExitStatus, RunId};
use crate::pipeline::{Observer, written};
use crate::process::Secret;

/// What a greeting begins with. Some programs hand sockets to what they start; none says this.
const MAGIC: [u8; 16] = *b"cicd-core runner";
/// Nobody guesses so many random bytes.
const NONCE_BYTES: usize = 32;
const PID_BYTES: usize = size_of::<u32>();
const GREETING_BYTES: usize = MAGIC.len() + NONCE_BYTES + PID_BYTES;
/// No line of ours is longer; whatever comes longer is not ours.
pub(super) const LINE_BYTES_MAX: u64 = 1024;

/// The number that what the runner says begins with, as text.
#[derive(Clone, PartialEq, Eq)]
struct Nonce(String);

impl Nonce {
    fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing into a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}

/// What the runner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It handles signals from now on, once this is answered.
    Listens,
    /// A run begins: its area and its id.
    Began(String, String),
    /// Something in the folder of the run that was searched for secrets.
    Holds(String),
    /// That was all, and how much it was.
    Searched(usize),
    /// The exit code it is about to end with.
    Verdict(u8),
}

/// The watcher's end.
pub(super) struct Watch {
    pub(super) stream: UnixStream,
    nonce: Nonce,
}

impl Watch {
    /// Both ends, the second to be the standard input of a runner that then gets ours.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        hide()?;
        let (stream, theirs) = UnixStream::pair()?;
        let mut nonce = [0; NONCE_BYTES];
        // So few bytes are given whole, or not at all.
        getrandom(&mut nonce, GetRandomFlags::empty())?;
        let greeting = [&MAGIC[..], &nonce, &std::process::id().to_ne_bytes()].concat();
        let stdin = io::stdin();
        let descriptors = [stdin.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut with = SendAncillaryBuffer::new(&mut space);
        if !with.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("a descriptor does not fit into a message"));
        }
        sendmsg(&stream, &[IoSlice::new(&greeting)], &mut with, SendFlags::empty())?;
        Ok((Self { stream, nonce: Nonce::of(&nonce) }, OwnedFd::from(theirs)))
    }

    /// What a line says, if the runner has written it.
    pub(super) fn read(&self, line: &str) -> Option<Said> {
        let said = line.trim_end_matches('\n').strip_prefix(self.nonce.0.as_str())?.strip_prefix(' ')?;
        let mut words = said.split(' ');
        let said = match (words.next()?, words.next(), words.next()) {
            ("listens", None, None) => Said::Listens,
            ("began", Some(area), Some(run)) => Said::Began(area.to_owned(), run.to_owned()),
            ("holds", Some(digest), None) => Said::Holds(digest.to_owned()),
            ("searched", Some(count), None) => Said::Searched(count.parse().ok()?),
            ("verdict", Some(code), None) => Said::Verdict(code.parse().ok()?),
            _ => return None,
        };
        words.next().is_none().then_some(said)
    }
}

/// The runner's end. Clones are one.
#[derive(Clone)]
pub(super) struct Link(Arc<Ends>);

struct Ends {
    stream: UnixStream,
    nonce: Nonce,
}

impl Link {
    /// The link to the process that watches this one, if there is one. It can be taken once: from then on, standard input is
    /// that of the watcher.
    pub(super) fn take() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        let mut start = [0; MAGIC.len()];
        // Anything but a socket in which this waits is an ordinary standard input, from which nothing is taken.
        match recv(&stdin, &mut start, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((count, _)) if count == MAGIC.len() && start == MAGIC => {}
            _ => return Ok(None),
        }
        hide()?;
        let mut greeting = [0; GREETING_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut with = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(&stdin, &mut [IoSliceMut::new(&mut greeting)], &mut with, RecvFlags::CMSG_CLOEXEC)?;
        let descriptor = with.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let (Some(own), GREETING_BYTES) = (descriptor, received.bytes) else {
            return Err(io::Error::other("the process that started this one has not said all it must"));
        };
        let stream = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdin(&own)?;
        let (nonce, watcher) = greeting[MAGIC.len()..].split_at(NONCE_BYTES);
        end_with(watcher)?;
        Ok(Some(Self(Arc::new(Ends { stream, nonce: Nonce::of(nonce) }))))
    }

    /// Tells which run begins.
    pub(super) fn began(&self, area: &str, run: &RunId) {
        self.say(&format!("began {area} {run}"));
    }

    /// Tells what was searched for secrets: what is in the folder of the run beyond it came later.
    pub(super) fn searched(&self, contents: &BTreeSet<String>) {
        contents.iter().for_each(|digest| self.say(&format!("holds {digest}")));
        self.say(&format!("searched {}", contents.len()));
    }

    /// Tells what was written into the folder of the run since, which has no secrets.
    pub(super) fn wrote(&self, run: &Utf8Path) {
        // Where that cannot be read, it counts as what came later.
        let contents = written(run).into_iter().flatten();
        contents.for_each(|digest| self.say(&format!("holds {digest}")));
    }

    /// Tells the exit code that this process is about to end with.
    pub(super) fn verdict(&self, exit: ExitStatus) {
        self.say(&format!("verdict {}", exit.code()));
    }

    /// Tells that signals are handled from now on. Until it is answered, what the watcher gets is passed on as it is; from then on,
    /// it comes by [`relayed`](Self::relayed).
    pub(super) fn listens(&self) -> io::Result<()> {
        self.say("listens");
        let mut answer = String::new();
        self.lines()?.read_line(&mut answer).map(drop)
    }

    /// The signals that the watcher gets. They end when it does.
    pub(super) fn relayed(&self) -> io::Result<impl Iterator<Item = i32> + use<>> {
        Ok(self.lines()?.lines().map_while(|line| line.ok()?.parse().ok()))
    }

    /// Unbuffered but for one line at a time: what is read ahead would be lost to the next reader.
    fn lines(&self) -> io::Result<BufReader<UnixStream>> {
        Ok(BufReader::with_capacity(1, self.0.stream.try_clone()?))
    }

    fn say(&self, what: &str) {
        // A watcher that is gone takes this process with it.
        let _ = (&self.0.stream).write_all(format!("{} {what}\n", self.0.nonce.0).as_bytes());
    }
}

/// Tells the watcher of each run before anything of it is started.
pub(super) struct Announced<'a> {
    pub(super) link: &'a Link,
    pub(super) area: &'static str,
    pub(super) inner: &'a mut dyn Observer,
}

impl Observer for Announced<'_> {
    fn event(&mut self, event: &Event) {
        self.inner.event(event);
    }

    fn secret(&mut self, secret: &Secret) {
        self.inner.secret(secret);
    }

    fn began(&mut self, run: &RunId) {
        self.link.began(self.area, run);
        self.inner.began(run);
    }

    fn searched(&mut self, contents: &BTreeSet<String>) {
        self.link.searched(contents);
        self.inner.searched(contents);
    }

    fn waiting(&mut self, holder: &str) {
        self.inner.waiting(holder);
    }

    fn tick(&mut self) {
        self.inner.tick();
    }
}

/// From now on, nobody but root reads the memory, the environment or the descriptors of this process from `/proc`, not even processes of
/// the same user that it starts: the number and the secrets of the run are in there. What is started is as open as any other.
fn hide() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// From now on, this process is killed when the one that watches it ends, however that ends.
fn end_with(watcher: &[u8]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let watcher = watcher.try_into().map(u32::from_ne_bytes).map_err(io::Error::other)?;
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs());
    if parent != Some(watcher) {
        return Err(io::Error::other("the process that watched this one has ended"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_number_gives_a_verdict() {
        let (watch, _) = Watch::new().expect("descriptors");
        let nonce = watch.nonce.0.clone();
        assert_eq!(nonce.len(), 2 * NONCE_BYTES);
        let said = [
            ("verdict 0\n", Some(Said::Verdict(0))),
            ("verdict 130\n", Some(Said::Verdict(130))),
            ("holds 0a\n", Some(Said::Holds("0a".into()))),
            ("searched 1\n", Some(Said::Searched(1))),
            ("listens\n", Some(Said::Listens)),
            ("began ci 20261121T093015.123Z-1\n", Some(Said::Began("ci".into(), "20261121T093015.123Z-1".into()))),
            ("verdict\n", None),
            ("verdict 0 0\n", None),
            ("verdict 256\n", None),
            ("verdict x\n", None),
            ("passed\n", None),
        ];
        for (line, expected) in said {
            assert_eq!(watch.read(&format!("{nonce} {line}")), expected, "{line}");
            for stranger in ["", "0", &nonce[1..], &"0".repeat(nonce.len()), &format!("x{nonce}")] {
                assert_eq!(watch.read(&format!("{stranger} {line}")), None, "{line}");
            }
            assert_eq!(watch.read(line), None);
        }
        let (other, _) = Watch::new().expect("descriptors");
        assert_eq!(other.read(&format!("{nonce} verdict 0\n")), None, "each runner has a number of its own");
    }
}
