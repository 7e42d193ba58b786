use std::collections::BTreeMap;

use super::*;

/// One sample: name, labels and value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Parses Prometheus text, version 0.0.4, strictly: each sample belongs to the family of the last
/// `# TYPE`, each family occurs once, and each line has a known form.
fn parse(text: &str) -> Vec<Sample> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no line feed");
    let mut families: Vec<(String, String)> = Vec::new();
    let mut samples = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(is_name(help.split_once(' ').expect(line).0), "{line}");
        } else if let Some(of) = line.strip_prefix("# TYPE ") {
            let (name, kind) = of.split_once(' ').expect(line);
            assert!(is_name(name), "{line}");
            assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
            assert!(families.iter().all(|(known, _)| known != name), "twice: {line}");
            families.push((name.to_owned(), kind.to_owned()));
        } else {
            let sample = sample(line);
            let (family, kind) = families.last().expect(line);
            let suffix = sample.0.strip_prefix(family.as_str()).expect(line);
            let allowed: &[&str] = match kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["", "_sum", "_count"],
                _ => &[""],
            };
            assert!(allowed.contains(&suffix), "{line}");
            assert_eq!(suffix == "_bucket", sample.1.contains_key("le"), "{line}");
            samples.push(sample);
        }
    }
    samples
}

fn sample(line: &str) -> Sample {
    let (what, value) = line.rsplit_once(' ').expect(line);
    let value = value.parse().expect(line);
    let (name, labels) = match what.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
        None => (what, ""),
    };
    assert!(is_name(name), "{line}");
    (name.to_owned(), read_labels(labels), value)
}

/// Parses `name="value",…`; quotes, backslashes and line feeds of a value are escaped.
fn read_labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect(text);
        assert!(is_name(name) && !name.contains(':'), "{text}");
        let mut value = String::new();
        let mut chars = after.chars();
        loop {
            match chars.next().expect(text) {
                '"' => break,
                '\\' => match chars.next().expect(text) {
                    'n' => value.push('\n'),
                    c @ ('"' | '\\') => value.push(c),
                    c => panic!("\\{c} in {text}"),
                },
                c => value.push(c),
            }
        }
        assert!(labels.insert(name.to_owned(), value).is_none(), "twice: {text}");
        rest = chars.as_str();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',').expect(text);
        }
    }
    labels
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

fn value(samples: &[Sample], name: &str, label: Option<(&str, &str)>) -> f64 {
    let found: Vec<f64> = samples
        .iter()
        .filter(|(of, labels, _)| {
            of == name
                && label.is_none_or(|(name, value)| labels.get(name).is_some_and(|v| v == value))
        })
        .map(|(.., value)| *value)
        .collect();
    assert_eq!(found.len(), 1, "{name} {label:?} in {samples:?}");
    found[0]
}

#[test]
fn metrics_are_rendered_as_prometheus_text() {
    let recorder = builder().unwrap().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_counter!("network.messages.total", "Messages, by direction.");
        metrics::counter!("network.messages.total", "direction" => "in").increment(3);
        metrics::counter!("network.messages.total", "direction" => "a \"b\"\n\\").increment(1);
        metrics::gauge!("network.peers.active").set(-1.5);
        for bytes in [1.0, 64.0, 65.0, 1_048_577.0] {
            metrics::histogram!("network.message.size", "direction" => "in").record(bytes);
        }
        metrics::histogram!("network.latency").record(20e-6);
        metrics::histogram!("network.bandwidth").record(5e9);
    });
    let samples = parse(&handle.render());
    let messages = "network_messages_total";
    assert_eq!(value(&samples, messages, Some(("direction", "in"))), 3.0);
    assert_eq!(value(&samples, messages, Some(("direction", "a \"b\"\n\\"))), 1.0);
    assert_eq!(value(&samples, "network_peers_active", None), -1.5);
    let sizes = |le| value(&samples, "network_message_size_bucket", Some(("le", le)));
    assert_eq!([sizes("64"), sizes("256"), sizes("1048576"), sizes("+Inf")], [2.0, 3.0, 3.0, 4.0]);
    assert_eq!(value(&samples, "network_message_size_count", None), 4.0);
    assert_eq!(value(&samples, "network_message_size_sum", None), 1_048_707.0);
    let latency = |le| value(&samples, "network_latency_bucket", Some(("le", le)));
    assert_eq!([latency("0.00005"), latency("10")], [1.0, 1.0]);
    let bandwidth = |le| value(&samples, "network_bandwidth_bucket", Some(("le", le)));
    assert_eq!([bandwidth("1000000000"), bandwidth("+Inf")], [0.0, 1.0]);
}

#[test]
fn upkeep_counts_each_sample_once() {
    let recorder = builder().unwrap().build_recorder();
    let metrics = Metrics { handle: recorder.handle() };
    let record = |seconds| {
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("network.latency").record(seconds);
        });
    };
    record(1e-3);
    metrics.handle.run_upkeep();
    metrics.handle.run_upkeep();
    record(1e-3);
    let samples = parse(&metrics.render()());
    assert_eq!(value(&samples, "network_latency_count", None), 2.0);
}

#[test]
fn parser_refuses_invalid_prometheus_text() {
    for text in [
        "x 1",
        "x 1\n",
        "# TYPE x gauge\ny 1\n",
        "# TYPE x gauge\nx one\n",
        "# TYPE x gauge\n# TYPE x gauge\n",
        "# TYPE x.y gauge\n",
        "# TYPE x gauge\nx{a=\"b} 1\n",
        "# TYPE x histogram\nx_bucket 1\n",
    ] {
        assert!(std::panic::catch_unwind(|| parse(text)).is_err(), "{text:?}");
    }
}
