//! `man`: the manual, a page for the program and one for each command, made of what `--help` says.

use std::fs;
use std::io;
use std::iter;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Args};
use clap_mangen::Man;

use super::failure::Failure;
use super::terminal::print;

/// What the program's own page says besides its help, as roff (groff_man(7)).
const EXIT_STATUS: &str = "\
.SH EXIT STATUS
0 for success, 1 for failure, 2 for a wrong argument, variable or setting, and for clients 128 plus the number of the
signal that ended them. It is 1 if the reader of standard output closes it early, as in \\fBlogagg export | head\\fR;
only a \\fBtail\\fR that follows ends with 0 then. For \\fBsearch\\fR and \\fBget\\fR, 1 means that nothing was
found, 3 that the server could not be asked, and 141 that the reader closed standard output early.
";

/// Print the manual page of the program, or of a command
///
/// To read it at once: logagg man | man -l -
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command, as in subscriptions-list; without it, the program
    command: Option<String>,

    /// Write all pages into this folder, as logagg.1, logagg-serve.1 and so on
    #[arg(long, value_name = "FOLDER", conflicts_with = "command", value_parser = folder)]
    folder: Option<PathBuf>,
}

/// Several pages cannot go to standard output.
fn folder(name: &str) -> Result<PathBuf, &'static str> {
    match name {
        "-" => Err("it must be a folder, not standard output (./- is a folder of this name)"),
        _ => Ok(PathBuf::from(name)),
    }
}

/// Prints a page of the manual of `command`, or writes them all.
pub(super) fn run(command: clap::Command, arguments: ManArgs) -> Result<(), Failure> {
    let mut command = command.disable_help_subcommand(true);
    // Gives the commands their full names and the options that all have.
    command.build();
    if let Some(folder) = arguments.folder {
        let written = write_all(&command, &folder);
        let sentence = |error| format!("cannot write the pages to {}: {error}", folder.display());
        return written.map_err(|error| Failure::Failed(sentence(error)));
    }
    let page = match arguments.command {
        None => page(&command),
        Some(name) => {
            let full = format!("logagg-{name}");
            match all(&command).find(|command| full_name(command) == full) {
                Some(subcommand) => page(subcommand),
                None => return Err(Failure::Setting(format!("there is no command {name:?}"))),
            }
        }
    };
    print(&page)
}

fn write_all(command: &clap::Command, folder: &PathBuf) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for command in all(command) {
        let name = format!("{}.1", full_name(command));
        fs::write(folder.join(name), page(command))?;
    }
    Ok(())
}

/// The program, its commands, and theirs.
fn all(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    let commands = command.get_subcommands();
    let with_own =
        commands.flat_map(|command| iter::once(command).chain(command.get_subcommands()));
    iter::once(command).chain(with_own)
}

fn page(command: &clap::Command) -> Vec<u8> {
    let mut page = Vec::new();
    let man = Man::new(command.clone())
        .title(full_name(command))
        .manual("logagg");
    render(&man, command, &mut page).expect("a buffer takes everything");
    if full_name(command) == "logagg" {
        page.extend_from_slice(EXIT_STATUS.as_bytes());
    }
    page
}

/// The sections, the synopsis with the names of values.
fn render(man: &Man, command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    page.extend_from_slice(synopsis(command).as_bytes());
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    Ok(())
}

/// The section that shows how the command is written (man-pages(7)), as roff.
fn synopsis(command: &clap::Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let mut text = format!(".SH SYNOPSIS\n\\fB{name}\\fR");
    let options = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set());
    let (positional, options): (Vec<&Arg>, Vec<&Arg>) =
        options.partition(|argument| argument.is_positional());
    for argument in options.into_iter().chain(positional) {
        let flag = match (argument.get_long(), argument.get_short()) {
            (Some(long), _) => format!("\\fB--{long}\\fR"),
            (None, Some(short)) => format!("\\fB-{short}\\fR"),
            (None, None) => String::new(),
        };
        let value = match argument.get_action().takes_values() {
            true => value_name(argument),
            false => String::new(),
        };
        let space = if flag.is_empty() || value.is_empty() {
            ""
        } else {
            " "
        };
        let written = format!("{flag}{space}{value}");
        match argument.is_required_set() {
            true => text += &format!(" {written}"),
            false => text += &format!(" [{written}]"),
        }
    }
    if command.has_subcommands() {
        text += " \\fICOMMAND\\fR";
    }
    text.replace('-', "\\-") + "\n"
}

/// The name of what an argument takes, with dots where it may be several.
fn value_name(argument: &Arg) -> String {
    let name = match argument.get_value_names() {
        Some([name, ..]) => name.to_string(),
        _ => argument.get_id().as_str().to_uppercase(),
    };
    let is_list = argument.is_positional() && matches!(argument.get_action(), ArgAction::Append);
    let dots = if is_list { "..." } else { "" };
    format!("\\fI{name}\\fR{dots}")
}

/// The name with that of the program, as in `logagg-serve`.
fn full_name(command: &clap::Command) -> String {
    let name = command.get_display_name();
    name.unwrap_or(command.get_name()).to_owned()
}
