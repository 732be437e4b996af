//! Payloads as Google's Protobuf library encodes them from the official schema. The first two are
//! taken apart here by hand.

use serde_json::json;

use super::*;

/// Shared by all metrics of the payloads below.
const TIME: u64 = 1_486_144_502_122;

/// Payload: 1 timestamp (08, varint), 2 metrics (12, length), 3 seq (18, varint).
/// Metric: 1 name (0a), 3 timestamp (18), 4 datatype (20), 11 long (58), 12 float (65, four bytes),
/// 14 boolean (70), 15 string (7a).
const NBIRTH: &str = "08eaf2f5a8a02b\
    12120a05 6264536571 18eaf2f5a8a02b 2008 5800\
    12210a14 4e6f646520436f6e74726f6c2f52656269727468 18eaf2f5a8a02b 200b 7000\
    12240a16 4e6f646520436f6e74726f6c2f5363616e2052617465 18eaf2f5a8a02b 2004 58b817\
    12310a18 50726f706572746965732f4861726477617265204d616b65 18eaf2f5a8a02b 200c\
             7a0c 526173706265727279205069\
    121e0a0e 537570706c7920566f6c74616765 18eaf2f5a8a02b 2009 659a994141\
    1800";

const NDATA: &str = "08eaf2f5a8a02b\
    121e0a0e 537570706c7920566f6c74616765 18eaf2f5a8a02b 2009 65cdcc4441\
    1802";

/// A bdSeq of type Int64, and nothing else.
const NDEATH: &str = "120b0a05626453657120045800";

/// An alias without name and data type, with an `int_value` of 2^32 - 1.
const BY_ALIAS: &str = "08eaf2f5a8a02b120f100718eaf2f5a8a02b50ffffffff0f1803";

/// A metric without name of each data type but for those in `NESTED`, with `uuid` and `body`.
const TYPES: &str = "08eaf2f5a8a02b1208200150feffffff0f1206200250b8fe031208200350fbffffff0f120d200458f7ffffff \
    ffffffffff011205200550fa011206200650e8fb03120820075880d0acf30e120d200858ffffffffffffffff \
    ff01120b200a699a9999999999b9bf1209200d58eaf2f5a8a02b1208200e7a04546578741208200f7a047575 \
    69641207201182010200ff12072016820102e97b12092017820104d08a3075120d2018820108ffffffffffff \
    ff7f120d2019820108fcffffffffffffff1207201a82010217fa1209201b8201041e0088cc1209201c820104 \
    49fb55c4120d201d820108d99e02d1b27637e4120d201e820108a4709d3f98aeb242120d201f820108d7a205 \
    685bb52840120b20208201060c00000034d0120f202182010a4142430068656c6c6f00120d2022820108c7d0 \
    90752401000018012201752a0201ff";

/// A null, a file with all metadata, properties of all kinds, a data set and a template.
const NESTED: &str = "08eaf2f5a8a02b120e0a046e756c6c200328013000380112330a0466696c65201242240801120a746578742f \
    706c61696e180220002a05612e74787432037478743a016d4201648201026869125b0a0570726f707320034a \
    4e0a075175616c6974790a046e6f6e650a066e65737465640a046c6973741205080318c0011204080c100112 \
    0d08144a090a01611204080b380112130815520f0a0d0a01621208080118ffffffff0f500512320a03736574 \
    20108a012808021201781201791803180c220f0a0608ffffffff0f0a0532036f6e6522090a000a0532037477 \
    6f12390a0874656d706c617465201392012a0a027631120a0a0372706d200758dc0b1a0f0a05496e64657810 \
    0318fdffffff0f22054d6f746f7228001801";

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn json_of(kind: &str, hex: &str) -> Value {
    let message = Message::new(format!("spBv1.0/Plant/{kind}/Press 3"), bytes(hex));
    deserialize(&message).expect("it is a payload").expect("it is not left as it is")
}

fn refused(hex: &str) -> String {
    let message = Message::new("spBv1.0/Plant/DDATA/Press 3/Motor", bytes(hex));
    deserialize(&message).expect_err("it is no payload").to_string()
}

#[test]
fn a_birth_has_names_types_and_values() {
    let metric = |name: &str, data_type: &str, value: Value| json!({"name": name, "timestamp": TIME, "dataType": data_type, "value": value});
    let expected = json!({
        "_timestamp": TIME,
        "timestamp": TIME,
        "metrics": [
            metric("bdSeq", "UInt64", json!(0)),
            metric("Node Control/Rebirth", "Boolean", json!(false)),
            metric("Node Control/Scan Rate", "Int64", json!(3000)),
            metric("Properties/Hardware Make", "String", json!("Raspberry Pi")),
            metric("Supply Voltage", "Float", json!(12.1)),
        ],
        "seq": 0,
    });
    assert_eq!(json_of("NBIRTH", NBIRTH), expected);
}

#[test]
fn data_and_deaths_are_read_too() {
    let voltage =
        json!({"name": "Supply Voltage", "timestamp": TIME, "dataType": "Float", "value": 12.3});
    let data = json!({"_timestamp": TIME, "timestamp": TIME, "metrics": [voltage], "seq": 2});
    for kind in ["NDATA", "NCMD", "DDATA", "DCMD"] {
        assert_eq!(json_of(kind, NDATA), data, "{kind}");
    }
    let death = json!({"metrics": [{"name": "bdSeq", "dataType": "Int64", "value": 0}]});
    assert_eq!(json_of("NDEATH", NDEATH), death);
    assert_eq!(json_of("DDEATH", ""), json!({"metrics": []}));
}

