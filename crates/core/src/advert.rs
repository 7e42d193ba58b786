//! What a node tells one peer about itself: name, handlers offered to that peer, capacity.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    limits,
    policy::AcceptPolicy,
    task::{HandlerName, Requirements},
};

/// The capacity of the machine that a node runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// Attempts that can run at the same time.
    pub slots: u32,
    /// CPU cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Number of GPUs.
    pub gpus: u32,
}

/// What a node tells one peer about itself. The handlers in it depend on the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Advert {
    /// The node's name, shown to people.
    pub name: String,
    /// Handlers that this peer may use.
    pub handlers: BTreeSet<HandlerName>,
    /// Capabilities: names that a task may require.
    pub capabilities: BTreeSet<String>,
    /// Labels: names with a value that a task may require.
    pub labels: BTreeMap<String, String>,
    /// The machine's capacity.
    pub capacity: Capacity,
}

impl Advert {
    /// The same advert with only those handlers that `policy` opens to the peer. `listed` says
    /// whether the peer is trusted.
    #[must_use]
    pub fn for_peer(&self, policy: &AcceptPolicy, listed: bool) -> Self {
        let handlers = self
            .handlers
            .iter()
            .filter(|name| policy.allows(name.family(), listed))
            .cloned()
            .collect();
        Self { handlers, ..self.clone() }
    }

    /// The advert with every text and list cut to its bound and control characters replaced.
    /// Adverts of peers are stored only in this form.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        self.name = clean(&self.name);
        let handlers = std::mem::take(&mut self.handlers);
        self.handlers = handlers.into_iter().take(limits::ADVERT_HANDLERS).collect();
        self.capabilities =
            self.capabilities.iter().take(limits::LABELS).map(|text| clean(text)).collect();
        self.labels = self
            .labels
            .iter()
            .take(limits::LABELS)
            .map(|(name, value)| (clean(name), clean(value)))
            .collect();
        let Capacity { slots, cpus, memory_bytes, gpus } = &mut self.capacity;
        *slots = (*slots).min(limits::CREDIT_TASKS);
        *cpus = (*cpus).min(limits::CPUS);
        *memory_bytes = (*memory_bytes).min(limits::MEMORY_BYTES);
        *gpus = (*gpus).min(limits::GPUS);
        self
    }

    /// The first requirement that this node does not meet, if any: its name, and what the node has
    /// instead.
    pub fn unmet(&self, needs: &Requirements) -> Option<(&'static str, String)> {
        if let Some(missing) = needs.capabilities.iter().find(|c| !self.capabilities.contains(*c)) {
            return Some(("capability", format!("{missing} is not offered")));
        }
        for (name, value) in &needs.labels {
            match self.labels.get(name) {
                Some(have) if have == value => {}
                Some(have) => return Some(("label", format!("{name} is {have}, not {value}"))),
                None => return Some(("label", format!("no label {name}"))),
            }
        }
        let capacity = &self.capacity;
        if needs.cpus > capacity.cpus {
            return Some(("cpus", format!("{} of the {} needed", capacity.cpus, needs.cpus)));
        }
        if needs.memory_bytes > capacity.memory_bytes {
            let [has, needed] = [capacity.memory_bytes, needs.memory_bytes].map(size);
            return Some(("memory", format!("{has} of the {needed} needed")));
        }
        if needs.gpus > capacity.gpus {
            return Some(("gpus", format!("{} of the {} needed", capacity.gpus, needs.gpus)));
        }
        None
    }
}

/// A size as text for people: `512 B`, `23.5 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut rest, mut unit) = (bytes, 0, 0);
    while whole >= 1_024 && unit + 1 < UNITS.len() {
        (whole, rest) = (whole / 1_024, whole % 1_024 * 10 / 1_024);
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if rest == 0 { format!("{whole} {unit}") } else { format!("{whole}.{rest} {unit}") }
}

/// A peer's text, cut to [`limits::LABEL_BYTES`], with control and bidirectional-override
/// characters replaced, so that a terminal can show it.
pub fn clean(text: &str) -> String {
    clean_to(text, limits::LABEL_BYTES)
}

/// As [`clean`], cut to `max` bytes.
pub fn clean_to(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for c in text.chars() {
        let c = if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            '\u{fffd}'
        } else {
            c
        };
        if out.len() + c.len_utf8() > max {
            break;
        }
        out.push(c);
    }
    out
}
