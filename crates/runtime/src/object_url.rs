//! Opens the object store that a directory or a URL names.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreScheme};
use url::Url;

#[cfg(feature = "cloud-stores")]
mod cloud;

/// Of a build without the clouds, which take longer to build than all of Kafka's client.
#[cfg(not(feature = "cloud-stores"))]
mod cloud {
    use super::{Arc, BTreeMap, ObjectStore, Url};

    pub(super) fn open(
        url: &Url,
        _options: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn ObjectStore>, String> {
        Err(format!(
            "this program was built without the stores of {}:// and other clouds: build it with \
             `--features cloud-stores`, or use the image of docker/Dockerfile, which has them",
            url.scheme()
        ))
    }
}

/// The store at `url`, and the path in it. A directory is made if it is missing.
///
/// # Errors
/// What is wrong with the URL or the options, in words.
pub fn open(
    url: &FilePath,
    options: &BTreeMap<String, String>,
) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    let text = url.to_string_lossy();
    if !text.contains("://") {
        if let Some(option) = options.keys().next() {
            return Err(format!("a directory takes no options, and {option} is given"));
        }
        std::fs::create_dir_all(url).map_err(|error| error.to_string())?;
        let store = LocalFileSystem::new_with_prefix(url).map_err(|error| error.to_string())?;
        return Ok((Arc::new(store), Path::default()));
    }
    let url = Url::parse(&text).map_err(|error| error.to_string())?;
    let (scheme, path) = ObjectStoreScheme::parse(&url).map_err(|error| error.to_string())?;
    match scheme {
        ObjectStoreScheme::AmazonS3
        | ObjectStoreScheme::GoogleCloudStorage
        | ObjectStoreScheme::MicrosoftAzure => Ok((cloud::open(&url, options)?, path)),
        _ => {
            if let Some(option) = options.keys().next() {
                return Err(format!(
                    "this kind of store takes no options, and {option} is given"
                ));
            }
            let (store, path) = object_store::parse_url(&url).map_err(|error| error.to_string())?;
            Ok((Arc::from(store), path))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str, pairs: &[(&str, &str)]) -> String {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let options = pairs.iter().map(own).collect();
        open(FilePath::new(url), &options).err().unwrap()
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(refusal("file:///tmp/x", &[("aws_endpoint", "x")]).contains("no options"));
        assert!(refusal("some/folder", &[("aws_endpoint", "x")]).contains("a directory takes no options"));
        assert!(refusal("ftp://x/y", &[]).contains("ftp://x/y"));
    }

    #[cfg(not(feature = "cloud-stores"))]
    #[test]
    fn a_build_without_clouds_says_how_to_get_them() {
        for url in ["s3://bucket/path", "gs://bucket/path", "az://container/path"] {
            let error = refusal(url, &[("aws_region", "eu-central-1")]);
            let scheme = url.split_once("://").unwrap().0;
            assert!(
                error.contains(scheme) && error.contains("--features cloud-stores"),
                "{error}"
            );
        }
    }
}
