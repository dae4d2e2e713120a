//! The files beside the program that name services: each has what the catalog says, and no other.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_catalog::{Installation, Service, When};
use serde_yaml_ng::Value;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    let mut value: Value = serde_yaml_ng::from_str(&text(path)).expect("YAML");
    // What is merged may have merges of its own.
    for _ in 0..3 {
        value.apply_merge().expect("its merges are of mappings");
    }
    value
}

fn strings(value: &Value) -> Vec<String> {
    let all = value.as_sequence().into_iter().flatten();
    all.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// What a service has in the compose file.
#[derive(Debug, PartialEq, Eq)]
struct Container {
    command: Vec<String>,
    ports: Vec<String>,
    health: Vec<String>,
    profiles: Vec<String>,
    metrics_port: Option<u64>,
    api_port: Option<u64>,
}

fn variable(service: Service) -> String {
    format!("MILLRACE__{}__METRICS_PORT", service.section().to_uppercase())
}

fn api_variable(service: Service) -> String {
    format!("MILLRACE__{}__PORT", service.section().to_uppercase())
}

impl Container {
    fn expected(service: Service) -> Self {
        let (name, port) = (service.name().to_owned(), service.spec().port);
        let published = |variable, port| format!("127.0.0.1:${{{variable}:-{port}}}:{port}");
        let api = service.spec().api_port;
        let api = api.map(|port| published(api_variable(service), port));
        let ports = [published(variable(service), port)];
        Self {
            ports: ports.into_iter().chain(api).collect(),
            health: vec!["CMD".to_owned(), "healthcheck".to_owned(), port.to_string()],
            profiles: match service.spec().when {
                When::Always => Vec::new(),
                When::NotRekeyed | When::Rekeyed | When::Enabled => vec![name.clone()],
            },
            metrics_port: Some(port.into()),
            api_port: service.spec().api_port.map(u64::from),
            command: vec![name],
        }
    }

    fn found(name: &str, value: &Value) -> Self {
        let service = Service::named(name);
        let port =
            |variable: fn(Service) -> String| value["environment"][variable(service?).as_str()].as_u64();
        Self {
            command: strings(&value["command"]),
            ports: strings(&value["ports"]),
            health: strings(&value["healthcheck"]["test"]),
            profiles: strings(&value["profiles"]),
            metrics_port: port(variable),
            api_port: port(api_variable),
        }
    }
}

#[test]
fn the_compose_file_has_these_services() {
    let compose = yaml("docker-compose.yml");
    let services = compose["services"].as_mapping().expect("services");
    // What else the image runs answers on no port.
    let is_service =
        |value: &Value| value["depends_on"]["init"] != Value::Null && value["ports"] != Value::Null;
    let found: BTreeMap<_, _> = services
        .iter()
        .filter(|(_, value)| is_service(value))
        .map(|(name, value)| {
            let name = name.as_str().expect("a name").to_owned();
            let container = Container::found(&name, value);
            (name, container)
        })
        .collect();
    let expected: BTreeMap<_, _> = Service::ALL
        .into_iter()
        .map(|service| (service.name().to_owned(), Container::expected(service)))
        .collect();
    assert_eq!(found, expected);
}

/// Prometheus jobs of services, with where they are scraped.
fn targets(path: &str) -> BTreeMap<String, Vec<String>> {
    let file = yaml(path);
    let jobs = file["scrape_configs"].as_sequence().expect("scrape_configs");
    let of_service = jobs.iter().filter_map(|job| {
        let name = job["job_name"].as_str()?;
        Service::named(name)?;
        let statically = strings(&job["static_configs"][0]["targets"]);
        let by_name = &job["dns_sd_configs"][0];
        let names = strings(&by_name["names"]).into_iter();
        let found = names.map(|name| format!("{name}:{}", by_name["port"].as_u64().unwrap_or_default()));
        Some((name.to_owned(), statically.into_iter().chain(found).collect()))
    });
    of_service.collect()
}

#[test]
fn prometheus_scrapes_every_service() {
    let expected = |services: &[Service], host: &dyn Fn(Service) -> &'static str| -> BTreeMap<_, _> {
        let target = |service: &Service| {
            let target = format!("{}:{}", host(*service), service.spec().port);
            (service.name().to_owned(), vec![target])
        };
        services.iter().map(target).collect()
    };
    assert_eq!(
        targets("prometheus/prometheus.yml"),
        expected(&Service::ALL, &Service::name)
    );
    let always: Vec<_> = Service::of(Installation::default()).collect();
    assert_eq!(
        targets("prometheus/prometheus.local.yml"),
        expected(&always, &|_| "127.0.0.1")
    );
    // The others stand there as comments, to be taken in.
    let local = text("prometheus/prometheus.local.yml");
    for service in Service::ALL
        .into_iter()
        .filter(|service| !always.contains(service))
    {
        let line = format!("# - job_name: {}", service.name());
        let target = format!("targets: [\"127.0.0.1:{}\"]", service.spec().port);
        assert!(
            local.contains(&line) && local.contains(&target),
            "{line}: {target}"
        );
    }
}

#[test]
fn the_image_has_a_link_for_every_service() {
    let dockerfile = text("docker/Dockerfile");
    let (_, rest) = dockerfile
        .split_once("for service in ")
        .expect("the list of links");
    let (list, _) = rest.split_once(';').expect("the end of the list");
    let found: Vec<_> = list.split_whitespace().collect();
    assert_eq!(found, Service::ALL.map(Service::name));
}

#[test]
fn the_readme_names_every_service_with_its_port() {
    let names = Service::ALL.map(Service::name).join(", ");
    let ports = Service::ALL
        .map(|service| service.spec().port.to_string())
        .join(", ");
    let row = format!("| {names} | `/metrics`, `/health/live`, `/health/ready` on ports {ports} |");
    assert!(text("README.md").contains(&row), "README.md lacks: {row}");
}
