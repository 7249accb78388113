pub(crate) mod checksum;
pub(crate) mod checksum_dispatch;
pub(crate) mod gso;
pub(crate) mod headers;
pub(crate) mod offload;
pub(crate) mod reject;
pub(crate) mod validate;
pub(crate) mod vnet_header;
