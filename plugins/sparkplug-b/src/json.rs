//! The JSON of decoded messages. What is absent in one is absent in the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plugin_sdk::Error;
use serde_json::{Map, Value, json};

use crate::proto::{
    DataSet, DataSetValueKind, MetaData, Metric, MetricValue, Parameter, ParameterValue, Payload,
    PropertyKind, PropertySet, Template,
};

/// Names of the data types, by their numbers.
const DATA_TYPES: [&str; 35] = [
    "Unknown",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float",
    "Double",
    "Boolean",
    "String",
    "DateTime",
    "Text",
    "UUID",
    "DataSet",
    "Bytes",
    "File",
    "Template",
    "PropertySet",
    "PropertySetList",
    "Int8Array",
    "Int16Array",
    "Int32Array",
    "Int64Array",
    "UInt8Array",
    "UInt16Array",
    "UInt32Array",
    "UInt64Array",
    "FloatArray",
    "DoubleArray",
    "BooleanArray",
    "StringArray",
    "DateTimeArray",
];

/// An object without the members that are `None`.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let known = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(known.collect())
}

pub fn payload(payload: Payload) -> Result<Value, Error> {
    let timestamp = payload.timestamp.map(Value::from);
    Ok(object([
        ("_timestamp", timestamp.clone()),
        ("timestamp", timestamp),
        ("metrics", Some(metrics(payload.metrics)?)),
        ("seq", payload.seq.map(Value::from)),
        ("uuid", payload.uuid.map(Value::from)),
        ("body", payload.body.map(|body| STANDARD.encode(body).into())),
    ]))
}

fn metrics(metrics: Vec<Metric>) -> Result<Value, Error> {
    metrics.into_iter().map(metric).collect()
}

fn metric(metric: Metric) -> Result<Value, Error> {
    let datatype = metric.datatype;
    let value = match metric.value {
        None => Value::Null,
        Some(_) if metric.is_null == Some(true) => Value::Null,
        Some(MetricValue::Int(number)) => integer(datatype, number.into()),
        Some(MetricValue::Long(number)) => integer(datatype, number),
        Some(MetricValue::Float(number)) => shortest(number),
        Some(MetricValue::Double(number)) => number.into(),
        Some(MetricValue::Boolean(truth)) => truth.into(),
        Some(MetricValue::String(text)) => text.into(),
        Some(MetricValue::Bytes(bytes)) => array(datatype, &bytes)?,
        Some(MetricValue::DataSet(set)) => data_set(set),
        Some(MetricValue::Template(inner)) => template(inner)?,
    };
    Ok(object([
        ("name", metric.name.map(Value::from)),
        ("alias", metric.alias.map(Value::from)),
        ("timestamp", metric.timestamp.map(Value::from)),
        ("dataType", datatype.map(data_type)),
        ("isHistorical", metric.is_historical.map(Value::from)),
        ("isTransient", metric.is_transient.map(Value::from)),
        ("metaData", metric.metadata.map(metadata)),
        ("properties", metric.properties.map(properties).transpose()?),
        ("value", Some(value)),
    ]))
}

fn data_type(number: u32) -> Value {
    DATA_TYPES.get(number as usize).map_or_else(|| number.into(), |name| (*name).into())
}

/// Signed numbers travel as the two's complement of their own size or of a larger one.
fn integer(datatype: Option<u32>, number: u64) -> Value {
    match datatype {
        Some(1) => (number as i8).into(),
        Some(2) => (number as i16).into(),
        Some(3) => (number as i32).into(),
        Some(4) => (number as i64).into(),
        _ => number.into(),
    }
}

