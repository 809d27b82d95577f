//! `export`: the events of a server as NDJSON.

use std::fs::{self, File};
use std::io::{self, stdout, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::meter::Meter;
use super::tail::{gap, last_seq};
use super::terminal::cannot_write;
use super::{client_of, Failure};
use crate::client::{Client, ClientArgs, GiveUp, Item, Subscription};
use crate::limits::CLIENT_BUFFER_BYTES;

/// How long it goes on without a server where the arguments do not say.
const GIVE_UP: GiveUp = GiveUp::After(Duration::from_secs(300));

/// Write the events of a server as NDJSON, one JSON object a line
///
/// Writes what is stored when it begins, in the order of the seqs. Goes on by itself behind a lost
/// connection. `logagg import` reads what it wrote.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Topic to export; with * at the end all that begin so; may be repeated; none means all
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,

    /// Begin behind this seq
    #[arg(long, value_name = "SEQ", default_value = "0")]
    after: u64,

    /// File to write, in place of standard output, which is - here; it must not exist
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Go on behind the last event of a file that an export has begun
    #[arg(long, requires = "output")]
    resume: bool,

    #[command(flatten)]
    client: ClientArgs,
}

/// Exports, and says how much.
pub fn run(arguments: ExportArgs) -> Result<(), Failure> {
    let mut client = client_of(&arguments.client, GIVE_UP)?;
    let (mut sink, after) = Sink::open(&arguments)?;
    let last = last_seq(&client)?;
    // A bar would stand between the lines.
    let meter = match arguments.output.is_none() && stdout().is_terminal() {
        true => Meter::none(),
        false => Meter::of_numbers(last.saturating_sub(after)),
    };
    let beside = meter.clone();
    client.tell_with(move |sentence| beside.tell(&format!("logagg: {sentence}")));
    let mut subscription = Subscription::new(&client, &arguments.topic, after, false);
    let mut events = 0;
    let copied = copy(&client, &mut subscription, &mut sink, &mut events, |seq| {
        meter.show(seq - after, String::new);
    });
    // What has come is written also where the rest has not.
    let finished = sink.finish();
    meter.end();
    let seq = subscription.after();
    client.tell(&format!("{events} events exported, up to seq {seq}"));
    if let (true, Some(path)) = (copied.is_err(), &arguments.output) {
        client.tell(&format!("--resume goes on with {}", path.display()));
    }
    copied.and(finished)
}

fn copy(
    client: &Client,
    subscription: &mut Subscription,
    sink: &mut Sink,
    events: &mut u64,
    show: impl Fn(u64),
) -> Result<(), Failure> {
    while subscription.wait()? {
        while let Some(item) = subscription.take()? {
            match item {
                Item::Event { line, .. } => {
                    sink.line(line)?;
                    *events += 1;
                }
                Item::Gap { from, to } => client.tell(&gap(from, to)),
            }
        }
        show(subscription.after());
    }
    Ok(())
}

