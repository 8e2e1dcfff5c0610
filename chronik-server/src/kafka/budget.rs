//! Bytes that all connections of the node share: taken before they are held, given back when dropped.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

const UNIT_BYTES: usize = 1 << 10;

/// How much may be held together.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    units: Arc<Semaphore>,
}

/// Somebody's part of a budget.
#[derive(Debug)]
pub(super) struct Share {
    permit: OwnedSemaphorePermit,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        let units = (bytes as usize)
            .div_ceil(UNIT_BYTES)
            .min(Semaphore::MAX_PERMITS);
        Budget {
            units: Arc::new(Semaphore::new(units)),
        }
    }

    pub(super) fn available_bytes(&self) -> u64 {
        (self.units.available_permits() * UNIT_BYTES) as u64
    }

    /// Waits until so much is free.
    pub(super) async fn take(&self, bytes: usize) -> Result<Share, AcquireError> {
        let permit = self.units.clone().acquire_many_owned(units(bytes)).await?;
        Ok(Share { permit })
    }

    /// Takes only what is free now.
    pub(super) fn try_take(&self, bytes: usize) -> Option<Share> {
        let permit = self
            .units
            .clone()
            .try_acquire_many_owned(units(bytes))
            .ok()?;
        Some(Share { permit })
    }
}

impl Share {
    pub(super) fn join(&mut self, other: Share) {
        self.permit.merge(other.permit);
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).expect("nothing of four terabytes is ever taken")
}
