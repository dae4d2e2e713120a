package millrace;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/** Reads transactions in the Confluent framing by Avro's own library. One of a thread. */
final class Decoder {
  /** The magic byte and the schema's id. */
  private static final int FRAMING = 5;

  private final GenericDatumReader<GenericRecord> reader;
  private BinaryDecoder decoder;
  private GenericRecord record;

  Decoder(Schema schema) {
    reader = new GenericDatumReader<>(schema);
  }

  static Schema schema(Path file) throws IOException {
    return new Schema.Parser().parse(Files.readString(file));
  }

  /** The record, which is overwritten by the next call. */
  GenericRecord read(byte[] value) {
    decoder = DecoderFactory.get().binaryDecoder(value, FRAMING, value.length - FRAMING, decoder);
    try {
      record = reader.read(record, decoder);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    return record;
  }
}
