package millrace;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** What a merchant's window comes to, in one currency. Money is in units of 1/10,000, as everywhere in Millrace. */
record Totals(long purchases, long refunds, long purchaseUnits, long refundUnits, long minUnits, long maxUnits) {
  static final Totals NONE = new Totals(0, 0, 0, 0, Long.MAX_VALUE, Long.MIN_VALUE);
  private static final int BYTES = 6 * Long.BYTES;

  Totals plus(Totals other) {
    return new Totals(
        purchases + other.purchases,
        refunds + other.refunds,
        purchaseUnits + other.purchaseUnits,
        refundUnits + other.refundUnits,
        Math.min(minUnits, other.minUnits),
        Math.max(maxUnits, other.maxUnits));
  }

  private byte[] toBytes() {
    return ByteBuffer.allocate(BYTES)
        .putLong(purchases).putLong(refunds)
        .putLong(purchaseUnits).putLong(refundUnits)
        .putLong(minUnits).putLong(maxUnits)
        .array();
  }

  private static Totals of(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes);
    return new Totals(in.getLong(), in.getLong(), in.getLong(), in.getLong(), in.getLong(), in.getLong());
  }

  static Serde<Totals> serde() {
    Deserializer<Totals> reader = (topic, bytes) -> bytes == null ? null : of(bytes);
    return Serdes.serdeFrom((topic, totals) -> totals == null ? null : totals.toBytes(), reader);
  }
}