/// Where the lines go.
enum Sink {
    Standard(BufWriter<io::StdoutLock<'static>>),
    File(BufWriter<File>, PathBuf),
}

impl Sink {
    /// The sink, and the seq behind which to begin.
    fn open(arguments: &ExportArgs) -> Result<(Sink, u64), Failure> {
        let is_file = |path: &&PathBuf| path.as_os_str() != "-";
        let Some(path) = arguments.output.as_ref().filter(is_file) else {
            if arguments.resume {
                let sentence = "--resume needs a file to go on with, not standard output";
                return Err(Failure::Setting(sentence.to_owned()));
            }
            let out = BufWriter::with_capacity(CLIENT_BUFFER_BYTES, stdout().lock());
            return Ok((Sink::Standard(out), arguments.after));
        };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::Failed(format!(
                "{} exists; remove it, or go on with it by --resume",
                path.display()
            )),
            _ => cannot_write_file(path, &error),
        };
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true);
        match arguments.resume {
            true => options.create(true),
            false => options.create_new(true),
        };
        let mut file = options.open(path).map_err(failed)?;
        let (end, line) = last_line(&mut file).map_err(failed)?;
        let after = match line {
            None => arguments.after,
            Some(line) => seq_of(&line).ok_or_else(|| {
                let name = path.display();
                Failure::Failed(format!("{name} does not end with an event of an export"))
            })?,
        };
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        let out = BufWriter::with_capacity(CLIENT_BUFFER_BYTES, file);
        Ok((Sink::File(out, path.clone()), after.max(arguments.after)))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        match self {
            Sink::Standard(out) => write_line(out, line).map_err(cannot_write),
            Sink::File(out, path) => {
                write_line(out, line).map_err(|error| cannot_write_file(path, &error))
            }
        }
    }

    /// Hands all to the disk.
    fn finish(self) -> Result<(), Failure> {
        match self {
            Sink::Standard(mut out) => out.flush().map_err(cannot_write),
            Sink::File(out, path) => {
                let file = out.into_inner().map_err(io::IntoInnerError::into_error);
                let synced = file.and_then(|file| file.sync_all());
                synced.map_err(|error| cannot_write_file(&path, &error))
            }
        }
    }
}

fn write_line(out: &mut impl Write, line: &[u8]) -> io::Result<()> {
    out.write_all(line)?;
    out.write_all(b"\n")
}

fn cannot_write_file(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot write {}: {error}", path.display()))
}

/// Where the last whole line of a file ends, and that line without its end; none where there is none.
fn last_line(file: &mut File) -> io::Result<(u64, Option<Vec<u8>>)> {
    let mut start = file.seek(SeekFrom::End(0))?;
    // What stands from `start` on.
    let mut text: Vec<u8> = Vec::new();
    loop {
        let end = memchr::memrchr(b'\n', &text);
        let before = end.and_then(|end| memchr::memrchr(b'\n', &text[..end]));
        match (end, before) {
            (Some(end), Some(before)) => {
                let line = text[before + 1..end].to_vec();
                return Ok((start + end as u64 + 1, Some(line)));
            }
            (Some(end), None) if start == 0 => {
                return Ok((end as u64 + 1, Some(text[..end].to_vec())));
            }
            (None, _) if start == 0 => return Ok((0, None)),
            _ => {}
        }
        let length = start.min(text.len().max(CLIENT_BUFFER_BYTES) as u64);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let mut longer = Vec::with_capacity(length as usize + text.len());
        file.take(length).read_to_end(&mut longer)?;
        longer.append(&mut text);
        text = longer;
    }
}

fn seq_of(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Event {
        seq: u64,
    }
    let event: Event = serde_json::from_slice(line).ok()?;
    Some(event.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file without a name.
    fn file(text: &[u8]) -> File {
        let folder = std::env::temp_dir();
        let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR;
        let mut file = match rustix::fs::open(&folder, flags, rustix::fs::Mode::RUSR) {
            Ok(descriptor) => File::from(descriptor),
            Err(error) => panic!("{}: {error}", folder.display()),
        };
        file.write_all(text).unwrap();
        file
    }

    #[test]
    fn the_last_whole_line_is_found() {
        let long = "x".repeat(3 * CLIENT_BUFFER_BYTES);
        for (text, end, line) in [
            ("".to_owned(), 0, None),
            ("half".to_owned(), 0, None),
            (long.clone(), 0, None),
            ("one\n".to_owned(), 4, Some("one")),
            ("one\nha".to_owned(), 4, Some("one")),
            ("one\ntwo\nha".to_owned(), 8, Some("two")),
            (format!("{long}\n{long}"), long.len() + 1, Some(&long[..])),
            (format!("a\n{long}\n"), long.len() + 3, Some(&long[..])),
        ] {
            let found = last_line(&mut file(text.as_bytes())).unwrap();
            let line = line.map(|line| line.as_bytes().to_vec());
            assert!(found == (end as u64, line), "{} bytes", text.len());
        }
    }
}
