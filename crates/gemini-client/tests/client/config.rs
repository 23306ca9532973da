//! What a client refuses to be created with.

use gemini_client::{Client, Config, ConfigError};

use crate::support::config;

fn error(change: impl FnOnce(&mut Config)) -> Option<ConfigError> {
    let mut config = config("https://generativelanguage.googleapis.com/".into());
    change(&mut config);
    Client::new(config).err()
}

#[tokio::test]
async fn a_base_url_may_end_with_a_slash() {
    assert!(error(|_| {}).is_none());
}

#[tokio::test]
async fn a_base_url_must_be_http() {
    for url in [
        "",
        "example.com",
        "file:///tmp",
        "ftp://example.com",
        "http://example.com?a=b",
    ] {
        let error = error(|config| config.base_url = url.into());
        assert!(
            matches!(error, Some(ConfigError::BaseUrl)),
            "{url}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_model_cannot_change_the_path() {
    for model in ["", "a/b", "models/a", "../a", "a?b", "a:b", "a b", "ä"] {
        let error = error(|config| config.model = model.into());
        assert!(
            matches!(error, Some(ConfigError::Model)),
            "{model}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_key_must_be_a_valid_header() {
    for key in ["", "a\nb"] {
        let error = error(|config| config.api_key = key.into());
        assert!(
            matches!(error, Some(ConfigError::ApiKey)),
            "{key:?}: {error:?}"
        );
    }
}
