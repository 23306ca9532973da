//! Request and response bodies.

use chrono::{DateTime, Utc};
use emotionviz_core::{rules, time};
use emotionviz_db::JOURNAL_EMOTIONS;
use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use uuid::Uuid;

/// A journal entry.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    /// What happened.
    #[schema(example = "It rained, and I sang.")]
    pub(crate) situation: String,
    /// Ids of emotions; those of an older backend may be unknown now.
    #[schema(example = json!(["joy", "surprise"]))]
    pub(crate) emotions: Vec<String>,
    /// How strong they were, from 0 to 1, to two decimals.
    #[schema(example = 0.7)]
    pub(crate) intensity: f64,
    pub(crate) notes: String,
    #[serde(serialize_with = "time::serialize")]
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last changed; when it was created, if never.
    #[serde(serialize_with = "time::serialize")]
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) has_visualization: bool,
    pub(crate) visualization_id: Option<Uuid>,
}

/// An entry that was just created.
#[derive(Serialize, ToSchema)]
pub(crate) struct Created {
    pub(crate) entry: Entry,
}

/// A page of entries.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntryList {
    pub(crate) entries: Vec<Entry>,
    /// How many there are on all pages.
    pub(crate) total: i64,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// A new entry.
#[derive(Deserialize, ToSchema, Validate)]
pub(crate) struct NewEntry {
    /// What happened.
    #[garde(custom(rules::text(1, 5000)))]
    #[schema(
        min_length = 1,
        max_length = 5000,
        pattern = r"^[^\x00]*$",
        example = "It rained, and I sang."
    )]
    pub(crate) situation: String,
    /// Ids of emotions, each once.
    #[garde(custom(one_to_ten_distinct))]
    #[schema(schema_with = some_emotions)]
    pub(crate) emotions: Vec<String>,
    /// How strong they were, kept to two decimals.
    #[garde(custom(rules::between(0.0, 1.0)))]
    #[schema(minimum = 0, maximum = 1, example = 0.7)]
    pub(crate) intensity: f64,
    #[garde(custom(rules::text(0, 10_000)))]
    #[serde(default)]
    #[schema(max_length = 10_000, pattern = r"^[^\x00]*$", default = "")]
    pub(crate) notes: String,
}

/// Changes of an entry: what is left out stays as it is.
#[derive(Deserialize, ToSchema, Validate)]
pub(crate) struct EntryChange {
    /// What happened.
    #[garde(custom(rules::optional(rules::text(1, 5000))))]
    #[serde(default, deserialize_with = "given")]
    #[schema(
        min_length = 1,
        max_length = 5000,
        pattern = r"^[^\x00]*$",
        nullable = false
    )]
    pub(crate) situation: Option<String>,
    /// Ids of emotions, each once.
    #[garde(custom(rules::optional(one_to_ten_distinct)))]
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = some_emotions)]
    pub(crate) emotions: Option<Vec<String>>,
    /// How strong they were, kept to two decimals.
    #[garde(custom(rules::optional(rules::between(0.0, 1.0))))]
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 0, maximum = 1, nullable = false)]
    pub(crate) intensity: Option<f64>,
    #[garde(custom(rules::optional(rules::text(0, 10_000))))]
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 10_000, pattern = r"^[^\x00]*$", nullable = false)]
    pub(crate) notes: Option<String>,
}

/// Refuses null in a field that may be left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The derive macro has no `uniqueItems`.
fn some_emotions() -> Array {
    let ids = ArrayBuilder::new()
        .items(Ref::from_schema_name("EmotionId"))
        .min_items(Some(1))
        .max_items(Some(10));
    ids.unique_items(true)
        .description(Some("Ids of emotions, each once."))
        .build()
}

fn one_to_ten_distinct<T: AsRef<[String]>>(emotions: &T, _: &()) -> garde::Result {
    let emotions = emotions.as_ref();
    if emotions.is_empty() || emotions.len() > 10 {
        return Err(garde::Error::new("must have 1 to 10 items"));
    }
    if emotions
        .iter()
        .enumerate()
        .any(|(i, emotion)| emotions[..i].contains(emotion))
    {
        return Err(garde::Error::new("must not name an emotion twice"));
    }
    Ok(())
}

/// Which entries, and in which order.
#[derive(Deserialize, IntoParams, Validate)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// How many.
    #[garde(custom(rules::between(1, 100)))]
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    pub(crate) limit: i64,
    /// How many to pass over.
    #[garde(custom(rules::between(0, i64::MAX)))]
    #[serde(default)]
    #[param(minimum = 0, default = 0)]
    pub(crate) offset: i64,
    /// The order; with a `-`, the greatest or newest comes first.
    #[garde(skip)]
    #[serde(default)]
    #[param(schema_with = sort_orders)]
    pub(crate) sort: Sort,
    /// Only entries with this emotion.
    #[garde(skip)]
    #[param(value_type = Option<EmotionId>, inline, nullable = false)]
    pub(crate) emotion: Option<String>,
    /// Only entries created then or later.
    #[garde(skip)]
    #[param(nullable = false)]
    pub(crate) from: Option<DateTime<Utc>>,
    /// Only entries created before.
    #[garde(skip)]
    #[param(nullable = false)]
    pub(crate) to: Option<DateTime<Utc>>,
}

fn fifty() -> i64 {
    50
}

/// The derive macro takes a default next to an enumeration for one of another type.
fn sort_orders() -> Object {
    let orders = [
        "created_at",
        "-created_at",
        "intensity",
        "-intensity",
        "updated_at",
        "-updated_at",
    ];
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(orders))
        .default(Some("-created_at".into()))
        .build()
}

/// The order; with a `-`, the greatest or newest comes first.
#[derive(Clone, Copy, Default, Deserialize)]
pub(crate) enum Sort {
    #[serde(rename = "created_at")]
    Created,
    #[default]
    #[serde(rename = "-created_at")]
    CreatedDesc,
    #[serde(rename = "intensity")]
    Intensity,
    #[serde(rename = "-intensity")]
    IntensityDesc,
    #[serde(rename = "updated_at")]
    Updated,
    #[serde(rename = "-updated_at")]
    UpdatedDesc,
}

/// Stands in the OpenAPI document for the ids of emotions.
pub(crate) enum EmotionId {}

impl ToSchema for EmotionId {}

impl PartialSchema for EmotionId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The id of an emotion."))
            .enum_values(Some(JOURNAL_EMOTIONS))
            .into()
    }
}

/// An emotion that an entry may name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Emotion {
    #[schema(value_type = EmotionId)]
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    #[schema(pattern = "^#[0-9A-F]{6}$", example = "#FFD700")]
    pub(crate) color: &'static str,
    /// The name of an icon of the apps' set.
    pub(crate) icon: &'static str,
}

/// The emotions that an entry may name.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmotionList {
    pub(crate) emotions: Vec<Emotion>,
}
