//! Where the value of a setting came from, a flag or an environment variable, so that a message can name
//! what to change. Looks at arguments and environment, and changes neither.

use std::any::TypeId;
use std::env;
use std::ffi::OsString;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Args, Command};

use super::numbers::Share;
use crate::client::GiveUp;
use crate::store::Limit;

/// Lets a value begin with a hyphen where the option could not take it otherwise either: then it is the
/// option's own parser that refuses it, which names the option.
pub(super) fn with_hyphens(argument: Arg) -> Arg {
    if argument.is_positional() || !argument.get_action().takes_values() {
        return argument;
    }
    let parser = argument.get_value_parser();
    let is_number = [
        TypeId::of::<u16>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<Share>(),
        TypeId::of::<Duration>(),
        TypeId::of::<GiveUp>(),
        TypeId::of::<Limit>(),
    ]
    .into_iter()
    .any(|number| parser.type_id() == number);
    if is_number || parser.possible_values().is_some() {
        argument.allow_hyphen_values(true)
    } else {
        argument.allow_negative_numbers(true)
    }
}

/// The flag that `error` complains about.
pub(super) fn flag_of(
    error: &clap::Error,
    command: &Command,
    arguments: &[OsString],
) -> Option<String> {
    if error.kind() == ErrorKind::InvalidUtf8 {
        return flag_without_text(command, arguments);
    }
    let ContextValue::String(usage) = error.get(ContextKind::InvalidArg)? else {
        return None;
    };
    usage.split([' ', '=']).next().map(str::to_owned)
}

/// The flag whose value is no UTF-8: an argument, or else a variable.
fn flag_without_text(command: &Command, arguments: &[OsString]) -> Option<String> {
    let is_bad = |text: &OsString| text.to_str().is_none();
    if let Some(at) = arguments.iter().position(is_bad) {
        let own = arguments[at].to_string_lossy().into_owned();
        let before = at.checked_sub(1).and_then(|at| arguments[at].to_str());
        return match own.split_once('=') {
            Some((flag, _)) if flag.starts_with("--") => Some(flag.to_owned()),
            _ => before
                .filter(|flag| flag.starts_with('-'))
                .map(str::to_owned),
        };
    }
    let subcommand = arguments.get(1)?.to_str()?;
    let options = command.find_subcommand(subcommand)?.get_arguments();
    let mut bad = options.filter(|option| {
        let value = option.get_env().and_then(env::var_os);
        value.as_ref().is_some_and(is_bad) && !is_given(&flag_name(option), arguments)
    });
    bad.next().map(flag_name)
}

fn flag_name(option: &Arg) -> String {
    format!("--{}", option.get_long().unwrap_or_default())
}

/// The variable that gave the value of `flag`: one is set, and the flag is not in `arguments`.
pub(super) fn variable_of<'a>(
    flag: &str,
    mut options: impl Iterator<Item = &'a Arg>,
    arguments: &[OsString],
) -> Option<String> {
    if is_given(flag, arguments) {
        return None;
    }
    let name = options
        .find(|argument| {
            argument
                .get_long()
                .is_some_and(|long| flag.strip_prefix("--") == Some(long))
        })?
        .get_env()?;
    env::var_os(name).map(|_| name.to_string_lossy().into_owned())
}

fn is_given(flag: &str, arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| {
        argument
            .to_string_lossy()
            .strip_prefix(flag)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

/// The end of a sentence about the value that `flag` has in this process: nothing where the flag was given.
pub(super) fn origin_of<A: Args>(flag: &str) -> String {
    let arguments: Vec<OsString> = env::args_os().collect();
    let command = A::augment_args(Command::new("logagg"));
    variable_of(flag, command.get_arguments(), &arguments).map_or_else(String::new, |variable| {
        format!("; the value came from the environment variable {variable}")
    })
}
