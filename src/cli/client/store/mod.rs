//! `store`: the tables that a fleet shares.

mod retain;
mod schema;

use clap::{Args, Subcommand};

use crate::cli::failure::Failure;

/// Print or maintain the tables of a store that a fleet shares
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct StoreArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Schema(schema::SchemaArgs),
    Retain(retain::RetainArgs),
}

/// Does what is asked.
pub(crate) fn run(arguments: StoreArgs) -> Result<(), Failure> {
    match arguments.action {
        Action::Schema(arguments) => schema::run(&arguments),
        Action::Retain(arguments) => retain::run(&arguments),
    }
}
