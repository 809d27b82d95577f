//! Stack traces of Java (and other languages of the JVM), Python and Go, as their own runtimes print them. A trace of
//! Java or Python goes on with the line before it, which is what was logged with it. A panic of Go begins a record.

/// Which languages' traces are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    java: bool,
    python: bool,
    go: bool,
}

/// What the last line of a record was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Text,
    /// A JSON object or an empty line, which is a record by itself.
    Alone,
    Java,
    /// Within the frames of Python.
    PythonFrames,
    /// The exception after them.
    PythonException,
    /// Between two of Python's traces.
    PythonBetween,
    GoPanic,
    GoFrames,
    /// An empty line after the frames of Go.
    GoBetween,
}

/// The names that [`Traces::parse`] knows.
pub(super) const NAMES: [&str; 4] = ["java", "python", "go", "auto"];

/// What Java writes before an uncaught exception.
const THREAD: &str = "Exception in thread \"";

impl Traces {
    /// Names of languages, with commas between them; none if a text is anything else.
    pub(crate) fn parse(text: &str) -> Option<Traces> {
        let mut traces = Traces::default();
        for name in text.split(',') {
            match name {
                "java" => traces.java = true,
                "python" => traces.python = true,
                "go" => traces.go = true,
                "auto" => {
                    traces = Traces {
                        java: true,
                        python: true,
                        go: true,
                    }
                }
                _ => return None,
            }
        }
        Some(traces)
    }

    /// What the first line of a record is.
    pub(crate) fn begin(self, line: &str) -> State {
        if line.is_empty() || line.starts_with('{') {
            State::Alone
        } else if self.java && is_java_exception(line) {
            State::Java
        } else if self.python && is_traceback(line) {
            State::PythonFrames
        } else if self.go && (is_go_panic(line) || line.contains(" panic serving ")) {
            State::GoPanic
        } else if self.go && is_goroutine(line) {
            State::GoFrames
        } else {
            State::Text
        }
    }

    /// What a line is that goes on with a record; none if it begins another.
    pub(crate) fn next(self, state: State, line: &str) -> Option<State> {
        if state == State::Alone {
            return None;
        }
        if self.java && is_java_frame(line) {
            return Some(State::Java);
        }
        match state {
            // What ends a thread was not logged with anything.
            State::Text if self.java && !line.starts_with(THREAD) && is_java_exception(line) => {
                Some(State::Java)
            }
            State::Text if self.python && is_traceback(line) => Some(State::PythonFrames),
            State::PythonFrames | State::PythonException | State::PythonBetween => {
                python_next(state, line)
            }
            State::GoPanic | State::GoFrames | State::GoBetween => go_next(state, line),
            State::Text | State::Alone | State::Java => None,
        }
    }
}

/// `java.lang.IllegalStateException: message`, perhaps with the thread before it.
fn is_java_exception(line: &str) -> bool {
    let line = match line.strip_prefix(THREAD) {
        Some(rest) => rest.split_once("\" ").map_or("", |(_, rest)| rest),
        None => line,
    };
    let is_of_name = |next: char| next.is_alphanumeric() || matches!(next, '_' | '$' | '.');
    let (name, message) = match line.find(|next| !is_of_name(next)) {
        Some(end) => line.split_at(end),
        None => (line, ""),
    };
    let Some((package, class)) = name.rsplit_once('.') else {
        return false;
    };
    let ends = message.is_empty() || message.starts_with(": ") || message == ":";
    let names = ["Exception", "Error", "Throwable"];
    ends && !package.is_empty() && names.iter().any(|name| class.contains(name))
}

/// A line that only a trace has.
fn is_java_frame(line: &str) -> bool {
    let text = line.trim_start_matches(['\t', ' ']);
    let is_indented = text.len() < line.len();
    let is_omission = text.strip_prefix("... ").is_some_and(|rest| {
        let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        number.parse::<u32>().is_ok() && (rest == "more" || rest == "common frames omitted")
    });
    let is_cause = ["Caused by: ", "Wrapped by: "]
        .iter()
        .any(|cause| text.starts_with(cause));
    let is_other = ["at ", "Suppressed: ", "[CIRCULAR REFERENCE"];
    is_cause || is_indented && (is_omission || is_other.iter().any(|it| text.starts_with(it)))
}

/// Loggers may write something before it on its line.
fn is_traceback(line: &str) -> bool {
    line.trim_end()
        .ends_with("Traceback (most recent call last):")
}

fn python_next(state: State, line: &str) -> Option<State> {
    let is_indented = line.starts_with([' ', '\t']);
    match state {
        State::PythonFrames if is_end_of_group(line) => Some(State::PythonException),
        State::PythonFrames if is_indented => Some(State::PythonFrames),
        State::PythonFrames if is_python_exception(line) => Some(State::PythonException),
        State::PythonException if is_indented => Some(State::PythonException),
        State::PythonException if line.is_empty() => Some(State::PythonBetween),
        State::PythonBetween if is_traceback(line) => Some(State::PythonFrames),
        State::PythonBetween => {
            let links = [
                "During handling of the above exception",
                "The above exception was",
            ];
            let is_link = links.iter().any(|link| line.starts_with(link));
            (is_link || line.is_empty()).then_some(State::PythonBetween)
        }
        _ => None,
    }
}

/// `    +------------------------------------`, after the last exception of a group.
fn is_end_of_group(line: &str) -> bool {
    let dashes = line.trim_start().strip_prefix('+');
    dashes.is_some_and(|dashes| dashes.len() > 1 && dashes.bytes().all(|byte| byte == b'-'))
}

/// `app.errors.Failed: message`, or only the name.
fn is_python_exception(line: &str) -> bool {
    let name = line.split(": ").next().unwrap_or_default();
    let name = name.strip_suffix(':').unwrap_or(name);
    let is_of_name = |next: char| next.is_alphanumeric() || matches!(next, '_' | '.');
    name.starts_with(char::is_alphabetic) && name.chars().all(is_of_name)
}

fn is_go_panic(line: &str) -> bool {
    line.starts_with("panic: ") || line.starts_with("fatal error: ")
}

/// `goroutine 1 [running]:`
fn is_goroutine(line: &str) -> bool {
    let rest = line.strip_prefix("goroutine ");
    rest.is_some_and(|rest| {
        rest.starts_with(|next: char| next.is_ascii_digit()) && rest.ends_with("]:")
    })
}

fn go_next(state: State, line: &str) -> Option<State> {
    if is_goroutine(line) || line == "runtime stack:" {
        return Some(State::GoFrames);
    }
    match state {
        State::GoPanic => {
            let text = line.trim_start_matches('\t');
            let is_more = line.is_empty() || is_go_panic(text) || line.starts_with("[signal ");
            is_more.then_some(State::GoPanic)
        }
        State::GoFrames if line.is_empty() => Some(State::GoBetween),
        State::GoFrames => is_go_frame(line).then_some(State::GoFrames),
        _ => is_register(line).then_some(State::GoBetween),
    }
}

/// A function with its arguments, its place, or what started it.
fn is_go_frame(line: &str) -> bool {
    let name = line.split('(').next().unwrap_or_default();
    let is_call = line.ends_with(')') && !name.is_empty() && !name.contains(' ');
    line.starts_with('\t')
        || line.starts_with("created by ")
        || is_call
        || line.starts_with("...") && line.contains("frames elided")
}

/// `rax    0x0`, as after a signal.
fn is_register(line: &str) -> bool {
    let (name, value) = line.split_once(' ').unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_name && value.trim_start().starts_with("0x")
}
