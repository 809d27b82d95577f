//! Which lines belong to the record that the line before them belongs to.
//!
//! Only the content decides that, never the time of reading, so a record has the same lines when it is read again.

use regex_lite::Regex;

use super::traces::{State, Traces, NAMES};
use crate::cli::similar::nearest;
use crate::limits::SHIP_PATTERN_BYTES;

/// How lines become records.
#[derive(Clone, Debug)]
pub(crate) enum Multiline {
    /// A line that matches begins a record, and all others go on with it.
    Begin(Regex),
    /// Stack traces go on with the line before them; all other lines are records.
    Traces(Traces),
}

impl Multiline {
    /// Names of languages, or else the pattern of the first line of a record.
    ///
    /// # Errors
    /// What is wrong with the pattern, or which name was meant.
    pub(crate) fn parse(text: &str) -> Result<Multiline, String> {
        if let Some(traces) = Traces::parse(text) {
            return Ok(Multiline::Traces(traces));
        }
        if text.is_empty() {
            return Err("it is empty, and would match each line".to_owned());
        }
        if let Some(meant) = misspelled(text) {
            return Err(format!(
                "it is none of the names {}; did you mean {meant}? As a pattern it is ({text})",
                NAMES.join(", ")
            ));
        }
        let pattern = Regex::new(text).map_err(|error| error.to_string())?;
        Ok(Multiline::Begin(pattern))
    }

    /// What is known after the first line of a record.
    pub(super) fn begin(&self, line: &str) -> State {
        match self {
            Multiline::Begin(_) => State::default(),
            Multiline::Traces(traces) => traces.begin(line),
        }
    }

    /// Whether a line goes on with the record.
    pub(super) fn continues(&self, state: &mut State, line: &str) -> bool {
        match self {
            Multiline::Begin(pattern) => !pattern.is_match(head(line)),
            Multiline::Traces(traces) => match traces.next(*state, line) {
                Some(next) => {
                    *state = next;
                    true
                }
                None => false,
            },
        }
    }
}

/// The names that a text seems to mean, if it is words with commas between them, of which one is nearly a name, or one
/// among others is a name.
fn misspelled(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_word = |word: &&str| word.chars().all(char::is_alphabetic);
    let meant = words
        .iter()
        .filter_map(|word| nearest(word, NAMES.into_iter()));
    let meant: Vec<String> = meant.collect();
    (words.iter().all(is_word) && !meant.is_empty()).then(|| meant.join(","))
}

