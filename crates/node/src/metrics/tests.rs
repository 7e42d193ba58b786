//! Metrics as a recorder of this test receives them.

use std::{collections::BTreeMap, sync::Arc};

use meshwork_core::Reason;
use metrics::{
    CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

use super::*;

/// Count and sum of each metric's values, by name and labels.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Values>>);

type Values = BTreeMap<String, (u64, f64)>;

struct One(Recorded, String);

impl One {
    fn add(&self, count: u64, sum: f64) {
        let mut recorded = self.0.0.lock().unwrap();
        let entry = recorded.entry(self.1.clone()).or_default();
        *entry = (entry.0 + count, entry.1 + sum);
    }
}

impl CounterFn for One {
    fn increment(&self, value: u64) {
        self.add(value, 0.0);
    }

    fn absolute(&self, _: u64) {
        panic!("counters of several nodes add up");
    }
}

impl GaugeFn for One {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), (0, value));
    }
}

impl HistogramFn for One {
    fn record(&self, value: f64) {
        self.add(1, value);
    }
}

impl Recorded {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(One(self.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
    }

    fn get(&self, name: &str) -> (u64, f64) {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key))
    }
}

fn flow(assigned: u64, sizes: &[(u64, u64)], bytes: u64) -> Flow {
    let task = NetworkProtocol::TaskProtocol;
    Flow {
        messages: meshwork_net::message_kinds()
            .map(|(protocol, kind)| (protocol, kind, if kind == "assign" { assigned } else { 0 }))
            .collect(),
        bytes: NetworkProtocol::ALL.map(|p| (p, if p == task { bytes } else { 0 })).into(),
        sizes: sizes
            .iter()
            .map(|(messages, bytes)| SizeClass {
                protocol: task,
                messages: *messages,
                bytes: *bytes,
            })
            .collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn differences_are_recorded_once_and_add_up() {
    let recorded = Recorded::default();
    let collector = with_local_recorder(&recorded, NetworkMetricsCollector::new);
    let now = crate::time_of_day();
    let record = |assigned, sizes: &[(u64, u64)], bytes| {
        let traffic = NetTraffic { sent: flow(assigned, sizes, bytes), received: flow(0, &[], 0) };
        let seen = [now, now - TimeDelta::minutes(6)];
        collector.record_metrics(seen.into_iter(), now, &traffic, &NetCounters::default());
    };
    record(10, &[(4, 400), (1, 1_000)], 1_500);
    record(10, &[(4, 400), (1, 1_000)], 1_500);
    tokio::time::advance(Duration::from_secs(10)).await;
    record(25, &[(5, 600), (1, 1_000)], 2_500);
    assert_eq!(recorded.get("network.messages.sent{protocol=task,kind=assign}").0, 25);
    assert_eq!(recorded.get("network.messages.received{protocol=task,kind=assign}").0, 0);
    let sizes = recorded.get("network.message.size{protocol=task,direction=sent}");
    assert_eq!(sizes, (6, 1_600.0));
    // 2,500 bytes in ten seconds; one value for each protocol.
    assert_eq!(recorded.get("network.bandwidth{protocol=task,direction=sent}"), (1, 250.0));
    assert_eq!(recorded.get("network.bandwidth{protocol=health,direction=sent}"), (1, 0.0));
    assert_eq!(recorded.get("network.peers.total{}").1, 2.0);
    assert_eq!(recorded.get("network.peers.active{}").1, 1.0);
}

#[tokio::test]
async fn engine_counts_are_recorded_once() {
    let recorded = Recorded::default();
    let collector = with_local_recorder(&recorded, NetworkMetricsCollector::new);
    let record = |accounts: Accounts| {
        collector.note_accounts(accounts);
        let traffic = NetTraffic { sent: flow(0, &[], 0), received: flow(0, &[], 0) };
        let counters = NetCounters::default();
        collector.record_metrics(std::iter::empty(), crate::time_of_day(), &traffic, &counters);
    };
    let first = Accounts { queued: 7, running: 2, succeeded: 5, expired: 1, ..Accounts::default() };
    record(first);
    record(first);
    record(Accounts { queued: 3, succeeded: 9, second_attempts: 4, held: 1, ..first });
    let open = |state| recorded.get(&format!("meshwork.tasks.open{{state={state}}}")).1;
    assert_eq!((open("queued"), open("running")), (3.0, 2.0));
    let ended = |state| recorded.get(&format!("meshwork.tasks.ended.total{{state={state}}}")).0;
    assert_eq!([ended("succeeded"), ended("failed"), ended("expired")], [9, 0, 1]);
    assert_eq!(recorded.get("meshwork.attempts.second.total{}").0, 4);
    assert_eq!(recorded.get("meshwork.attempts.held{}").1, 1.0);
}

#[tokio::test]
async fn errors_are_recorded_by_type_and_latency_in_seconds() {
    let recorded = Recorded::default();
    with_local_recorder(&recorded, || {
        let collector = NetworkMetricsCollector::new();
        collector.record_error(&Reason::NotFound.into());
        collector.record_error_code("connection", Some(NetworkProtocol::TaskProtocol));
        collector.record_latency(Duration::from_millis(250));
    });
    assert_eq!(recorded.get("network.errors.total{}").0, 2);
    assert_eq!(recorded.get("network.errors.by_type{type=not_found,protocol=none}").0, 1);
    assert_eq!(recorded.get("network.errors.by_type{type=connection,protocol=task}").0, 1);
    assert_eq!(recorded.get("network.latency{}"), (1, 0.25));
}