#[test]
fn an_alias_stays_one_and_a_number_without_a_type_is_unsigned() {
    let metric = json_of("NDATA", BY_ALIAS)["metrics"][0].clone();
    assert_eq!(metric, json!({"alias": 7, "timestamp": TIME, "value": 4_294_967_295_u32}));
}

#[test]
fn every_data_type_has_its_value() {
    let json = json_of("DBIRTH", TYPES);
    assert_eq!((&json["uuid"], &json["body"]), (&json!("u"), &json!("Af8=")));
    let metrics = json["metrics"].as_array().expect("metrics").iter();
    let told: Vec<_> = metrics
        .map(|metric| (metric["dataType"].as_str().expect("a name"), metric["value"].clone()))
        .collect();
    let expected = [
        ("Int8", json!(-2)),
        ("Int16", json!(-200)),
        ("Int32", json!(-5)),
        ("Int64", json!(-9)),
        ("UInt8", json!(250)),
        ("UInt16", json!(65_000)),
        ("UInt32", json!(4_000_000_000_u32)),
        ("UInt64", json!(u64::MAX)),
        ("Double", json!(-0.1)),
        ("DateTime", json!(TIME)),
        ("Text", json!("Text")),
        ("UUID", json!("uuid")),
        ("Bytes", json!("AP8=")),
        ("Int8Array", json!([-23, 123])),
        ("Int16Array", json!([-30_000, 30_000])),
        ("Int32Array", json!([-1, i32::MAX])),
        ("Int64Array", json!([-4])),
        ("UInt8Array", json!([23, 250])),
        ("UInt16Array", json!([30, 52_360])),
        ("UInt32Array", json!([3_293_969_225_u32])),
        ("UInt64Array", json!([16_444_743_074_749_521_625_u64])),
        ("FloatArray", json!([1.23, 89.341])),
        ("DoubleArray", json!([12.354_213])),
        (
            "BooleanArray",
            json!([false, false, true, true, false, true, false, false, true, true, false, true]),
        ),
        ("StringArray", json!(["ABC", "hello"])),
        ("DateTimeArray", json!([1_256_102_875_335_u64])),
    ];
    assert_eq!(told, expected);
}

#[test]
fn nulls_files_properties_data_sets_and_templates_are_read() {
    let json = json_of("DBIRTH", NESTED);
    let expected = json!([
        {"name": "null", "dataType": "Int32", "isHistorical": true, "isTransient": false,
         "value": null},
        {"name": "file", "dataType": "File", "value": "aGk=", "metaData": {
            "isMultiPart": true, "contentType": "text/plain", "size": 2, "seq": 0,
            "fileName": "a.txt", "fileType": "txt", "md5": "m", "description": "d"}},
        {"name": "props", "dataType": "Int32", "value": 5, "properties": {
            "Quality": {"type": "Int32", "value": 192},
            "none": {"type": "String", "value": null},
            "nested": {"type": "PropertySet", "value": {"a": {"type": "Boolean", "value": true}}},
            "list": {"type": "PropertySetList", "value": [{"b": {"type": "Int8", "value": -1}}]}}},
        {"name": "set", "dataType": "DataSet", "value": {
            "numOfColumns": 2, "columns": ["x", "y"], "types": ["Int32", "String"],
            "rows": [[-1, "one"], [null, "two"]]}},
        {"name": "template", "dataType": "Template", "value": {
            "version": "v1", "templateRef": "Motor", "isDefinition": false,
            "metrics": [{"name": "rpm", "dataType": "UInt32", "value": 1500}],
            "parameters": [{"name": "Index", "type": "Int32", "value": -3}]}},
    ]);
    assert_eq!(json["metrics"], expected);
}

#[test]
fn other_topics_keep_their_payloads() {
    let state = r#"{"online":true,"timestamp":1486144502122}"#;
    for topic in
        ["spBv1.0/STATE/scada", "STATE/scada", "spBv1.0/Plant/STATE", "plant/a/NDATA/b", "spBv1.0"]
    {
        assert_eq!(deserialize(&Message::new(topic, state)), Ok(None), "{topic}");
    }
}

#[test]
fn what_is_no_payload_is_a_bad_message() {
    assert!(refused("08").contains("failed to decode Protobuf message"));
    assert!(refused(&NBIRTH[..NBIRTH.len() - 12]).contains("Payload.metrics"));
    // A name that is not UTF-8, and a text that happens to be fields that nobody knows.
    assert!(refused("12030a01ff").contains("UTF-8"));
    assert_eq!(refused("3a024142"), "this is no Sparkplug B payload");
    // Arrays with half an element, of another size than they say, and without their last zero.
    assert_eq!(refused("1206201782010100"), "1 bytes are no array of 2 bytes each");
    assert_eq!(refused("12092020820104090000 00"), "a BooleanArray has another size than it says");
    assert_eq!(refused("1206202182010141"), "a StringArray does not end with a zero");
    assert_eq!(refused("12054a030a0161"), "a PropertySet has not as many keys as values");
}

#[test]
fn templates_within_templates_end_somewhere() {
    let mut bytes = Vec::new();
    for _ in 0..10_000 {
        // A metric of a payload or a template (field 2), and in it a template (field 18).
        for tag in [&[0x92, 0x01][..], &[0x12]] {
            let mut outer = tag.to_vec();
            prost::encode_length_delimiter(bytes.len(), &mut outer).expect("there is room");
            outer.append(&mut bytes);
            bytes = outer;
        }
    }
    let error = deserialize(&Message::new("spBv1.0/Plant/NDATA/Press 3", bytes));
    assert!(error.expect_err("it is too deep").to_string().contains("recursion limit"));
}
