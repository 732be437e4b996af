//! What Kafka refuses for a while is sent again, in order. A real Kafka gives these answers only
//! at great expense, so librdkafka's own simulated one gives them here, over real connections.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tests::host::{Ended, Host};
use tests::kafka;
use tests::load::{assert_carried, assert_carried_once, messages};
use tests::scripted::ScriptedServer;
use tests::wire::Publish;

const TOPIC: &str = "refused";

/// Publishes while Kafka answers the next requests to write with these errors. Gives what was
/// published, what Kafka has, and how the host ended.
fn carry_through(errors: &[RDKafkaRespErr]) -> (Vec<Publish>, Vec<kafka::Record>, Ended) {
    let cluster: MockCluster<'_, DefaultProducerContext> =
        MockCluster::new(1).expect("a simulated Kafka starts");
    let address = cluster.bootstrap_servers();
    cluster.create_topic(TOPIC, 1, 1).expect("a topic is made");
    let server = ScriptedServer::start();
    let host = Host::between_ports(server.port(), "#", &address, TOPIC).launch();
    let mut connection = server.accept_and_subscribe(false);
    // The producer has its identity before the trouble begins.
    let mut published = messages("before", 1, 1, 1);
    connection.publish(1, &published[0]);
    assert_eq!(connection.acknowledged(1), [1]);

    cluster.request_errors(RDKafkaApiKey::Produce, errors);
    let troubled = messages("plant", 3, 300, 1);
    for (id, message) in (10..).zip(&troubled) {
        connection.publish(id, message);
    }
    assert_eq!(connection.acknowledged(300), (10..310).collect::<Vec<u16>>());
    published.extend(troubled);
    let records = kafka::read(&address, TOPIC);
    (published, records, host.stop())
}

#[test]
fn a_topic_that_may_not_be_written_for_a_while_gets_everything_in_order_afterwards() {
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    // More than there can be requests under way, so that none is taken behind a refused one.
    let (published, records, ended) = carry_through(&[refusal; 6]);
    assert_carried_once(&published, &records);
    ended.assert_clean();
    assert!(ended.errors.contains("not authorised to write"), "{}", ended.errors);
}

#[test]
fn a_producer_that_kafka_fences_for_good_is_replaced_and_nothing_is_lost() {
    let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    let (published, records, ended) = carry_through(&[fenced]);
    assert_carried(&published, &records);
    ended.assert_clean();
    assert!(ended.errors.contains("making another one"), "{}", ended.errors);
}
