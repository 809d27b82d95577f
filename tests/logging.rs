//! The log against real files, pipes and terminals: what a reader sees, and that one who does not read
//! never stops the program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use log::{Level, LevelFilter, Log, MetadataBuilder, Record};
use logagg::limits::{LOG_BUFFER_BYTES, LOG_WRITE_BYTES};
use logagg::logging::{self, Format, LogDuplicates, LogSettings, Logger};
use rustix::fs::{mknodat, FileType, Mode, CWD};

/// 2026-01-02T03:04:05.678901Z
const NOW_US: i64 = 1_767_323_045_678_901;
const PREFIX: &str = "2026-01-02T03:04:05.678901Z";

/// A logger holds standard error, which lives as long as the process, so what stands for it must too.
fn for_ever(out: impl Into<OwnedFd>) -> BorrowedFd<'static> {
    let out: &'static OwnedFd = Box::leak(Box::new(out.into()));
    out.as_fd()
}

fn settings(format: Format) -> LogSettings {
    LogSettings {
        level: LevelFilter::Info,
        format,
        access_log: true,
        duplicates: LogDuplicates::Each,
    }
}

fn logger_on(out: impl Into<OwnedFd>) -> Logger {
    let logger = Logger::new(settings(Format::Text), for_ever(out));
    logger.set_now(NOW_US);
    logger
}

fn warn(logger: &Logger, message: &str) {
    logger.log(
        &Record::builder()
            .level(Level::Warn)
            .args(format_args!("{message}"))
            .build(),
    );
}

/// Messages of about 100 bytes until the buffer has overflowed; returns how many.
fn overflow(logger: &Logger) -> u64 {
    let before = logger.dropped();
    let mut count = 0;
    while logger.dropped() == before {
        warn(logger, &format!("message {count} {}", "x".repeat(60)));
        count += 1;
        assert!(
            count < 2 * LOG_BUFFER_BYTES as u64 / 60,
            "the buffer is bounded"
        );
    }
    count
}

fn temporary_file(name: &str) -> (PathBuf, File) {
    let path = std::env::temp_dir().join(format!("logagg-{}-{name}", std::process::id()));
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap();
    (path, file)
}

fn read_and_remove(path: PathBuf) -> String {
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(path).unwrap();
    text
}

/// Checks that `text` is `pushed` numbered lines, except those that reports name. Returns their number.
fn check_numbered(text: &str, pushed: u64) -> u64 {
    let (mut next, mut reported) = (0, 0);
    for line in text.lines() {
        let message = line
            .strip_prefix(&format!("{PREFIX}  WARN "))
            .expect("each line is whole");
        if let Some(lines) = message.strip_prefix("Log lines dropped: ") {
            next += lines.parse::<u64>().unwrap();
            reported += lines.parse::<u64>().unwrap();
        } else {
            assert!(
                message.starts_with(&format!("message {next} x")),
                "{next}: {message}"
            );
            next += 1;
        }
    }
    assert!(text.ends_with('\n'));
    assert_eq!(next, pushed, "each line is there or reported");
    reported
}

#[test]
fn a_file_gets_every_line() {
    let (path, file) = temporary_file("file");
    let logger = logger_on(file);
    for round in 0..3 {
        for number in 0..5_000 {
            warn(&logger, &format!("message {} x", round * 5_000 + number));
        }
        assert!(logger.pending());
        logger.flush();
        assert!(!logger.pending());
    }
    assert_eq!(check_numbered(&read_and_remove(path), 15_000), 0);
    assert_eq!(logger.dropped(), 0);
}

#[test]
fn levels_below_the_filter_are_not_logged() {
    let (path, file) = temporary_file("levels");
    let logger = logger_on(file);
    assert!(logger.enabled(&MetadataBuilder::new().level(Level::Info).build()));
    assert!(!logger.enabled(&MetadataBuilder::new().level(Level::Debug).build()));
    for level in Level::iter() {
        logger.log(
            &Record::builder()
                .level(level)
                .args(format_args!("m"))
                .build(),
        );
    }
    logger.flush();
    let expected = format!("{PREFIX} ERROR m\n{PREFIX}  WARN m\n{PREFIX}  INFO m\n");
    assert_eq!(read_and_remove(path), expected);
}

