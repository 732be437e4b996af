//! The embedded brokers: rumqttd, and the Kafka that librdkafka simulates for its own tests.
//!
//! Good for a demonstration, not for keeping anything: both forget everything at the end, and the
//! MQTT broker cannot be stopped, so its threads last as long as the process.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long the MQTT broker may take to listen.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the embedded brokers are.
pub struct Addresses {
    /// The port of 127.0.0.1 that speaks MQTT 3.1.1.
    pub mqtt_3: u16,
    /// The port of 127.0.0.1 that speaks MQTT 5.
    pub mqtt_5: u16,
    /// `host:port`
    pub kafka: String,
}

/// Both brokers; Kafka ends when this is dropped.
pub struct Brokers {
    pub addresses: Addresses,
    _kafka: MockCluster<'static, DefaultProducerContext>,
}

impl Brokers {
    /// Starts both on free ports, with topics of so many partitions.
    pub async fn start(topics: &[(String, i32)]) -> Result<Self, String> {
        let failed = |error| format!("cannot start the embedded Kafka: {error}");
        let kafka = MockCluster::new(1).map_err(failed)?;
        for (topic, partitions) in topics {
            kafka.create_topic(topic, *partitions, 1).map_err(failed)?;
        }
        let [mqtt_3, mqtt_5] = start_mqtt()
            .map_err(|error| format!("cannot start the embedded MQTT broker: {error}"))?;
        for port in [mqtt_3, mqtt_5] {
            timeout(PATIENCE, listening(port))
                .await
                .map_err(|_| format!("the embedded MQTT broker does not listen on port {port}"))?;
        }
        let addresses = Addresses { mqtt_3, mqtt_5, kafka: kafka.bootstrap_servers() };
        Ok(Self { addresses, _kafka: kafka })
    }
}

/// Starts the MQTT broker on two free ports.
fn start_mqtt() -> std::io::Result<[u16; 2]> {
    // It does not tell which port it got, so it is told one that was free a moment ago.
    let free = [TcpListener::bind(local(0))?, TcpListener::bind(local(0))?];
    let ports = [free[0].local_addr()?.port(), free[1].local_addr()?.port()];
    drop(free);
    let config = Config {
        router: RouterConfig {
            max_connections: 100,
            max_outgoing_packet_count: 200,
            // What a filter's messages may take before the oldest are forgotten.
            max_segment_size: 16 << 20,
            max_segment_count: 4,
            ..RouterConfig::default()
        },
        v4: Some(listener("mqtt-3", ports[0])),
        v5: Some(listener("mqtt-5", ports[1])),
        ..Config::default()
    };
    std::thread::Builder::new().name("mqtt-broker".to_owned()).spawn(move || {
        if let Err(error) = Broker::new(config).start() {
            tracing::error!("the embedded MQTT broker ended: {error}");
        }
    })?;
    Ok(ports)
}

fn listener(name: &str, port: u16) -> HashMap<String, ServerSettings> {
    let settings = ServerSettings {
        name: name.to_owned(),
        listen: local(port),
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: 1 << 20,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            // Filters are made as they are subscribed to.
            dynamic_filters: true,
        },
    };
    HashMap::from([(name.to_owned(), settings)])
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

async fn listening(port: u16) {
    while TcpStream::connect(local(port)).await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
}
