//! Limits on the time and the number of attempts of a task.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The three time limits of a task. The first one to be exceeded ends the task as `expired`, with
/// the limit's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskLimits {
    /// Longest wait for a worker; restarts whenever the task is queued. Default ten minutes.
    #[serde(rename = "queue_ms", with = "millis")]
    pub queue: Option<Duration>,
    /// Longest run of one attempt. An attempt that exceeds it fails and may be retried. Default
    /// none.
    #[serde(rename = "attempt_ms", with = "millis")]
    pub attempt: Option<Duration>,
    /// Longest time from submission to end, over all attempts. Default none.
    #[serde(rename = "total_ms", with = "millis")]
    pub total: Option<Duration>,
}

impl TaskLimits {
    /// The default, as a constant.
    pub(crate) const USUAL: Self =
        Self { queue: Some(Duration::from_secs(600)), attempt: None, total: None };
}

impl Default for TaskLimits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// How often a task is tried, and how long it rests between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// How many attempts may fail with a retryable failure in all. Default 3.
    pub attempts: u32,
    /// How many attempts may be lost with their worker (crash, lease ended), so that a task that
    /// kills its workers ends. Default 3.
    pub crashes: u32,
    /// Rest before the second attempt; doubles before each further one, with ±50 % jitter. Default
    /// 100 ms.
    #[serde(rename = "backoff_ms", with = "millis_plain")]
    pub backoff: Duration,
    /// Longest rest. Default 30 s.
    #[serde(rename = "max_backoff_ms", with = "millis_plain")]
    pub max_backoff: Duration,
    /// Whether an attempt that runs longer than its handler's 95th percentile gets a second attempt
    /// (a hedge) at a worker with a free slot. The first result counts, and the other attempt is
    /// stopped. Only for handlers that may safely run twice. Default no.
    pub hedge: bool,
}

impl RetryPolicy {
    /// The default, as a constant.
    pub(crate) const USUAL: Self = Self {
        attempts: 3,
        crashes: 3,
        backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(30),
        hedge: false,
    };
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::USUAL
    }
}

mod millis_plain {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_millis)
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|v| u64::try_from(v.as_millis()).unwrap_or(u64::MAX)).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_millis))
    }
}
