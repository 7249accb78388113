pub(crate) mod body;
pub(crate) mod gather;
pub(crate) mod slices;
