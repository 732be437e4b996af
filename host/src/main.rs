use host::{bridge, message::Qos, sink, source, telemetry::Ledger, transform};
use std::sync::Arc;
fn env(n: &str, d: &str) -> String {
    std::env::var(n).unwrap_or_else(|_| d.to_owned())
}
fn main() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(env("RUST_LOG", "info"))
        .init();
    let settings = bridge::Settings {
        source: source::Settings {
            server: source::Server {
                host: "127.0.0.1".into(),
                port: env("MQTT", "1883").parse().unwrap(),
                tls: None,
            },
            hello: source::packet::Hello {
                version: if env("V", "4") == "5" {
                    source::packet::Version::V5
                } else {
                    source::packet::Version::V3_1_1
                },
                client_id: env("CID", "host-1"),
                clean_session: false,
                keep_alive: 30,
                username: None,
                password: None,
                max_packet_size: 16 << 20,
                session_expiry: 86400,
                receive_maximum: 8192,
                user_properties: vec![],
            },
            filters: vec![env("TOPIC", "#")],
            qos: Qos::from_number(env("QOS", "1").parse().unwrap()).unwrap(),
            max_packet_size: 16 << 20,
        },
        sink: sink::Settings {
            brokers: env("KAFKA", "127.0.0.1:9092"),
            client_id: "host-1".into(),
            properties: vec![], largest_batch: None,
        },
        route: bridge::Route {
            kafka_topic: env("KTOPIC", "plant"),
            dead_letter_topic: env("KTOPIC", "plant") + ".dead-letter",
            headers: transform::headers::HeaderPolicy::Properties,
            on_error: bridge::OnError::DeadLetter,
        },
        lanes: 1,
        max_in_flight_bytes: env("CREDIT", "134217728").parse().unwrap(),
        print: env("PRINT", "") == "1",
        shutdown_timeout: std::time::Duration::from_secs(10),
    };
    let files: Vec<std::path::PathBuf> = std::env::var("PLUGIN").ok().map(Into::into).into_iter().collect();
    let plugins = host::plugin::Plugins::load(&files, &host::plugin::Limits::default()).unwrap();
    let ledger = Arc::new(Ledger::default());
    let (tx, rx) = tokio::sync::watch::channel(0);
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let l2 = ledger.clone();
    let out = rt.block_on(async move {
        tokio::spawn(async move {
            let mut t =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
            loop {
                t.recv().await;
                tx.send_modify(|n| *n += 1);
            }
        });
        bridge::run(
            settings,
            || transform::Transform::new(transform::builtin::Builtin::new(true), plugins.instantiate()),
            l2,
            rx,
        )
        .await
    });
    eprintln!("{out:?} in_flight {}", ledger.in_flight());
}
