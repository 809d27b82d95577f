//! What the commands show on a terminal: colours where they are wanted, and columns.

use std::io::{self, stdout, IsTerminal, Write};

use clap::ValueEnum;
use rustix::termios::tcgetwinsize;

use super::failure::Failure;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

impl Colour {
    /// Whether standard output is to be coloured.
    pub(super) fn is_wanted(self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
            }
        }
    }
}

/// Writes all that a command prints to standard output.
///
/// # Errors
/// Not all of it could be written.
pub(super) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let written = out.write_all(text).and_then(|()| out.flush());
    written.map_err(cannot_write)
}

/// Writes an answer of the server to standard output, and ends it with one line end.
///
/// # Errors
/// Not all of it could be written.
pub(super) fn print_answer(body: &[u8]) -> Result<(), Failure> {
    print(&[body.trim_ascii_end(), b"\n"].concat())
}

/// The failure for standard output that cannot be written.
pub(super) fn cannot_write(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::Failed(format!("cannot write standard output: {error}")),
    }
}

/// The number of columns of standard output; 80 if it is not known.
pub(super) fn width() -> usize {
    match tcgetwinsize(stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}

/// Rows as aligned columns, numbers to the right. The last column is as wide as it is.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let is_number = |cell: &str| cell.bytes().all(|byte| byte.is_ascii_digit());
    let mut right = [false; N];
    for (column, right) in right.iter_mut().enumerate() {
        *right = rows.iter().skip(1).all(|row| is_number(&row[column]));
    }
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = if column + 1 == N { 0 } else { widths[column] };
            let gap = if column == 0 { "" } else { "  " };
            text += gap;
            text += &match right[column] && width > 0 {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            };
        }
        text.push('\n');
    }
    text
}

/// A number with its digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{grouped, table};

    #[test]
    fn digits_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [
            ["EVENTS", "WHEN", "TOPIC"],
            ["7", "now", "a"],
            ["12345678", "never", "日本"],
        ];
        assert_eq!(
            table(&rows.map(|row| row.map(str::to_owned))),
            "  EVENTS  WHEN   TOPIC\n       7  now    a\n12345678  never  日本\n"
        );
    }
}
