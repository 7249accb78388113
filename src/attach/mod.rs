pub(crate) mod config;
pub(crate) mod error;
pub(crate) mod name;
pub(crate) mod pairs;
pub(crate) mod program;
