//! CBOR payloads as JSON, by the rules of RFC 8949, section 6.1: `_key` and `_timestamp` of a CBOR
//! map are found as if it were JSON, and other plugins read it as JSON. The record's value is still
//! the CBOR. NaN, the infinities and everything else that JSON does not have become `null`: a `_key`
//! of NaN is a null key, and a `_timestamp` of NaN gives way to the time of arrival. A payload that
//! is not one CBOR item is a bad message.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use minicbor::Decoder;
use minicbor::data::{Tag, Type};
use plugin_sdk::prelude::*;
use serde_json::{Map, Number, Value};

/// Containers and tags within each other. More is refused before the stack ends.
const DEPTH: usize = 128;

#[payload_deserializer]
fn deserialize(message: &Message) -> Result<Value, Error> {
    let mut cbor = Decoder::new(message.payload());
    let value = item(&mut cbor, Bytes::Base64Url, 0)?;
    match message.payload().len() - cbor.position() {
        0 => Ok(value),
        more => Err(Error::bad_message(format!("{more} bytes follow the CBOR item"))),
    }
}

/// What byte strings become: RFC 8949, section 3.4.5.2.
#[derive(Clone, Copy)]
enum Bytes {
    Base64Url,
    Base64,
    Base16,
}

impl Bytes {
    fn text(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64Url => URL_SAFE_NO_PAD.encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
            Self::Base16 => {
                let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
                bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
            }
        }
    }
}

fn item(cbor: &mut Decoder<'_>, bytes: Bytes, depth: usize) -> Result<Value, Error> {
    if depth > DEPTH {
        return Err(Error::bad_message(format!("CBOR is nested more than {DEPTH} times")));
    }
    Ok(match cbor.datatype()? {
        Type::Bool => cbor.bool()?.into(),
        // Undefined and the rest of the simple values have no JSON.
        Type::Null => cbor.null().map(|()| Value::Null)?,
        Type::Undefined => cbor.undefined().map(|()| Value::Null)?,
        Type::Simple => cbor.simple().map(|_| Value::Null)?,
        Type::F16 => f64::from(cbor.f16()?).into(),
        Type::F32 => shortest(cbor.f32()?),
        Type::F64 => cbor.f64()?.into(),
        Type::String | Type::StringIndef => text(cbor)?.into(),
        Type::Bytes | Type::BytesIndef => bytes.text(&byte_string(cbor)?).into(),
        Type::Array | Type::ArrayIndef => array(cbor, bytes, depth)?,
        Type::Map | Type::MapIndef => map(cbor, bytes, depth)?,
        Type::Tag => tagged(cbor, bytes, depth)?,
        Type::Break | Type::Unknown(_) => return Err(Error::bad_message("this is not CBOR")),
        _ => integer(cbor)?,
    })
}

fn integer(cbor: &mut Decoder<'_>) -> Result<Value, Error> {
    let number = i128::from(cbor.int()?);
    // Only what is below -2^63 is none of a `Number`: it keeps its magnitude.
    Ok(Number::from_i128(number).map_or_else(|| (number as f64).into(), Value::Number))
}

/// The JSON number with the fewest digits that is this `f32`, not this `f32` as an `f64`.
fn shortest(number: f32) -> Value {
    number.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

fn text(cbor: &mut Decoder<'_>) -> Result<String, Error> {
    Ok(cbor.str_iter()?.collect::<Result<String, _>>()?)
}

fn byte_string(cbor: &mut Decoder<'_>) -> Result<Vec<u8>, Error> {
    Ok(cbor.bytes_iter()?.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Whether another item of a container follows. One of indefinite length ends with a break.
fn more(cbor: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, Error> {
    match left {
        Some(0) => Ok(false),
        Some(left) => {
            *left -= 1;
            Ok(true)
        }
        None if cbor.datatype()? == Type::Break => {
            cbor.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}

fn array(cbor: &mut Decoder<'_>, bytes: Bytes, depth: usize) -> Result<Value, Error> {
    let mut left = cbor.array()?;
    let mut items = Vec::new();
    while more(cbor, &mut left)? {
        items.push(item(cbor, bytes, depth + 1)?);
    }
    Ok(items.into())
}

/// Keys that are no text become their JSON text, such as the digits of a number.
fn map(cbor: &mut Decoder<'_>, bytes: Bytes, depth: usize) -> Result<Value, Error> {
    let mut left = cbor.map()?;
    let mut members = Map::new();
    while more(cbor, &mut left)? {
        let key = match item(cbor, bytes, depth + 1)? {
            Value::String(key) => key,
            other => other.to_string(),
        };
        let value = item(cbor, bytes, depth + 1)?;
        if members.contains_key(&key) {
            return Err(Error::bad_message(format!("a CBOR map has the key {key:?} twice")));
        }
        members.insert(key, value);
    }
    Ok(members.into())
}

fn tagged(cbor: &mut Decoder<'_>, bytes: Bytes, depth: usize) -> Result<Value, Error> {
    let tag = cbor.tag()?;
    let inner = match tag.as_u64() {
        21 => Bytes::Base64Url,
        22 => Bytes::Base64,
        23 => Bytes::Base16,
        _ => bytes,
    };
    Ok(match (tag, item(cbor, inner, depth + 1)?) {
        // A negative bignum is told from a positive one by this.
        (NEGATIVE_BIGNUM, Value::String(digits)) => format!("~{digits}").into(),
        // Whatever else a tag says of its content, JSON cannot say.
        (_, content) => content,
    })
}

const NEGATIVE_BIGNUM: Tag = Tag::new(3);

#[cfg(test)]
mod tests;
