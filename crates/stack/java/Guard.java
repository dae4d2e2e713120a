import java.io.IOException;
import java.util.Arrays;

/**
 * Runs another main class and ends the JVM when standard input ends: {@code Guard MAIN_CLASS ARGUMENTS...}. The parent
 * holds the other end of that pipe, so no server is left behind when the parent dies, however it dies and on any platform.
 */
public final class Guard {
  public static void main(String[] arguments) throws Exception {
    Thread thread = new Thread(Guard::endWithParent, "parent-guard");
    thread.setDaemon(true);
    thread.start();
    Class.forName(arguments[0])
        .getMethod("main", String[].class)
        .invoke(null, (Object) Arrays.copyOfRange(arguments, 1, arguments.length));
  }

  private static void endWithParent() {
    try {
      while (System.in.read() >= 0) { }
    } catch (IOException broken) {
      System.err.println("standard input broke: " + broken);
    }
    System.err.println("the parent process is gone: stopping at once");
    Runtime.getRuntime().halt(143);
  }
}
