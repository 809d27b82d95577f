//! `ship`: follows growing log files and publishes each of their lines once.
//!
//! One thread reads a batch of lines, publishes it until it is stored, notes how far it is, and reads on: so memory
//! holds one batch, and while nothing can be stored the lines wait in their files. Nothing depends on the notes being
//! up to date. A line that is read again gets the id that it had ([`position`]), and the server drops it.

pub(crate) mod arguments;
mod database;
mod decoding;
mod event;
mod folders;
mod follower;
mod lines;
mod members;
mod multiline;
mod names;
mod nuls;
mod parked;
mod patterns;
mod position;
mod prefix;
mod records;
mod shipper;
mod state;
mod stdin;
mod stream;
mod sums;
pub mod times;
mod tracked;

use std::time::Duration;

use super::connect::client_of;
use crate::cli::failure::Failure;
use crate::client::{Client, GiveUp};
use arguments::ShipArgs;
use event::Template;
use shipper::Shipper;
use stream::Records;

/// Ships, and prints the sums.
pub(crate) fn run(arguments: ShipArgs) -> Result<(), Failure> {
    if arguments.files.iter().any(|path| stdin::is_standard(path)) {
        return run_standard_input(&arguments);
    }
    if arguments.id_member.is_some() {
        let sentence = "--id-member is for standard input, -; lines of files have ids of their own";
        return Err(Failure::Setting(sentence.to_owned()));
    }
    let (topic, source) = (arguments.topic()?, arguments.source()?);
    let template = Template::new(topic, source);
    let (client, give_up) = client_and_give_up(&arguments)?;
    let mut shipper = Shipper::new(&arguments, client, give_up, template)?;
    let ended = shipper.follow();
    shipper.end(ended)
}

/// Ships standard input, without what only files have.
fn run_standard_input(arguments: &ShipArgs) -> Result<(), Failure> {
    if arguments.files.len() > 1 {
        let sentence = "standard input, -, cannot be shipped together with other files";
        return Err(Failure::Setting(sentence.to_owned()));
    }
    for (is_set, flag) in [
        (arguments.state.is_some(), "--state"),
        (arguments.once, "--once"),
        (arguments.from_end, "--from-end"),
    ] {
        if is_set {
            let sentence = format!("{flag} is for files, not for standard input, -");
            return Err(Failure::Setting(sentence));
        }
    }
    let topic = arguments.topic.as_deref().unwrap_or(stdin::TOPIC);
    let source = arguments.source.clone().unwrap_or_else(stdin::source);
    let template = Template::new(topic, &source);
    let id_member = arguments.id_member.as_deref();
    let records = Records::new(&template, arguments.multiline.as_ref(), id_member);
    let (client, give_up) = client_and_give_up(arguments)?;
    stdin::Shipper::new(&client, give_up, records, id_member)?.run()
}

/// A client that tries once, and how long to try again.
fn client_and_give_up(arguments: &ShipArgs) -> Result<(Client, GiveUp), Failure> {
    let mut client = arguments.client.clone();
    let give_up = client.give_up_after.unwrap_or(GiveUp::Never);
    client.give_up_after = Some(GiveUp::After(Duration::ZERO));
    Ok((client_of(&client, give_up)?, give_up))
}
