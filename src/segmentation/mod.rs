pub(crate) mod deliver;
pub(crate) mod frame;
pub(crate) mod front;
pub(crate) mod quick;
pub(crate) mod segments;