#[test]
fn what_does_not_fit_is_dropped_and_reported_in_its_place() {
    let (path, file) = temporary_file("overflow");
    let logger = logger_on(file);
    let mut pushed = overflow(&logger);
    for _ in 0..41 {
        warn(&logger, "message after the overflow");
        pushed += 1;
    }
    logger.flush();
    warn(&logger, &format!("message {pushed} x"));
    logger.flush();
    assert_eq!(logger.dropped(), 42);
    assert_eq!(check_numbered(&read_and_remove(path), pushed + 1), 42);
}

#[test]
fn a_pipe_that_nobody_reads_never_blocks_and_later_gets_whole_lines() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let logger = logger_on(writer.try_clone().unwrap());
    let pushed = overflow(&logger);
    // These return although the pipe is full and stays so.
    logger.flush();
    logger.flush();
    logger.flush_blocking(Duration::from_millis(20));
    assert!(logger.pending());

    let mut text = Vec::new();
    let mut piece = [0; 3 * LOG_WRITE_BYTES];
    while logger.pending() {
        let count = reader.read(&mut piece).unwrap();
        text.extend_from_slice(&piece[..count]);
        logger.flush();
    }
    // What is still in the pipe ends with a mark of the test's own.
    (&writer).write_all(b"mark\n").unwrap();
    while !text.ends_with(b"mark\n") {
        let count = reader.read(&mut piece).unwrap();
        text.extend_from_slice(&piece[..count]);
    }
    text.truncate(text.len() - b"mark\n".len());
    let reported = check_numbered(&String::from_utf8(text).unwrap(), pushed);
    assert_eq!(reported, logger.dropped());
}

#[test]
fn flush_blocking_waits_for_a_slow_reader() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let logger = logger_on(writer);
    for number in 0..5_000 {
        warn(&logger, &format!("message {number} {}", "x".repeat(60)));
    }
    let expected =
        5_000 * (PREFIX.len() + "  WARN message ".len() + 61 + 1) + 10 + 180 + 2_700 + 16_000;
    let read = std::thread::spawn(move || {
        let mut text = vec![0; expected];
        reader.read_exact(&mut text).unwrap();
        text
    });
    logger.flush_blocking(Duration::from_secs(60));
    assert!(!logger.pending());
    assert_eq!(
        check_numbered(&String::from_utf8(read.join().unwrap()).unwrap(), 5_000),
        0
    );
}

#[test]
fn a_closed_pipe_costs_lines_and_nothing_else() {
    let (reader, writer) = std::io::pipe().unwrap();
    let logger = logger_on(writer);
    warn(&logger, "message 0 x");
    logger.flush();
    drop(reader);
    for number in 1..=10 {
        warn(&logger, "nobody sees this");
        warn(&logger, "nor this");
        logger.flush();
        assert!(!logger.pending());
        assert_eq!(logger.dropped(), 2 * number);
    }
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let logger = logger_on(OpenOptions::new().write(true).open("/dev/full").unwrap());
    for number in 1..=10 {
        warn(&logger, "nobody sees this");
        logger.flush();
        assert!(!logger.pending());
        assert_eq!(logger.dropped(), number);
    }
}

#[test]
fn a_descriptor_that_cannot_be_written_costs_lines_and_nothing_else() {
    let (path, _file) = temporary_file("read-only");
    let logger = logger_on(File::open(&path).unwrap());
    warn(&logger, "nobody sees this");
    logger.flush();
    assert_eq!(logger.dropped(), 1);
    assert_eq!(read_and_remove(path), "");
}

#[test]
fn lines_arrive_again_once_a_named_pipe_has_a_reader_again() {
    // Opened for reading too, a FIFO without a reader fails nobody's open.
    let path = std::env::temp_dir().join(format!("logagg-{}-fifo", std::process::id()));
    // By no program: one that is started keeps the pipes of other tests open for a moment.
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let first = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let logger = logger_on(OpenOptions::new().write(true).open(&path).unwrap());
    drop(first);
    warn(&logger, "message 0 x");
    warn(&logger, "message 1 x");
    logger.flush();
    assert_eq!(logger.dropped(), 2);

    let mut second = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    warn(&logger, "message 2 x");
    logger.flush();
    assert!(!logger.pending());
    let mut piece = [0; LOG_WRITE_BYTES];
    let count = second.read(&mut piece).unwrap();
    assert_eq!(
        check_numbered(std::str::from_utf8(&piece[..count]).unwrap(), 3),
        2
    );
    fs::remove_file(path).unwrap();
}

