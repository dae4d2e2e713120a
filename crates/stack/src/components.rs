//! The programs of the stack, from their published packages.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{self, Entry};
use crate::error::StackError;
use crate::jdk::Jdk;
use crate::maven::{self, Maven};
use crate::node::Progress;

const KAFKA: &str = "4.3.1";
const REGISTRY: &str = "3.3.3";
const ELASTICSEARCH: &str = "9.5.3";

/// To be raised when the functions below put an entry together in another way.
pub(crate) const LAYOUT: &str = "2";

const KAFKA_POM: &str = include_str!("../java/kafka.pom.xml");
const REGISTRY_POM: &str = include_str!("../java/registry.pom.xml");
const ELASTICSEARCH_POM: &str = include_str!("../java/elasticsearch.pom.xml");
const FORMAT: &str = include_str!("../java/Format.java");
const ELASTIC_NODE: &str = include_str!("../java/ElasticNode.java");
const ROOT_PLUGIN: &str = include_str!("../java/RootPlugin.java");
pub(crate) const GUARD: &str = include_str!("../java/Guard.java");
const PLUGIN_DESCRIPTOR: &str = include_str!("../config/plugin-descriptor.properties");

/// Where each program is.
#[derive(Debug, Clone)]
pub(crate) struct Components {
    /// `libs/*.jar` and `classes/Format.class`.
    pub(crate) kafka: PathBuf,
    /// `quarkus-run.jar` and what it loads.
    pub(crate) registry: PathBuf,
    /// A home of Elasticsearch: `libs`, with `ElasticNode` among them, and `modules`.
    pub(crate) elasticsearch: PathBuf,
    /// The jar of the class that ends a JVM with its parent.
    pub(crate) guard: PathBuf,
}

impl Components {
    /// Finds each in the cache, and fetches what is missing. Blocks.
    pub(crate) fn ensure(
        cache_dir: &Path,
        jdk: &Jdk,
        on_progress: &dyn Fn(Progress),
    ) -> Result<Self, StackError> {
        let fetch =
            |name: &str, sources: &[&str], fill: &dyn Fn(&Maven<'_>, &Path) -> Result<(), StackError>| {
                let recipe = &[&[LAYOUT], sources].concat();
                cache::ensure(cache_dir, &Entry { name, recipe }, |folder| {
                    on_progress(Progress::Fetching {
                        component: name.to_owned(),
                    });
                    fill(&Maven::find(jdk, name)?, folder)?;
                    on_progress(Progress::Fetched {
                        component: name.to_owned(),
                    });
                    Ok(())
                })
            };
        let guard = Entry {
            name: "guard",
            recipe: &[LAYOUT, GUARD],
        };
        Ok(Self {
            guard: cache::ensure(cache_dir, &guard, |folder| make_guard(jdk, folder))?.join("guard.jar"),
            kafka: fetch(
                &format!("kafka-{KAFKA}"),
                &[KAFKA_POM, FORMAT],
                &|maven, folder| make_kafka(maven, jdk, folder),
            )?,
            registry: fetch(
                &format!("apicurio-registry-{REGISTRY}"),
                &[REGISTRY_POM],
                &make_registry,
            )?,
            elasticsearch: fetch(
                &format!("elasticsearch-{ELASTICSEARCH}"),
                &[ELASTICSEARCH_POM, ELASTIC_NODE, ROOT_PLUGIN, PLUGIN_DESCRIPTOR],
                &|maven, folder| make_elasticsearch(maven, jdk, folder),
            )?,
        })
    }
}

fn make_guard(jdk: &Jdk, folder: &Path) -> Result<(), StackError> {
    let source = write(&folder.join("src/Guard.java"), GUARD)?;
    maven::compile(jdk, &source, ".", &folder.join("classes"))?;
    maven::jar(jdk, &folder.join("guard.jar"), &folder.join("classes"))
}

fn make_kafka(maven: &Maven<'_>, jdk: &Jdk, folder: &Path) -> Result<(), StackError> {
    let pom = write(
        &folder.join("src/pom.xml"),
        &KAFKA_POM.replace("@VERSION@", KAFKA),
    )?;
    maven.copy_dependencies(&pom, &folder.join("libs"))?;
    let source = write(&folder.join("src/Format.java"), FORMAT)?;
    maven::compile(jdk, &source, &jars(&folder.join("libs")), &folder.join("classes"))
}

fn make_registry(maven: &Maven<'_>, folder: &Path) -> Result<(), StackError> {
    let pom = write(&folder.join("src/pom.xml"), REGISTRY_POM)?;
    maven.unpack(
        &pom,
        &format!("io.apicurio:apicurio-registry-app:{REGISTRY}:tar.gz:all"),
        folder,
    )
}

fn make_elasticsearch(maven: &Maven<'_>, jdk: &Jdk, folder: &Path) -> Result<(), StackError> {
    let pom = write(
        &folder.join("src/pom.xml"),
        &ELASTICSEARCH_POM.replace("@VERSION@", ELASTICSEARCH),
    )?;
    let libs = folder.join("libs");
    maven.copy_dependencies(&pom, &libs)?;
    let class_path = jars(&libs);
    let node = write(&folder.join("src/ElasticNode.java"), ELASTIC_NODE)?;
    maven::compile(jdk, &node, &class_path, &folder.join("src/node"))?;
    // In a jar, as the JVM's class archives take no folder of classes.
    maven::jar(jdk, &libs.join("elastic-node.jar"), &folder.join("src/node"))?;

    let root = folder.join("modules/root");
    let source = write(&folder.join("src/RootPlugin.java"), ROOT_PLUGIN)?;
    maven::compile(jdk, &source, &class_path, &folder.join("src/root"))?;
    write(
        &root.join("plugin-descriptor.properties"),
        &descriptor("root", "RootPlugin", "The version at GET /"),
    )?;
    maven::jar(jdk, &root.join("root.jar"), &folder.join("src/root"))?;

    let netty = folder.join("modules/transport-netty4");
    let class = "org.elasticsearch.transport.netty4.Netty4Plugin";
    write(
        &netty.join("plugin-descriptor.properties"),
        &descriptor(
            "transport-netty4",
            class,
            "Netty 4 based transport implementation",
        ),
    )?;
    // A module has a class loader of its own: its jars must not be on the server's class path too.
    for entry in fs::read_dir(&libs).map_err(StackError::io("list", &libs))? {
        let entry = entry.map_err(StackError::io("list", &libs))?;
        let name = entry.file_name();
        let of_module = name
            .to_str()
            .is_some_and(|n| n.starts_with("transport-netty4-") || n.starts_with("netty-"));
        if of_module {
            fs::rename(entry.path(), netty.join(&name)).map_err(StackError::io("move", &entry.path()))?;
        }
    }
    Ok(())
}

fn descriptor(name: &str, class: &str, description: &str) -> String {
    PLUGIN_DESCRIPTOR
        .replace("@VERSION@", ELASTICSEARCH)
        .replace("@NAME@", name)
        .replace("@CLASS@", class)
        .replace("@DESCRIPTION@", description)
}

/// A class path of all jars in `folder`.
pub(crate) fn jars(folder: &Path) -> String {
    format!("{}/*", folder.display())
}

/// Writes a file and the folders above it.
pub(crate) fn write(path: &Path, text: &str) -> Result<PathBuf, StackError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(StackError::io("make", parent))?;
    }
    fs::write(path, text).map_err(StackError::io("write", path))?;
    Ok(path.to_owned())
}
