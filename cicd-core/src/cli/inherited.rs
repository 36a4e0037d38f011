//! What whoever starts this program may have set for it, and what it then could not hear.

use std::io;
use std::sync::Arc;

use nix::sys::signal::SigSet;
use signal_hook::consts::SIGCHLD;

/// From now on, this process and what it starts hear every signal, and how its processes end is kept until it asks, whatever it has
/// inherited. To be called before there is another thread.
pub(super) fn undo() -> io::Result<()> {
    SigSet::all().thread_unblock()?;
    // How a process ends whose parent ignores this is forgotten at once. A signal that somebody handles is not ignored, and nobody
    // asks what was handled.
    signal_hook::flag::register(SIGCHLD, Arc::default()).map(drop)
}
