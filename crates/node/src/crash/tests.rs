use super::Order;

#[test]
fn an_order_names_a_place_and_how_often() {
    let order = |name: &str, times| Order { name: name.to_owned(), times };
    assert_eq!(Order::parse("released"), order("released", 1));
    assert_eq!(Order::parse("released:3"), order("released", 3));
}
