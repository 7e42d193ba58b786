//! Reads members of a group from JSON: an array of elements, or elements one after the other.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, Read},
};

use meshwork_api::{MemberSpec, Payload};
use meshwork_core::{limits::INLINE_BYTES, task::unique_keys};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{Items, MARK};
use crate::{failure::Failure, limits, output::format};

/// The members of a JSON file. An array is read into memory, up to [`limits::JSON_BYTES`].
pub(super) fn read(mut from: Box<dyn BufRead + Send>) -> Result<Items, Failure> {
    let elements: Box<dyn Iterator<Item = serde_json::Result<Element>> + Send> =
        if first_byte(&mut from).map_err(|error| no_json(&error))? == Some(b'[') {
            let mut text = Vec::new();
            let read = from.take(limits::JSON_BYTES + 1).read_to_end(&mut text);
            read.map_err(|error| no_json(&error))?;
            if text.len() as u64 > limits::JSON_BYTES {
                let limit = format::size(limits::JSON_BYTES);
                return Err(Failure::usage(format!(
                    "--from-json: the array is larger than {limit}"
                ))
                .with_hint("write one element after the other, without an array"));
            }
            let Elements(array) = serde_json::from_slice(&text).map_err(|error| no_json(&error))?;
            Box::new(array.into_iter().map(Ok))
        } else {
            Box::new(serde_json::Deserializer::from_reader(from).into_iter())
        };
    let mut broken = false;
    let members = (1_u64..).zip(elements).map_while(move |(number, element)| {
        // After an error the reader's position in the JSON is unknown.
        let was_broken = std::mem::replace(&mut broken, element.is_err());
        (!was_broken).then(|| member(number, element))
    });
    Ok(Box::new(members))
}

/// The first byte after white space and the byte order mark. It is not consumed.
fn first_byte(from: &mut impl BufRead) -> io::Result<Option<u8>> {
    let mut mark = MARK;
    loop {
        let Some(byte) = from.fill_buf()?.first().copied() else { return Ok(None) };
        match mark.split_first() {
            Some((expected, rest)) if *expected == byte => mark = rest,
            _ if !mark.is_empty() && mark != MARK => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"));
            }
            _ if byte.is_ascii_whitespace() => mark = &[],
            _ => return Ok(Some(byte)),
        }
        from.consume(1);
    }
}

fn no_json(error: &dyn std::error::Error) -> Failure {
    Failure::usage(format!("--from-json: {error}")).with_hint(ELEMENT)
}

const ELEMENT: &str =
    "an element is a text, or an object with `input` and `params` (texts by name)";

/// The elements of an array. A parse error names the number of the invalid element.
struct Elements(Vec<Element>);

/// One member, written as a text or as an object.
#[derive(Default)]
struct Element {
    input: Option<Input>,
    params: BTreeMap<String, String>,
}

/// An element that is an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    #[serde(default)]
    input: Option<Input>,
    #[serde(default, deserialize_with = "unique_keys")]
    params: BTreeMap<String, String>,
}

/// An input: a text, or a payload in the form of the API.
#[derive(Deserialize)]
#[serde(untagged, expecting = "input: neither a text nor {\"base64\": ..}")]
enum Input {
    Text(String),
    Payload(Payload),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementVisitor;

        impl<'de> Visitor<'de> for ElementVisitor {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or an object")
            }

            fn visit_str<E>(self, text: &str) -> Result<Element, E> {
                Ok(Element { input: Some(Input::Text(text.to_owned())), ..Element::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
                let Object { input, params } =
                    Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Element { input, params })
            }
        }

        deserializer.deserialize_any(ElementVisitor)
    }
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Elements, A::Error> {
        let mut elements = Vec::new();
        loop {
            let number = elements.len() + 1;
            let next = array.next_element();
            let next =
                next.map_err(|error| A::Error::custom(format_args!("element {number}: {error}")))?;
            let Some(element) = next else { return Ok(Elements(elements)) };
            elements.push(element);
        }
    }
}

fn member(number: u64, element: serde_json::Result<Element>) -> Result<MemberSpec, Failure> {
    let wrong = |why: &dyn fmt::Display| {
        Failure::usage(format!("--from-json: element {number}: {why}")).with_hint(ELEMENT)
    };
    let Element { input, params } = element.map_err(|error| wrong(&error))?;
    let input = input.map(|input| match input {
        Input::Text(text) => Payload::of(text),
        Input::Payload(payload) => payload,
    });
    let spec = MemberSpec { input, params };
    let bytes = spec.input.clone().map_or(0, |input| input.weight());
    if bytes > INLINE_BYTES {
        let limit = format::size(u64::try_from(INLINE_BYTES).unwrap_or(u64::MAX));
        return Err(wrong(&format!("its input is larger than {limit}")));
    }
    Ok(spec)
}