/// The part of a line that a pattern is looked for in.
fn head(line: &str) -> &str {
    let mut end = line.len().min(SHIP_PATTERN_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records that lines become.
    fn records(multiline: &str, text: &str) -> Vec<String> {
        let multiline = Multiline::parse(multiline).unwrap();
        let mut records: Vec<String> = Vec::new();
        let mut state = State::default();
        for line in text.lines() {
            match records.last_mut() {
                Some(record) if multiline.continues(&mut state, line) => {
                    *record += "\n";
                    *record += line;
                }
                _ => {
                    state = multiline.begin(line);
                    records.push(line.to_owned());
                }
            }
        }
        records
    }

    /// Traces between other lines: each is one record.
    fn assert_records(multiline: &str, expected: &[&str]) {
        assert_eq!(records(multiline, &expected.join("\n")), expected);
    }

    #[test]
    fn a_line_that_matches_begins_a_record() {
        let expected = [
            "in the middle\n  x",
            "2026-01-02 a",
            "2026-01-02 b\n\n  c\nd",
        ];
        assert_records(r"^\d{4}-", &expected);
        let far = format!("{}MARK", "x".repeat(SHIP_PATTERN_BYTES));
        assert_eq!(records("MARK", &format!("a\n{far}")).len(), 1);
        for wrong in ["", "(", "a{2,1}"] {
            assert!(Multiline::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_word_that_is_nearly_a_name_is_no_pattern() {
        for (text, meant) in [
            ("jave", "java"),
            ("Java", "java"),
            ("pyhton", "python"),
            ("java, python", "java,python"),
            ("java,ruby", "java"),
            ("auot", "auto"),
        ] {
            let error = Multiline::parse(text).unwrap_err();
            let question = format!("did you mean {meant}?");
            assert!(error.contains(&question), "{text}: {error}");
            Multiline::parse(&format!("({text})")).unwrap();
        }
        for pattern in [
            "MARK",
            "begin",
            "^java",
            "java:",
            "[a-z]",
            "jave.*",
            "INFO,ERROR",
        ] {
            assert!(
                matches!(Multiline::parse(pattern), Ok(Multiline::Begin(_))),
                "{pattern}"
            );
        }
    }

    const JAVA: &str = "2026-11-30 01:02:03 ERROR [main] com.example.App - it failed\n\
        java.lang.IllegalStateException: cannot start\n\
        \tat com.example.App.run(App.java:42) ~[app.jar:1.0]\n\
        \tat java.base/java.lang.Thread.run(Thread.java:840)\n\
        \tSuppressed: java.io.IOException: close\n\
        \t\tat com.example.Db.close(Db.java:7)\n\
        \t\t... 2 more\n\
        Caused by: java.net.ConnectException: Connection refused\n\
        \tat java.base/sun.nio.ch.Net.pollConnect(Native Method)\n\
        \t... 12 common frames omitted";

    const PYTHON: &str = "ERROR:root:it failed\n\
        Traceback (most recent call last):\n\
        \x20 File \"/app/x.py\", line 3, in f\n\
        \x20   return 1 / 0\n\
        \x20          ~~^~~\n\
        ZeroDivisionError: division by zero\n\
        \n\
        During handling of the above exception, another exception occurred:\n\
        \n\
        Traceback (most recent call last):\n\
        \x20 File \"/app/x.py\", line 9, in <module>\n\
        \x20   raise app.errors.Failed from None\n\
        app.errors.Failed";

    const GO: &str = "panic: runtime error: invalid memory address or nil pointer dereference\n\
        [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48f3a1]\n\
        \n\
        goroutine 1 [running]:\n\
        main.(*Server).handle(0x0, {0xc000012345, 0x3})\n\
        \t/app/main.go:12 +0x21\n\
        main.main()\n\
        \t/app/main.go:8 +0x1d\n\
        \n\
        goroutine 18 [select, 2 minutes]:\n\
        net/http.(*Transport).dialConnFor.func1.1(...)\n\
        \t/usr/local/go/src/net/http/transport.go:1 +0x5\n\
        created by main.main in goroutine 1\n\
        \t/app/main.go:6 +0x40";

    const GO_HTTP: &str = "2026/11/30 01:02:03 http: panic serving 127.0.0.1:5: boom\n\
        goroutine 34 [running]:\n\
        net/http.(*conn).serve.func1()\n\
        \t/usr/local/go/src/net/http/server.go:1947 +0xbe\n\
        panic({0x6b2f40?, 0x7a3f10?})\n\
        \t/usr/local/go/src/runtime/panic.go:785 +0x132";

    const PYTHON_GROUP: &str = "2026-11-30 01:02:03,314 ERROR app group\n\
        \x20 + Exception Group Traceback (most recent call last):\n\
        \x20 |   File \"/app/x.py\", line 11, in <module>\n\
        \x20 |     raise ExceptionGroup(\"many\", [ValueError(1), TypeError(\"x\")])\n\
        \x20 | ExceptionGroup: many (2 sub-exceptions)\n\
        \x20 +-+---------------- 1 ----------------\n\
        \x20   | ValueError: 1\n\
        \x20   +---------------- 2 ----------------\n\
        \x20   | TypeError: x\n\
        \x20   +------------------------------------";

    const JAVA_THREAD: &str =
        "Exception in thread \"main\" java.lang.RuntimeException: java.lang.Error: x\n\
        \tat T.main(T.java:10)\n\
        Caused by: java.lang.Error: x\n\
        \tat T.main(T.java:10)";

    #[test]
    fn traces_are_one_record_with_the_line_before_them() {
        let lines = [
            "2026-11-30 01:02:04 INFO next",
            "{\"n\":1}",
            "INFO:root:and one more",
            "12 (x) y",
        ];
        for (multiline, trace) in [
            ("java", JAVA),
            ("java", JAVA_THREAD),
            ("python", PYTHON_GROUP),
            ("python", PYTHON),
            ("go", GO),
            ("go", GO_HTTP),
        ] {
            for after in lines {
                assert_records(multiline, &["INFO:root:before", "{}", trace, after, after]);
                assert_records("auto", &["INFO:root:before", "{}", trace, after, after]);
                assert_records("java,python,go", &[trace, after, trace, after]);
            }
        }
    }

    #[test]
    fn what_is_no_trace_stays_apart() {
        for lines in [
            &["a", "  indented", "b", "", "c"][..],
            &["a.b.c", "at x", "... 5", "Caused by nothing"],
            &["java.lang.A is fine", "x.Error", "y.Error"][1..],
            &["{\"a\":1}", "java.lang.Error: x", "", "java.lang.Error: y"],
        ] {
            let text = lines.join("\n");
            let found = records("auto", &text);
            assert!(found.len() >= lines.len() - 1, "{found:?}");
        }
        assert_records("python", &["a", "java.lang.Error: x", "\tat a.b(C.java:1)"]);
        assert_records("go", &["a", "Traceback (most recent call last):"]);
    }
}
