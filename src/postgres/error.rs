//! What an engine refuses, and what that means.

use std::fmt;

use crate::text::escaped;

/// A refusal: a code of five characters (SQLSTATE) and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub code: String,
    pub message: String,
}

impl ServerError {
    /// The engine does not let this user in.
    pub(crate) fn is_about_credentials(&self) -> bool {
        self.code.starts_with("28")
    }

    /// There is no database of this name.
    pub(crate) fn is_without_database(&self) -> bool {
        self.code == "3D000"
    }

    /// The user may not do this.
    pub(crate) fn is_about_rights(&self) -> bool {
        self.code == "42501"
    }

    /// Something with this key is there already.
    pub(crate) fn is_about_uniqueness(&self) -> bool {
        self.code == "23505"
    }

    /// Somebody else has created what was to be created.
    pub(crate) fn is_made_meanwhile(&self) -> bool {
        ["42P06", "42P07", "23505"].contains(&self.code.as_str())
    }

    /// A table or its schema is not there.
    pub(crate) fn is_without_table(&self) -> bool {
        ["42P01", "3F000"].contains(&self.code.as_str())
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", escaped(&self.message), escaped(&self.code))
    }
}
