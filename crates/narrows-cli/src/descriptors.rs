//! Open files: connections and files each need one.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::terminal::tell;

/// Beside transfers: the runtime's, the list, the report, the journal, standard streams.
const OTHERS: u64 = 48;

/// Allows as many as the system lets this process have: many systems begin with 256 or 1,024.
pub(crate) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit); // what it was will have to do
}

/// Tells if there are too few for so many transfers, each of which has a connection and a file.
pub(crate) fn check(transfers: usize) {
    let needed = OTHERS + 2 * transfers as u64;
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < needed) {
        tell(format_args!(
            "narrows: --limit {transfers} needs up to {needed} open files, and {allowed} are allowed: raise that \
             (ulimit -Hn) or lower --limit"
        ));
    }
}
