//! Nothing but its tests: the library attaches a TAP over the model kernel, built for illumos or Solaris.
