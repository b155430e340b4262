//! Lines on stderr. Nothing that came from outside reaches a terminal as it is: control characters
//! are shown escaped.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use narrows::text::printable;

/// A line on stderr, in place of a progress line if there is one. Whoever closed stderr wants none.
pub(crate) fn tell(line: fmt::Arguments<'_>) {
    let text = line.to_string();
    // The lines of a summary are ours; what is in them is not.
    let shown: Vec<_> = text.split('\n').map(printable).collect();
    let mut stderr = io::stderr().lock();
    let _ = match stderr.is_terminal() {
        true => writeln!(stderr, "\r{}\x1b[K", shown.join("\x1b[K\n")),
        false => writeln!(stderr, "{}", shown.join("\n")),
    };
}

/// A line that the next one takes the place of.
pub(crate) fn redraw(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r{}\x1b[K", printable(line)).and_then(|()| stderr.flush());
}

/// Clears the line that redraws itself.
pub(crate) fn clear() {
    let _ = write!(io::stderr(), "\r\x1b[K");
}

/// How wide the terminal of stderr is.
pub(crate) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Whether stderr is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}
