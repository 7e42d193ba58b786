//! Lists of attempts of one boot, in which each epoch is a difference to the one before it.

use meshwork_core::Epoch;

use crate::{
    limits,
    wire::{
        error::WireError,
        fields::{Fields, Value, unzigzag, varint},
    },
};

/// Turns the deltas of a list into epochs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers(Epoch);

impl Numbers {
    pub(crate) fn of_boot(boot: u32) -> Self {
        Self(Epoch { boot, number: 0 })
    }

    pub(crate) fn step(&mut self, delta: u64) -> Epoch {
        self.0.number = self.0.number.wrapping_add(unzigzag(delta).cast_unsigned());
        self.0
    }
}

/// The boot and the number of entries of a batch of assignments or results. Fails if the batch is
/// too long.
pub(crate) fn task_batch(batch: &[u8]) -> Result<(u32, usize), WireError> {
    let (mut boot, mut count) = (0, 0);
    let mut fields = Fields::of(batch);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => boot = value.number32()?,
            2 => count += 1,
            _ => {}
        }
    }
    if count > limits::BATCH_ENTRIES {
        return Err(too_many("attempts"));
    }
    Ok((boot, count))
}

/// Calls `each` with every epoch of a list. Fails before the first call if the list is too long.
pub(crate) fn epochs(list: &[u8], mut each: impl FnMut(Epoch)) -> Result<(), WireError> {
    let mut boot = 0;
    let mut count = 0;
    let mut fields = Fields::of(list);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, value) => boot = value.number32()?,
            // Every varint has exactly one byte below 0x80.
            (2, Value::Bytes(packed)) => count += packed.iter().filter(|b| **b < 0x80).count(),
            (2, _) => count += 1,
            _ => {}
        }
    }
    if count > limits::BATCH_ENTRIES {
        return Err(too_many("epochs"));
    }
    let mut numbers = Numbers::of_boot(boot);
    let mut fields = Fields::of(list);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (2, Value::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    each(numbers.step(varint(&mut packed)?));
                }
            }
            (2, value) => each(numbers.step(value.number()?)),
            _ => {}
        }
    }
    Ok(())
}

fn too_many(what: &'static str) -> WireError {
    WireError::TooMany { what, limit: limits::BATCH_ENTRIES }
}
