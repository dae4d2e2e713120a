package millrace;

import java.util.Arrays;

/**
 * The velocity rule's memory of one user, and the rule, as crates/fraud/src/rules/velocity.rs has it, but for its second limit, that of the money, which
 * needs the user's habits. A bean, as Spark then keeps it field by field.
 */
public final class Burst {
  static final int MAX_COUNT = 10;
  private static final long SPAN_MS = 60_000;
  private static final long NEVER = Long.MIN_VALUE;

  /** The user's highest event time. */
  private long newest = NEVER;
  /** That time as the rule last fired, until it is armed again. */
  private long fired = NEVER;
  /** Of the purchases in the span that ends at {@code newest}, in order: the last ones, as many as the rule needs to fire. */
  private long[] times = {};

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

  public long getNewest() {
    return newest;
  }

  public void setNewest(long newest) {
    this.newest = newest;
  }

  public long getFired() {
    return fired;
  }

  public void setFired(long fired) {
    this.fired = fired;
  }

  public long[] getTimes() {
    return times;
  }

  public void setTimes(long[] times) {
    this.times = times;
  }
}
