//! What can go wrong on the bus, by what the caller does next.

/// The bus could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// It does not answer: try again later. What was asked may have happened all the same.
    #[error("the bus does not answer ({0})")]
    Unavailable(String),
    /// It refused: trying again does not help before someone changes something.
    #[error("the bus refuses: {0}")]
    Refused(String),
    /// A stream or consumer is missing: `ferry up` or `ferry bus init` makes them.
    #[error("{0} is missing on the bus; `ferry bus init` makes it")]
    Missing(String),
    /// A stream has reached its limit: nothing more is taken before there is room.
    #[error("the bus is full: {0}")]
    Full(String),
    /// A jar is not what its name says.
    #[error("{0}")]
    Damaged(String),
    /// A file could not be read or written.
    #[error("{0}")]
    Io(String, #[source] std::io::Error),
}

/// A commit did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Someone else wrote a state first: load and decide again.
    #[error("someone else wrote first")]
    Conflict,
    /// An event of the batch is stored already: load and decide again.
    #[error("an event of the batch is stored already")]
    Duplicate,
    /// The bus failed. After [`BusError::Unavailable`] the batch may be stored: load and decide again.
    #[error(transparent)]
    Bus(#[from] BusError),
}
