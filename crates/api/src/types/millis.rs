//! Serializes microseconds as milliseconds with a fraction: JSON has one unit for all durations.

use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(micros: &u64, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(*micros as f64 / MICROS)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    Ok(micros(f64::deserialize(d)?))
}

/// Microseconds in a millisecond.
const MICROS: f64 = 1_000.0;

fn micros(millis: f64) -> u64 {
    (millis * MICROS).round() as u64
}

/// The same for a duration that may be unknown.
pub(super) mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{MICROS, micros};

    pub(in crate::types) fn serialize<S: Serializer>(
        of: &Option<u64>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        of.map(|micros| micros as f64 / MICROS).serialize(s)
    }

    pub(in crate::types) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<u64>, D::Error> {
        Ok(Option::<f64>::deserialize(d)?.map(micros))
    }
}
