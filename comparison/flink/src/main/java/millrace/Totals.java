package millrace;

import java.nio.ByteBuffer;

/**
 * What a merchant's window comes to, in one currency. Money is in units of 1/10,000, as everywhere in Millrace. With public fields that can be set, as
 * Flink then serializes it field by field.
 */
public final class Totals {
  public long purchases;
  public long refunds;
  public long purchaseUnits;
  public long refundUnits;
  public long minUnits = Long.MAX_VALUE;
  public long maxUnits = Long.MIN_VALUE;

  void add(long units, boolean isRefund) {
    if (isRefund) {
      refunds++;
      refundUnits += units;
    } else {
      purchases++;
      purchaseUnits += units;
    }
    minUnits = Math.min(minUnits, units);
    maxUnits = Math.max(maxUnits, units);
  }

  void add(Totals other) {
    purchases += other.purchases;
    refunds += other.refunds;
    purchaseUnits += other.purchaseUnits;
    refundUnits += other.refundUnits;
    minUnits = Math.min(minUnits, other.minUnits);
    maxUnits = Math.max(maxUnits, other.maxUnits);
  }

  /** As the program on Kafka Streams writes them. */
  byte[] toBytes() {
    return ByteBuffer.allocate(6 * Long.BYTES)
        .putLong(purchases).putLong(refunds)
        .putLong(purchaseUnits).putLong(refundUnits)
        .putLong(minUnits).putLong(maxUnits)
        .array();
  }
}
