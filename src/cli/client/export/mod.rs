//! `export`: the events of a server as NDJSON.

mod file;

use std::fs::File;
use std::io::{self, stdout, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use file::ExportFile;

use super::connect::client_of;
use super::filters::{FilterArgs, Query};
use super::tail::gap;
use crate::cli::failure::Failure;
use crate::cli::progress::TransferProgress;
use crate::cli::terminal::cannot_write;
use crate::client::{Client, ClientArgs, GiveUp, Head, Item, Subscription};
use crate::limits::CLIENT_BUFFER_BYTES;

/// How long it goes on without a server where the arguments do not say.
const GIVE_UP: GiveUp = GiveUp::After(Duration::from_secs(300));

/// Write the events of a server as NDJSON, one JSON object a line
///
/// Writes what is stored when it begins, in the order of the seqs. Reconnects after a lost
/// connection. `logagg import` reads what it wrote.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Begin after this seq
    #[arg(long, value_name = "SEQ", default_value = "0")]
    after: u64,

    /// File to write instead of standard output; it must not exist. - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Resume after the last event of a partly written file
    ///
    /// Only if the server has this event; else the file is of another database, and is not changed. The filters must
    /// be those that began the file; an age, as in --since 1d, stays the time that it was then.
    #[arg(long, requires = "output")]
    resume: bool,

    #[command(flatten)]
    filters: FilterArgs,

    #[command(flatten)]
    client: ClientArgs,
}

/// Exports, and says how much.
pub(crate) fn run(arguments: ExportArgs) -> Result<(), Failure> {
    let mut client = client_of(&arguments.client, GIVE_UP)?;
    let asked = arguments.filters.query(&[], &[], &[]);
    let path = output_path(&arguments)?;
    if path.is_some() && !asked.is_topics_only() {
        // An empty page: wrong filters must not leave a file behind.
        let target = format!("/events?limit=1&before=0{}", asked.text());
        let answer = client.persist(|| client.get(&target));
        answer.map_err(|error| asked.failure(error))?;
    }
    let file = match path {
        None => None,
        Some(path) => Some(ExportFile::open(path, arguments.resume)?),
    };
    let begun_with = match &file {
        None => None,
        Some(file) => file.check_filters(&asked)?,
    };
    let head = Head::fetch(&client)?;
    let fixed = match begun_with {
        Some(text) => text,
        None => asked.clone().fixed(&client)?.text(),
    };
    let (mut sink, after) = match file {
        None => {
            let out = BufWriter::with_capacity(CLIENT_BUFFER_BYTES, stdout().lock());
            (Sink::Standard(out), arguments.after)
        }
        Some(file) => {
            file.check_history(&client, &head)?;
            let (out, path, after) = file.begin(&head, [&asked.text(), &fixed], arguments.after)?;
            (Sink::File(out, path), after)
        }
    };
    // A bar would be between the lines.
    let progress = match matches!(sink, Sink::Standard(_)) && stdout().is_terminal() {
        true => TransferProgress::none(),
        false => TransferProgress::of_numbers(head.last_seq.saturating_sub(after)),
    };
    let beside = progress.clone();
    client.report_with(move |sentence| beside.report(&format!("logagg: {sentence}")));
    let subscription = Subscription::new(&client, &asked.for_stream(fixed), after, false);
    let mut subscription = subscription.of_database(head.database_id);
    let mut events = 0;
    let copied = copy(
        &client,
        &asked,
        &mut subscription,
        &mut sink,
        &mut events,
        |seq| {
            progress.show(seq - after, String::new);
        },
    );
    // What has come is written even if the rest has not.
    let finished = sink.finish();
    progress.end();
    let seq = subscription.after();
    client.report(&format!("{events} events exported, up to seq {seq}"));
    if let (true, Some(path)) = (copied.is_err(), output_path(&arguments)?) {
        client.report(&format!("--resume goes on with {}", path.display()));
    }
    copied.and(finished)
}

/// The file to write; none for standard output.
fn output_path(arguments: &ExportArgs) -> Result<Option<&Path>, Failure> {
    let path = arguments.output.as_deref();
    let path = path.filter(|path| path.as_os_str() != "-");
    if path.is_none() && arguments.resume {
        let sentence = "--resume needs a file to go on with, not standard output";
        return Err(Failure::Setting(sentence.to_owned()));
    }
    Ok(path)
}

fn copy(
    client: &Client,
    query: &Query,
    subscription: &mut Subscription,
    sink: &mut Sink,
    events: &mut u64,
    show: impl Fn(u64),
) -> Result<(), Failure> {
    let failed = |error| query.failure(error);
    while subscription.wait().map_err(failed)? {
        while let Some(item) = subscription.take()? {
            match item {
                Item::Event { line, .. } => {
                    sink.line(line)?;
                    *events += 1;
                }
                Item::Gap { from, to } => client.report(&gap(from, to)),
                Item::Reset(reset) => {
                    return Err(Failure::Failed(format!("the export cannot go on: {reset}")));
                }
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
    fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        match self {
            Sink::Standard(out) => write_line(out, line).map_err(cannot_write),
            Sink::File(out, path) => {
                write_line(out, line).map_err(|error| file::cannot_write(path, &error))
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
                synced.map_err(|error| file::cannot_write(&path, &error))
            }
        }
    }
}

fn write_line(out: &mut impl Write, line: &[u8]) -> io::Result<()> {
    out.write_all(line)?;
    out.write_all(b"\n")
}
