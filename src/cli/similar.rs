//! Finds what was meant by a command, a flag or a value that does not exist.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::Command;

use crate::text::changes;

/// Longer words are not compared.
const WORD_MAX_CHARACTERS: usize = 64;

/// The existing word that is most like the one that `error` complains about, if one is like it.
pub(super) fn of(error: &clap::Error, command: &Command, arguments: &[OsString]) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let commands = commands_of(command, arguments);
            let names = commands[commands.len() - 1]
                .get_subcommands()
                .map(|command| command.get_name());
            nearest(text(ContextKind::InvalidSubcommand)?, names)
        }
        ErrorKind::UnknownArgument => {
            let flag = text(ContextKind::InvalidArg)?.strip_prefix("--")?;
            let commands = commands_of(command, arguments);
            let options = commands.iter().flat_map(|command| command.get_arguments());
            let flags = options.filter_map(|option| option.get_long());
            nearest(flag, flags.chain(["help"])).map(|flag| format!("--{flag}"))
        }
        ErrorKind::InvalidValue => {
            let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue) else {
                return None;
            };
            let values = values.iter().map(String::as_str);
            nearest(text(ContextKind::InvalidValue)?, values)
        }
        _ => None,
    }
}

/// The program's command and those that `arguments` name, one in the other.
fn commands_of<'a>(command: &'a Command, arguments: &[OsString]) -> Vec<&'a Command> {
    let mut commands = vec![command];
    for argument in arguments.iter().skip(1) {
        let last = commands[commands.len() - 1];
        let Some(next) = argument
            .to_str()
            .and_then(|name| last.find_subcommand(name))
        else {
            break;
        };
        commands.push(next);
    }
    commands
}

/// The candidate with the fewest changes, where these are at most a third of the word.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    if word.len() > WORD_MAX_CHARACTERS {
        return None;
    }
    let most = (word.len() / 3).max(1);
    let distances = candidates.map(|candidate| (changes(&word, candidate), candidate));
    let (distance, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= most).then(|| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_word_with_the_fewest_changes_is_meant() {
        let words = ["serve", "search", "ship", "stats", "log-duplicates"];
        for (word, meant) in [
            ("srve", Some("serve")),
            ("sevre", Some("serve")),
            ("SERVE", Some("serve")),
            ("shp", Some("ship")),
            ("stat", Some("stats")),
            ("log-duplicate", Some("log-duplicates")),
            ("publish", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, words.into_iter()).as_deref(), meant, "{word}");
        }
        let long = "s".repeat(100_000);
        assert_eq!(nearest(&long, words.into_iter()), None);
    }
}
