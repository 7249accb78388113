//! Buffers for devices that build their frames instead of lending them.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use super::error::TransmitError;

/// Buffers kept for reuse; devices hold one or two at a time.
const KEPT: usize = 4;
/// Holds every frame of the usual MTU, so that small requests do not fragment the pool.
const SMALLEST: usize = 2048;

/// Buffers that wait for their next frame. Nobody ever waits for the lock: who finds it taken allocates or frees.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    fn take(&self) -> Vec<u8> {
        self.0.try_lock().ok().and_then(|mut kept| kept.pop()).unwrap_or_default()
    }

    fn put(&self, bytes: Vec<u8>) {
        if let Ok(mut kept) = self.0.try_lock()
            && kept.len() < KEPT
        {
            kept.push(bytes);
        }
    }
}

/// A buffer for one frame from the guest: initialised memory of at least the length asked for.
///
/// It derefs to the bytes in use, at first as many as were asked for; [`set_used`](Self::set_used) changes that. It goes
/// back to the backend's pool when it is sent or dropped.
#[derive(Debug)]
pub struct TransmitBuffer {
    bytes: Vec<u8>,
    used: usize,
    pool: Arc<Pool>,
}

impl TransmitBuffer {
    /// Takes a buffer of at least `min_len` bytes from the pool; grows one, or makes one, where none is large enough.
    pub(super) fn take(pool: &Arc<Pool>, min_len: usize) -> Result<Self, TransmitError> {
        let mut bytes = pool.take();
        let wanted = min_len.max(SMALLEST);
        if bytes.len() < wanted {
            let more = wanted - bytes.len();
            bytes.try_reserve_exact(more).map_err(|_| TransmitError::OutOfMemory { len: min_len })?;
            bytes.resize(wanted, 0);
        }
        Ok(Self { bytes, used: min_len, pool: Arc::clone(pool) })
    }

    /// The most bytes that [`set_used`](Self::set_used) takes.
    #[must_use]
    pub fn available(&self) -> usize {
        self.bytes.len()
    }

    /// States how many bytes the frame has.
    ///
    /// # Errors
    /// [`TransmitError::Oversize`] for more than [`available`](Self::available).
    pub fn set_used(&mut self, used: usize) -> Result<(), TransmitError> {
        if used > self.bytes.len() {
            return Err(TransmitError::Oversize { len: used, limit: self.bytes.len() });
        }
        self.used = used;
        Ok(())
    }
}

impl Deref for TransmitBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

impl DerefMut for TransmitBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.used]
    }
}

impl Drop for TransmitBuffer {
    fn drop(&mut self) {
        self.pool.put(std::mem::take(&mut self.bytes));
    }
}
