import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Writes a record for each key with Kafka's own producer and prints the partition it went to. */
class Placements {
    /** Arguments: address, topic, file with a key a line in base64. */
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        ByteArraySerializer bytes = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, bytes, bytes)) {
            List<Future<RecordMetadata>> written = new ArrayList<>();
            for (String line : Files.readAllLines(Path.of(arguments[2]), StandardCharsets.US_ASCII)) {
                byte[] key = Base64.getDecoder().decode(line);
                written.add(producer.send(new ProducerRecord<>(arguments[1], key, new byte[0])));
            }
            for (Future<RecordMetadata> record : written) {
                System.out.println(record.get().partition());
            }
        }
    }
}
