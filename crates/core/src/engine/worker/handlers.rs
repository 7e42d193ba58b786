//! This node's handlers, and which peers may use each of them.
//!
//! The policy is looked up once per handler, not once per assignment.

use rustc_hash::FxHashMap;

use crate::{
    engine::kinds::{Kind, Kinds},
    policy::{Accept, AcceptPolicy},
    task::HandlerName,
};

/// One handler of this node.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalHandler {
    /// The number of its name; `None` if the table of names is full.
    pub(super) kind: Option<Kind>,
    accept: Accept,
}

impl LocalHandler {
    /// Whether a peer may use it; `listed` says whether this node trusts the peer.
    pub(super) fn allows(self, listed: bool) -> bool {
        self.accept.allows(listed)
    }
}

/// All handlers, at most [`ADVERT_HANDLERS`](crate::limits::ADVERT_HANDLERS).
#[derive(Debug, Default)]
pub(super) struct LocalHandlers {
    handlers: FxHashMap<HandlerName, LocalHandler>,
    /// Whether a peer may use any handler: index 0 for an untrusted peer, 1 for a trusted one.
    open: [bool; 2],
}

impl LocalHandlers {
    pub(super) fn new<'h>(
        names: impl IntoIterator<Item = &'h HandlerName>,
        policy: &AcceptPolicy,
        kinds: &mut Kinds,
    ) -> Self {
        let handlers = names.into_iter().map(|name| {
            let kind = kinds.of(name.family(), name.operation());
            (name.clone(), LocalHandler { kind, accept: policy.of(name.family()) })
        });
        let handlers: FxHashMap<_, _> = handlers.collect();
        let open = [false, true].map(|listed| handlers.values().any(|one| one.allows(listed)));
        Self { handlers, open }
    }

    pub(super) fn get(&self, name: &HandlerName) -> Option<LocalHandler> {
        self.handlers.get(name).copied()
    }

    /// Whether a peer may use any handler; `listed` says whether this node trusts the peer.
    pub(super) fn allow_any(&self, listed: bool) -> bool {
        let [to_all, to_listed] = self.open;
        if listed { to_listed } else { to_all }
    }
}
