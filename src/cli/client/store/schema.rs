//! `store schema`: prints the statements that make the tables.

use clap::{Args, ValueEnum};

use crate::cli::failure::Failure;
use crate::cli::terminal::print;
use crate::postgres::schema::{statements, Dialect};

/// Print the statements that make the tables, for psql
///
/// A forwarder makes them itself where it may. These are for roles that may not, and for engines that shard.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// The engine that the statements are for; all but postgres are documented, not tested
    #[arg(long = "for", value_name = "ENGINE", value_enum, default_value_t = Engine::Postgres)]
    engine: Engine,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    Postgres,
    Citus,
    Cockroach,
    Yugabyte,
}

pub(super) fn run(arguments: &SchemaArgs) -> Result<(), Failure> {
    let dialect = match arguments.engine {
        Engine::Postgres => Dialect::Postgres,
        Engine::Citus => Dialect::Citus,
        Engine::Cockroach => Dialect::Cockroach,
        Engine::Yugabyte => Dialect::Yugabyte,
    };
    print(statements(dialect).as_bytes())
}
