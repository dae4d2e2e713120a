import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** Starts an Elasticsearch node: {@code ElasticNode HOME CONFIG_DIR}. Modules are in HOME/modules. */
public final class ElasticNode {
  public static void main(String[] arguments) throws Exception {
    Path home = Path.of(arguments[0]);
    Path config = Path.of(arguments[1]);
    Settings settings = Settings.builder().loadFromPath(config.resolve("elasticsearch.yml")).put("path.home", home.toString()).build();
    Environment environment = new Environment(settings, config);
    LogConfigurator.configure(environment, true);
    PluginsLoader plugins = PluginsLoader.createPluginsLoader(
        PluginsLoader.loadModulesBundles(environment.modulesDir(), false),
        PluginsLoader.loadPluginsBundles(environment.pluginsDir(), false), Map.of(), false);
    Node node = new Node(environment, plugins);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        node.close();
      } catch (Exception failure) {
        failure.printStackTrace();
      }
      stopped.countDown();
    }));
    node.start();
    stopped.await();
  }
}