#[test]
fn a_socket_that_nobody_reads_never_blocks() {
    let (mut reader, writer) = UnixStream::pair().unwrap();
    let logger = logger_on(writer);
    let pushed = overflow(&logger);
    logger.flush();
    assert!(logger.pending());
    reader.set_nonblocking(true).unwrap();
    let mut text = Vec::new();
    while logger.pending() {
        // Ends with "would block" once all is read.
        reader.read_to_end(&mut text).unwrap_err();
        logger.flush();
    }
    reader.read_to_end(&mut text).unwrap_err();
    assert_eq!(check_numbered(&String::from_utf8(text).unwrap(), pushed), 1);
}

#[test]
fn a_terminal_that_nobody_reads_never_blocks() {
    use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
    let controller =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let path = ptsname(&controller, Vec::new()).unwrap();
    let terminal = OpenOptions::new()
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    let logger = logger_on(terminal);
    let pushed = overflow(&logger);
    logger.flush();
    logger.flush();
    assert!(logger.pending());

    let mut controller = File::from(controller);
    let mut text = Vec::new();
    let mut piece = [0; 65_536];
    while logger.pending() {
        let count = controller.read(&mut piece).unwrap();
        text.extend_from_slice(&piece[..count]);
        logger.flush();
    }
    while !text.ends_with(b"Log lines dropped: 1\r\n") {
        let count = controller.read(&mut piece).unwrap();
        text.extend_from_slice(&piece[..count]);
    }
    // A terminal turns line ends into CR LF.
    let text = String::from_utf8(text).unwrap().replace("\r\n", "\n");
    assert_eq!(check_numbered(&text, pushed), 1);
}

#[test]
fn a_line_longer_than_one_write_arrives_whole() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let logger = logger_on(writer);
    let long = format!("message 0 {}", "x".repeat(3 * LOG_WRITE_BYTES));
    warn(&logger, &long);
    warn(&logger, "message 1 x");
    logger.flush();
    assert!(!logger.pending());
    let mut text =
        vec![0; 2 * (PREFIX.len() + "  WARN \n".len()) + long.len() + "message 1 x".len()];
    reader.read_exact(&mut text).unwrap();
    assert_eq!(check_numbered(&String::from_utf8(text).unwrap(), 2), 0);
}

#[test]
fn json_reports_are_objects_too() {
    let (path, file) = temporary_file("json");
    let logger = Logger::new(settings(Format::Json), for_ever(file));
    overflow(&logger);
    logger.flush();
    for line in read_and_remove(path).lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["level"], "WARN");
        if object["lines"] == 1 {
            assert_eq!(object["message"], "Log lines dropped: 1");
            return;
        }
    }
    panic!("no report was found");
}

/// The only test that installs a logger, which a process can do once.
#[test]
fn a_duplicate_is_one_line_with_its_words_once_and_its_fields_in_json() {
    let path = std::env::temp_dir().join(format!("logagg-{}-duplicate", std::process::id()));
    for format in [Format::Text, Format::Json] {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        let logger: &'static Logger =
            Box::leak(Box::new(Logger::new(settings(format), for_ever(file))));
        RECORDER.with(|recorder| recorder.set(Some(logger)));
        logger.set_now(NOW_US);
        if format == Format::Text {
            log::set_logger(&Forward).unwrap();
            log::set_max_level(LevelFilter::Info);
        }
        logging::duplicate("user.login", "evt-12345", "auth-service");
        logger.flush();
    }
    let text = read_and_remove(path);
    let (first, second) = text.split_once('\n').unwrap();
    let message =
        "Duplicate event detected and dropped: topic=user.login, event_id=evt-12345, source=auth-service";
    assert_eq!(first, format!("{PREFIX}  WARN {message}"));
    let object: serde_json::Value = serde_json::from_str(second).unwrap();
    let expected = serde_json::json!({
        "time": PREFIX, "level": "WARN", "message": message,
        "topic": "user.login", "event_id": "evt-12345", "source": "auth-service"
    });
    assert_eq!(object, expected);
}

thread_local! {
    static RECORDER: std::cell::Cell<Option<&'static Logger>> = const { std::cell::Cell::new(None) };
}

/// Hands records to this thread's logger, so that one process can try two formats.
struct Forward;

impl Log for Forward {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        if let Some(logger) = RECORDER.get() {
            logger.log(record);
        }
    }

    fn flush(&self) {}
}
