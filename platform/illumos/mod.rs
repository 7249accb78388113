//! illumos and Solaris: STREAMS.
