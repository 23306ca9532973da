//! The failures that the OpenAPI documents of all features share.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// The failures of any call.
pub struct Always;

/// The failures of a call that takes a body.
pub struct WithBody;

/// The failures of a call that takes a token, or other credentials, and is limited.
pub struct WithToken;

/// The failures of a call on one resource of an owner.
pub struct WithOwner;

impl IntoResponses for Always {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        failures(&[
            ("500", "A fault of the service"),
            ("503", "The database is away, or the time was up"),
        ])
    }
}

impl IntoResponses for WithBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        failures(&[
            ("400", "A field is missing or breaks a rule"),
            ("408", "The body came too slowly"),
            ("413", "The body is over the limit"),
            ("415", "The body is not JSON"),
        ])
    }
}

impl IntoResponses for WithToken {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        failures(&[
            (
                "401",
                "No token, one that does not count, or wrong credentials",
            ),
            ("403", "The account is inactive"),
            ("429", "Too many requests"),
        ])
    }
}

impl IntoResponses for WithOwner {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        failures(&[
            ("400", "The id is no UUID, or a field breaks a rule"),
            (
                "403",
                "It belongs to another user, or the account is inactive",
            ),
            ("404", "There is no such resource"),
        ])
    }
}

fn failures(list: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let schema = || {
        ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Failure")))
            .build()
    };
    list.iter()
        .map(|(status, text)| {
            let response = ResponseBuilder::new()
                .description(*text)
                .content("application/json", schema())
                .build();
            ((*status).to_owned(), response.into())
        })
        .collect()
}
