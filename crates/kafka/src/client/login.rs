//! How a client logs in, and what librdkafka says where it cannot.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::{ConfigError, Properties};

/// What librdkafka says of the properties of an OpenID provider where it was built without libcurl:
/// by us, or as its headers were not found.
const NEEDS_CURL: &str = "depends on libcurl";
/// What to do then.
const WITHOUT_OIDC: &str = "this program cannot ask an OpenID provider for tokens: build it with `--features oidc` \
    (and libcurl4-openssl-dev), or use the image of docker/Dockerfile, which has it";

/// Takes PLAIN where no mechanism of SASL is given: librdkafka's own default is Kerberos, which is
/// not compiled in.
pub(super) fn log_in_by_what_is_built(config: &mut ClientConfig) -> Result<(), ConfigError> {
    let is_sasl = |protocol: &str| protocol.to_ascii_uppercase().starts_with("SASL_");
    if !config.get("security.protocol").is_some_and(is_sasl) {
        return Ok(());
    }
    let mechanism = config.get("sasl.mechanism").or(config.get("sasl.mechanisms"));
    if mechanism == Some("GSSAPI") {
        return Err(ConfigError::Refused {
            key: "kafka.properties.sasl.mechanism".to_owned(),
            why: "GSSAPI (Kerberos) is not compiled in: take PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
                .to_owned(),
        });
    }
    if mechanism.is_none() {
        config.set("sasl.mechanism", "PLAIN");
    }
    Ok(())
}

/// What librdkafka says of a property, with the section that it came from.
pub(super) fn refused(error: KafkaError, extras: &[(&str, &Properties)]) -> ConfigError {
    let KafkaError::ClientConfig(_, why, name, _) = error else {
        return ConfigError::Refused {
            key: "the Kafka client".to_owned(),
            why: error.to_string(),
        };
    };
    let mut sections = extras.iter().rev();
    let section = sections.find(|(_, properties)| properties.contains_key(&name));
    ConfigError::Refused {
        key: section.map_or_else(|| name.clone(), |(section, _)| format!("{section}.{name}")),
        why: if why.contains(NEEDS_CURL) {
            WITHOUT_OIDC.to_owned()
        } else {
            why
        },
    }
}
