import java.lang.instrument.Instrumentation;

/**
 * An agent that ends its JVM when standard input ends: the parent holds the other end of that pipe, so no server is
 * left behind when the parent dies, however it dies and on any platform.
 */
public final class Guard {
  public static void premain(String arguments, Instrumentation instrumentation) {
    Thread thread = new Thread(() -> {
      try {
        while (System.in.read() >= 0) { }
      } catch (java.io.IOException broken) {
        System.err.println("standard input broke: " + broken);
      }
      System.err.println("the parent process is gone: stopping at once");
      Runtime.getRuntime().halt(143);
    }, "parent-guard");
    thread.setDaemon(true);
    thread.start();
  }
}
