use super::*;

fn offer(name: &str, ready: bool, trusted: bool) -> OfferView {
    OfferView {
        peer_id: format!("12D3KooW{name}"),
        name: Some(name.to_owned()),
        here: false,
        ready,
        trusted,
    }
}

fn handler() -> HandlerView {
    let own_offer = OfferView { here: true, ..offer("ant", true, true) };
    let peers = [offer("bee", true, true), offer("cat", true, false), offer("eel", false, true)];
    HandlerView {
        name: "text/top-words".to_owned(),
        summary: Some("The most frequent words.\u{1b}".to_owned()),
        params: vec![ParamView {
            name: "n".to_owned(),
            kind: "integer".to_owned(),
            required: false,
            default: Some("10".to_owned()),
            doc: "How many.".to_owned(),
        }],
        needs_input: true,
        offers: [own_offer].into_iter().chain(peers).collect(),
        offer_count: 70,
    }
}

#[test]
fn offers_of_a_handler_name_peers_and_their_obstacles() {
    let people = offers(&handler(), true);
    assert_eq!(people, "this node, bee, cat (not trusted), eel (not ready), 66 more");
    let programs = offers(&handler(), false);
    assert_eq!(programs, "12D3KooWant, 12D3KooWbee, 12D3KooWcat, 12D3KooWeel, 66 more");
}

#[test]
fn one_handler_is_shown_with_its_parameters_and_all_offers() {
    let text = details(&handler());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "text/top-words",
            "The most frequent words.\u{fffd}",
            "  INPUT  required: a text, @PATH or -",
            "  --param n=integer  default 10  How many.",
            "  offered by  ant  12D3KooWant  this node",
            "  offered by  bee  12D3KooWbee  ready, trusted",
            "  offered by  cat  12D3KooWcat  ready, not trusted",
            "  offered by  eel  12D3KooWeel  not ready, trusted",
            "  and by 66 more",
        ]
    );
}
