//! What stdout can show.

use std::io::{self, IsTerminal as _};

/// Columns when nothing says how many there are.
const DEFAULT_WIDTH: usize = 100;

/// Fewer columns cannot hold a tree.
const LEAST_WIDTH: usize = 60;

/// What stdout can show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Colours may be used.
    pub(super) colour: bool,
    /// It is said why a span has no parent.
    pub(super) explain: bool,
    width: Option<usize>,
}

/// What a piece of text stands for; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Faint,
    Service,
    Failure,
    Bar,
}

impl Look {
    /// Colours on a terminal only and not with `NO_COLOR`; as wide as `COLUMNS` or the terminal says.
    pub(super) fn of_stdout() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        Self {
            colour: io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
            explain: false,
            width: columns,
        }
    }

    /// The same, and whether it is said why a span has no parent.
    pub(super) fn explaining(self, explain: bool) -> Self {
        Self { explain, ..self }
    }

    /// No colours and a fixed width in columns.
    #[cfg(test)]
    pub(super) fn plain(width: usize) -> Self {
        Self {
            colour: false,
            explain: false,
            width: Some(width),
        }
    }

    /// Columns now: the terminal may have been resized.
    pub(super) fn width(self) -> usize {
        self.width
            .or_else(terminal_width)
            .unwrap_or(DEFAULT_WIDTH)
            .max(LEAST_WIDTH)
    }

    /// `text` in the colour of its style.
    pub(super) fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Faint => "2",
            Style::Service => "36",
            Style::Failure => "31",
            Style::Bar => "32",
            Style::Plain => return text.to_owned(),
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Columns of the terminal that stdout is, if it is one.
fn terminal_width() -> Option<usize> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes a `winsize`, and `size` is one that lives throughout the call.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}
