//! The documentation of settings agrees with their definitions.

use super::{
    range::{grouped, size, span},
    *,
};

struct Flat {
    name: &'static str,
    doc: String,
    range: Option<Range>,
    shown: String,
}

/// The settings of all sections.
fn all(config: &NetworkConfig) -> Vec<Flat> {
    let flat = |setting: &Setting<'_>| Flat {
        name: setting.name,
        doc: setting.doc.concat(),
        range: setting.range.clone(),
        shown: setting.to_string(),
    };
    let settings = config.settings();
    settings
        .iter()
        .flat_map(|setting| match setting.section() {
            Some(section) => section.iter().map(flat).collect(),
            None => vec![flat(setting)],
        })
        .collect()
}

#[test]
fn every_range_is_documented() {
    let mut ranges = 0;
    for Flat { name, doc, range, .. } in all(&NetworkConfig::default()) {
        let Some(range) = range else { continue };
        ranges += 1;
        assert!(doc.contains(&range.to_string()), "{name}: {range} is missing in {doc:?}");
    }
    assert_eq!(ranges, 21);
}

#[test]
fn every_default_is_documented() {
    let TaskSettings { lease, heartbeat, stop_grace, max_owned, keep_bytes, keep_results } =
        TaskSettings::default();
    let config = NetworkConfig::default();
    let defaults = [
        ("max_peers", grouped(config.max_peers as u64)),
        ("connection_timeout", span(config.connection_timeout)),
        ("ping_interval", span(config.ping_interval)),
        ("protocol_timeout", span(config.protocol_timeout)),
        ("network", format!("`{}`", config.network)),
        ("mdns", config.mdns.to_string()),
        ("tasks.lease", span(lease)),
        ("tasks.heartbeat", span(heartbeat)),
        ("tasks.stop_grace", span(stop_grace)),
        ("tasks.max_owned", grouped(max_owned as u64)),
        ("tasks.keep_bytes", size(keep_bytes)),
        ("tasks.keep_results", span(keep_results)),
    ];
    let settings = all(&config);
    for (name, default) in defaults {
        let Flat { doc, .. } = settings.iter().find(|setting| setting.name == name).unwrap();
        assert!(doc.contains(&format!("Default {default}.")), "{name}: {default}, {doc:?}");
    }
}

#[test]
fn configuration_prints_itself_as_toml() {
    let config = NetworkConfig {
        name: Some("a \"b\"\\".to_owned()),
        accept: AcceptPolicy::default().with("text", meshwork_core::Accept::Nobody),
        offered: Offered {
            labels: [("a".to_owned(), "b c".to_owned())].into(),
            ..Offered::default()
        },
        ..NetworkConfig::default()
    };
    let text = config.to_string();
    let document: toml_edit::DocumentMut = text.parse().unwrap();
    assert_eq!(document["max_peers"].as_integer(), Some(96));
    assert_eq!(document["ping_interval"].as_str(), Some("8 s"));
    assert_eq!(document["name"].as_str(), Some("a \"b\"\\"));
    assert_eq!(document["accept"]["text"].as_str(), Some("nobody"));
    assert_eq!(document["offered"]["labels"]["a"].as_str(), Some("b c"));
    assert_eq!(document["tasks"]["keep_results"].as_str(), Some("7 days"));
    assert!(text.contains("# home is not set\n"), "{text}");
    assert!(
        text.contains("# Maximum number of admitted peers. 1 to 1,024. Default 96.\n"),
        "{text}"
    );
    // Every setting is printed.
    for Flat { name, shown, .. } in all(&config) {
        assert!(text.contains(&shown), "{name}");
    }
}
