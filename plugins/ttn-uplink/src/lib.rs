//! Uplinks of The Things Network (The Things Stack v3, topic `v3/app@tenant/devices/dev/up`): the
//! key is the device id, the timestamp is when the network received the uplink. What is no uplink
//! is a bad message, and ends in the dead-letter topic.

mod rfc3339;

use std::borrow::Cow;

use plugin_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Uplink<'a> {
    #[serde(borrow)]
    end_device_ids: DeviceIds<'a>,
    // Text with an escape in it cannot be borrowed.
    #[serde(borrow)]
    received_at: Cow<'a, str>,
}

#[derive(Deserialize)]
struct DeviceIds<'a> {
    #[serde(borrow)]
    device_id: Cow<'a, str>,
}

#[key_setter]
fn key(message: &Message) -> Result<String, Error> {
    let uplink: Uplink<'_> = message.json()?;
    Ok(uplink.end_device_ids.device_id.into_owned())
}

#[timestamp_setter]
fn timestamp(message: &Message) -> Result<i64, Error> {
    let uplink: Uplink<'_> = message.json()?;
    rfc3339::milliseconds(&uplink.received_at).ok_or_else(|| {
        Error::bad_message(format!("received_at is no RFC 3339 time: {}", uplink.received_at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLINK: &str = r#"{"end_device_ids":{"device_id":"soil-7","application_ids":
        {"application_id":"farm"},"dev_eui":"0004A30B001C0530","join_eui":"800000000000000C",
        "dev_addr":"00BCB929"},"correlation_ids":["as:up:01E0WZGT6Y7657CPFPE5WEYDSQ"],
        "received_at":"2020-02-12T15:15:45.787123456Z","uplink_message":{"f_port":1,"f_cnt":11,
        "frm_payload":"AQ==","decoded_payload":{"moisture":21.5}}}"#;

    #[test]
    fn an_uplink_is_keyed_by_its_device_and_dated_by_the_network() {
        let message = Message::new("v3/farm@ttn/devices/soil-7/up", UPLINK);
        assert_eq!(key(&message).as_deref(), Ok("soil-7"));
        let escaped = UPLINK.replace("soil-7", r"ger\u00e4t");
        assert_eq!(key(&Message::new("t", &escaped)).as_deref(), Ok("gerät"));
        assert_eq!(timestamp(&message), Ok(1_581_520_545_787));
    }

    #[test]
    fn what_is_no_uplink_is_a_bad_message() {
        let message = Message::new("v3/farm@ttn/devices/soil-7/up", r#"{"end_device_ids":{}}"#);
        let error = key(&message).expect_err("there is no device id");
        assert!(error.to_string().contains("missing field `device_id`"), "{error}");

        let undated = UPLINK.replace("2020-02-12T", "yesterday, ");
        let error = timestamp(&Message::new("t", undated)).expect_err("there is no time");
        assert!(error.to_string().starts_with("received_at is no RFC 3339 time"), "{error}");
    }
}