/// The JSON number with the fewest digits that is this `f32`, not this `f32` as an `f64`.
fn shortest(number: f32) -> Value {
    number.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// Arrays travel as packed little-endian bytes; bytes that are no array become Base64.
fn array(datatype: Option<u32>, bytes: &[u8]) -> Result<Value, Error> {
    match datatype {
        Some(22) => elements(bytes, |[byte]: [u8; 1]| (byte as i8).into()),
        Some(23) => elements(bytes, |bytes| i16::from_le_bytes(bytes).into()),
        Some(24) => elements(bytes, |bytes| i32::from_le_bytes(bytes).into()),
        Some(25) => elements(bytes, |bytes| i64::from_le_bytes(bytes).into()),
        Some(26) => elements(bytes, |[byte]: [u8; 1]| byte.into()),
        Some(27) => elements(bytes, |bytes| u16::from_le_bytes(bytes).into()),
        Some(28) => elements(bytes, |bytes| u32::from_le_bytes(bytes).into()),
        Some(29 | 34) => elements(bytes, |bytes| u64::from_le_bytes(bytes).into()),
        Some(30) => elements(bytes, |bytes| shortest(f32::from_le_bytes(bytes))),
        Some(31) => elements(bytes, |bytes| f64::from_le_bytes(bytes).into()),
        Some(32) => booleans(bytes),
        Some(33) => strings(bytes),
        _ => Ok(STANDARD.encode(bytes).into()),
    }
}

fn elements<const N: usize>(
    bytes: &[u8],
    value: impl Fn([u8; N]) -> Value,
) -> Result<Value, Error> {
    let (elements, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        let size = bytes.len();
        return Err(Error::bad_message(format!("{size} bytes are no array of {N} bytes each")));
    }
    Ok(elements.iter().map(|element| value(*element)).collect())
}

/// Their number, then a bit for each, the highest of a byte first.
fn booleans(bytes: &[u8]) -> Result<Value, Error> {
    let (count, bits) = bytes
        .split_first_chunk()
        .map(|(count, bits)| (u32::from_le_bytes(*count) as usize, bits))
        .filter(|(count, bits)| count.div_ceil(8) == bits.len())
        .ok_or_else(|| Error::bad_message("a BooleanArray has another size than it says"))?;
    Ok((0..count).map(|at| bits[at / 8] << (at % 8) & 0x80 != 0).collect())
}

/// Each ends with a zero.
fn strings(bytes: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(bytes)?;
    if text.is_empty() {
        return Ok(json!([]));
    }
    let text = text
        .strip_suffix('\0')
        .ok_or_else(|| Error::bad_message("a StringArray does not end with a zero"))?;
    Ok(text.split('\0').collect())
}

fn data_set(set: DataSet) -> Value {
    let types = set.types;
    let row = |row: crate::proto::Row| -> Value {
        let elements = row.elements.into_iter().enumerate();
        elements.map(|(at, element)| element_of(types.get(at).copied(), element.value)).collect()
    };
    let rows: Value = set.rows.into_iter().map(row).collect();
    object([
        ("numOfColumns", set.num_of_columns.map(Value::from)),
        ("columns", Some(set.columns.into())),
        ("types", Some(types.into_iter().map(data_type).collect())),
        ("rows", Some(rows)),
    ])
}

fn element_of(datatype: Option<u32>, value: Option<DataSetValueKind>) -> Value {
    match value {
        None => Value::Null,
        Some(DataSetValueKind::Int(number)) => integer(datatype, number.into()),
        Some(DataSetValueKind::Long(number)) => integer(datatype, number),
        Some(DataSetValueKind::Float(number)) => shortest(number),
        Some(DataSetValueKind::Double(number)) => number.into(),
        Some(DataSetValueKind::Boolean(truth)) => truth.into(),
        Some(DataSetValueKind::String(text)) => text.into(),
    }
}

fn template(template: Template) -> Result<Value, Error> {
    Ok(object([
        ("version", template.version.map(Value::from)),
        ("templateRef", template.template_ref.map(Value::from)),
        ("isDefinition", template.is_definition.map(Value::from)),
        ("metrics", Some(metrics(template.metrics)?)),
        ("parameters", Some(template.parameters.into_iter().map(parameter).collect())),
    ]))
}

fn parameter(parameter: Parameter) -> Value {
    let datatype = parameter.datatype;
    let value = match parameter.value {
        None => Value::Null,
        Some(ParameterValue::Int(number)) => integer(datatype, number.into()),
        Some(ParameterValue::Long(number)) => integer(datatype, number),
        Some(ParameterValue::Float(number)) => shortest(number),
        Some(ParameterValue::Double(number)) => number.into(),
        Some(ParameterValue::Boolean(truth)) => truth.into(),
        Some(ParameterValue::String(text)) => text.into(),
    };
    object([
        ("name", parameter.name.map(Value::from)),
        ("type", datatype.map(data_type)),
        ("value", Some(value)),
    ])
}

fn properties(set: PropertySet) -> Result<Value, Error> {
    if set.keys.len() != set.values.len() {
        return Err(Error::bad_message("a PropertySet has not as many keys as values"));
    }
    let mut members = Map::new();
    for (key, property) in set.keys.into_iter().zip(set.values) {
        let datatype = property.datatype;
        let value = match property.value {
            None => Value::Null,
            Some(_) if property.is_null == Some(true) => Value::Null,
            Some(PropertyKind::Int(number)) => integer(datatype, number.into()),
            Some(PropertyKind::Long(number)) => integer(datatype, number),
            Some(PropertyKind::Float(number)) => shortest(number),
            Some(PropertyKind::Double(number)) => number.into(),
            Some(PropertyKind::Boolean(truth)) => truth.into(),
            Some(PropertyKind::String(text)) => text.into(),
            Some(PropertyKind::Set(inner)) => properties(inner)?,
            Some(PropertyKind::Sets(list)) => {
                list.sets.into_iter().map(properties).collect::<Result<_, _>>()?
            }
        };
        members.insert(key, object([("type", datatype.map(data_type)), ("value", Some(value))]));
    }
    Ok(members.into())
}

fn metadata(metadata: MetaData) -> Value {
    object([
        ("isMultiPart", metadata.is_multi_part.map(Value::from)),
        ("contentType", metadata.content_type.map(Value::from)),
        ("size", metadata.size.map(Value::from)),
        ("seq", metadata.seq.map(Value::from)),
        ("fileName", metadata.file_name.map(Value::from)),
        ("fileType", metadata.file_type.map(Value::from)),
        ("md5", metadata.md5.map(Value::from)),
        ("description", metadata.description.map(Value::from)),
    ])
}
