package millrace;

import java.util.Arrays;

/**
 * The velocity rule's memory of one user, and the rule, as crates/fraud/src/rules/velocity.rs has it, but for its second limit, that of the money, which
 * needs the user's habits. With public fields that can be set, as Flink then serializes it field by field.
 */
public final class Burst {
  static final int MAX_COUNT = 10;
  private static final long SPAN_MS = 60_000;
  private static final long NEVER = Long.MIN_VALUE;

  /** The user's highest event time. */
  public long newest = NEVER;
  /** That time as the rule last fired, until it is armed again. */
  public long fired = NEVER;
  /** Of the purchases in the span that ends at {@code newest}, in order: the last ones, as many as the rule needs to fire. */
  public long[] times = {};

  /** Takes the user's next transaction, and says whether the rule fires. */
  boolean add(long time, boolean isRefund) {
    newest = Math.max(newest, time);
    long start = newest - SPAN_MS;
    int left = 0;
    while (left < times.length && times[left] <= start) {
      left++;
    }
    if (left > 0) {
      times = Arrays.copyOfRange(times, left, times.length);
    }
    if (isRefund || time <= start) {
      return false;
    }
    if (fired != NEVER && start >= fired && times.length <= MAX_COUNT) {
      fired = NEVER;
    }
    insert(time);
    if (fired != NEVER || times.length <= MAX_COUNT) {
      return false;
    }
    fired = newest;
    return true;
  }

  private void insert(long time) {
    int at = times.length;
    while (at > 0 && times[at - 1] > time) {
      at--;
    }
    long[] more = Arrays.copyOf(times, times.length + 1);
    System.arraycopy(times, at, more, at + 1, times.length - at);
    more[at] = time;
    times = more.length > MAX_COUNT + 1 ? Arrays.copyOfRange(more, 1, more.length) : more;
  }
}
