//! The user's own handlers, node configurations and tasks.

use std::{fmt, time::Duration};

use meshwork_core::{Task, engine::EngineConfig};

use crate::{
    handler::{Outcome, default_handler},
    rng::SimRng,
};

type Handler<'a> = Box<dyn FnMut(&Task, &mut SimRng) -> (Duration, Outcome) + 'a>;
type Nodes<'a> = Box<dyn FnMut(usize, &mut EngineConfig) + 'a>;
pub(crate) type Tasks<'a> = Box<dyn FnMut(&mut Task, &mut SimRng) + 'a>;

/// The user's policies of a run. The defaults are those of [`Scenario::run`](crate::Scenario::run).
///
/// ```
/// use meshwork_core::{Accept, AcceptPolicy};
/// use meshwork_sim::{Faults, Policies, Scenario};
///
/// let scenario = Scenario { tasks: 20, faults: Faults::none(), ..Scenario::default() };
/// let policies = Policies::default()
///     .nodes(|index, config| {
///         // The last two accept no tasks from peers.
///         if index >= 3 {
///             config.accept = AcceptPolicy::default().with("sim", Accept::Nobody);
///         }
///     })
///     .tasks(|task, _| task.retry.attempts = 10);
/// let report = scenario.run_as(1, policies)?;
/// assert_eq!(report.ends.total(), 20);
/// # Ok::<(), meshwork_sim::Failure>(())
/// ```
pub struct Policies<'a> {
    pub(crate) handler: Handler<'a>,
    pub(crate) nodes: Option<Nodes<'a>>,
    pub(crate) tasks: Option<Tasks<'a>>,
}

impl<'a> Policies<'a> {
    /// Decides, at the start of each execution, how long it takes and how it ends. Use only the
    /// given generator: then the same seed gives the same run.
    #[must_use]
    pub fn handler(
        self,
        handler: impl FnMut(&Task, &mut SimRng) -> (Duration, Outcome) + 'a,
    ) -> Self {
        Self { handler: Box::new(handler), ..self }
    }

    /// Configures each node, by its index, before its first start: accept policy, slots, labels,
    /// capabilities, handlers, leases and retention. Owners come first. The id and the boot counter
    /// are fixed.
    #[must_use]
    pub fn nodes(self, nodes: impl FnMut(usize, &mut EngineConfig) + 'a) -> Self {
        Self { nodes: Some(Box::new(nodes)), ..self }
    }

    /// Changes each task before it is first submitted: its retries, time limits, requirements,
    /// priority, handler and durability.
    #[must_use]
    pub fn tasks(self, tasks: impl FnMut(&mut Task, &mut SimRng) + 'a) -> Self {
        Self { tasks: Some(Box::new(tasks)), ..self }
    }
}

impl Default for Policies<'_> {
    fn default() -> Self {
        Self { handler: Box::new(default_handler), nodes: None, tasks: None }
    }
}

impl fmt::Debug for Policies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies")
            .field("nodes", &self.nodes.is_some())
            .field("tasks", &self.tasks.is_some())
            .finish_non_exhaustive()
    }
}
