//! Request and response bodies, without I/O.
//!
//! Every field of a response is optional and may be null: the provider adds, renames and omits fields.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::breaker::COOL_DOWN;
use crate::error::Error;
use crate::observer::Usage;

const FILTERED: [&str; 6] = [
    "SAFETY",
    "PROHIBITED_CONTENT",
    "BLOCKLIST",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
];

/// Finish reasons of answers without a picture that may have one at the next attempt.
const MAY_PASS: [&str; 6] = [
    "NO_IMAGE",
    "IMAGE_OTHER",
    "OTHER",
    "RECITATION",
    "IMAGE_RECITATION",
    "MALFORMED_RESPONSE",
];

/// A question whose answer is JSON.
pub struct Question<'a> {
    /// What to do with the parts (`systemInstruction`).
    pub instruction: &'a str,
    /// The prompt: data that the instruction speaks of.
    pub parts: &'a [&'a str],
    /// A JSON schema for the answer. The provider supports unions by `anyOf` only.
    pub schema: &'a Value,
    /// How long the model thinks.
    pub thinking: ThinkingLevel,
}

/// How long a model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ThinkingLevel {
    /// As little as the model allows.
    Minimal,
    /// Little.
    Low,
    /// More.
    Medium,
    /// Most.
    High,
}

impl Question<'_> {
    pub(crate) fn body(&self) -> Value {
        let parts: Vec<Value> = self
            .parts
            .iter()
            .map(|text| json!({"text": text}))
            .collect();
        json!({
            "systemInstruction": {"parts": [{"text": self.instruction}]},
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseJsonSchema": self.schema,
                "thinkingConfig": {"thinkingLevel": self.thinking},
            },
        })
    }
}

pub(crate) fn picture_body(prompt: &str) -> Value {
    json!({
        "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        "generationConfig": {
            "responseModalities": ["IMAGE"],
            "imageConfig": {"aspectRatio": "1:1", "imageSize": "1K"},
        },
    })
}

/// A picture as the provider sent it.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file. Only its first bytes have been checked.
    pub bytes: Vec<u8>,
    /// The format that the first bytes show.
    pub format: PictureFormat,
}

/// The format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
}

impl Picture {
    fn decode(base64: &str) -> Option<Self> {
        // The JSON form of Protocol Buffers allows both alphabets, with and without padding.
        let config =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let alphabet = if base64.contains(['-', '_']) {
            &URL_SAFE
        } else {
            &STANDARD
        };
        let bytes = GeneralPurpose::new(alphabet, config).decode(base64).ok()?;
        let format = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => PictureFormat::Png,
            [0xff, 0xd8, 0xff, ..] => PictureFormat::Jpeg,
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => PictureFormat::WebP,
            _ => return None,
        };
        Some(Self { bytes, format })
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({:?}, {} bytes)", self.format, self.bytes.len())
    }
}

/// The body of a successful response.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Response<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<UsageMetadata>,
    model_status: Option<ModelStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    thought: Option<bool>,
    text: Option<String>,
    #[serde(borrow, alias = "inline_data")]
    inline_data: Option<InlineData<'a>>,
}

#[derive(Deserialize)]
struct InlineData<'a> {
    #[serde(borrow, default)]
    data: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelStatus {
    retirement_time: Option<String>,
}

impl Candidate<'_> {
    fn filter_reason(&self) -> Option<&str> {
        let reason = self.finish_reason.as_deref();
        reason.filter(|reason| FILTERED.contains(reason))
    }

    /// Returns the parts of the answer, without those of the thoughts.
    fn parts(&self) -> impl DoubleEndedIterator<Item = &Part<'_>> {
        let parts = self
            .content
            .as_ref()
            .and_then(|content| content.parts.as_deref());
        parts
            .unwrap_or_default()
            .iter()
            .filter(|part| part.thought != Some(true))
    }
}

impl<'a> Response<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Error> {
        // The error of serde_json may quote the answer.
        serde_json::from_slice(body).map_err(|_| Error::InvalidResponse)
    }

    /// Returns the last picture of all candidates.
    pub(crate) fn picture(&self) -> Result<Picture, Error> {
        self.check_prompt()?;
        let parts = self
            .candidates()
            .iter()
            .filter(|c| c.filter_reason().is_none())
            .flat_map(Candidate::parts);
        let picture = parts
            .rev()
            .find_map(|part| Picture::decode(&part.inline_data.as_ref()?.data));
        picture.ok_or_else(|| {
            self.filtered().unwrap_or_else(|| Error::NoPicture {
                finish_reason: self.finish_reason(),
            })
        })
    }

    /// Returns the answer of the first candidate that is complete and fits `T`.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.check_prompt()?;
        let answer = self.candidates().iter().find_map(|candidate| {
            let is_cut = candidate.finish_reason.as_deref() == Some("MAX_TOKENS");
            if is_cut || candidate.filter_reason().is_some() {
                return None;
            }
            let text: String = candidate
                .parts()
                .filter_map(|part| part.text.as_deref())
                .collect();
            serde_json::from_str(&text).ok()
        });
        answer.ok_or_else(|| {
            self.filtered().unwrap_or_else(|| Error::Unfit {
                finish_reason: self.finish_reason(),
            })
        })
    }

    pub(crate) fn usage(&self) -> Usage {
        let tokens = |count: fn(&UsageMetadata) -> Option<u64>| {
            self.usage_metadata
                .as_ref()
                .and_then(count)
                .unwrap_or_default()
        };
        let parts = self.candidates().iter().flat_map(Candidate::parts);
        Usage {
            prompt_tokens: tokens(|usage| usage.prompt_token_count),
            answer_tokens: tokens(|usage| usage.candidates_token_count),
            thought_tokens: tokens(|usage| usage.thoughts_token_count),
            pictures: parts.filter(|part| part.inline_data.is_some()).count() as u64,
        }
    }

    pub(crate) fn retirement_time(&self) -> Option<DateTime<Utc>> {
        let time = self.model_status.as_ref()?.retirement_time.as_deref()?;
        time.parse().ok()
    }

    fn candidates(&self) -> &[Candidate<'a>] {
        self.candidates.as_deref().unwrap_or_default()
    }

    fn check_prompt(&self) -> Result<(), Error> {
        let reason = self
            .prompt_feedback
            .as_ref()
            .and_then(|feedback| feedback.block_reason.as_deref());
        match reason {
            Some(reason) => Err(Error::Filtered {
                reason: constant(reason),
            }),
            None => Ok(()),
        }
    }

    fn filtered(&self) -> Option<Error> {
        let reason = self
            .candidates()
            .iter()
            .find_map(Candidate::filter_reason)?;
        Some(Error::Filtered {
            reason: constant(reason),
        })
    }

    /// Returns the first finish reason, preferably one that explains why an answer is missing.
    fn finish_reason(&self) -> Option<String> {
        let reasons = || {
            self.candidates()
                .iter()
                .filter_map(|candidate| candidate.finish_reason.as_deref())
        };
        let reason = reasons()
            .find(|reason| *reason != "STOP")
            .or_else(|| reasons().next());
        reason.map(constant)
    }
}

/// Returns `text` if it looks like a constant of the protocol. Other text could come from the answer.
fn constant(text: &str) -> String {
    let is_constant = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if is_constant { text } else { "UNRECOGNIZED" }.to_owned()
}

/// Returns whether the same question may get a usable answer.
pub(crate) fn is_worth_asking_again(error: &Error) -> bool {
    match error {
        Error::Unfit { .. } => true,
        Error::NoPicture {
            finish_reason: Some(reason),
        } => MAY_PASS.contains(&reason.as_str()),
        _ => false,
    }
}

/// Returns the error of a response whose status is not successful.
pub(crate) fn failure(status: u16, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    // `{"error": …}`, or the same in an array of one element.
    let error = &body.get(0).unwrap_or(&body)["error"];
    let name = error["status"].as_str();
    let details = error["details"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let has_reason = |reason: &str| details.iter().any(|detail| detail["reason"] == reason);
    match (status, name) {
        (429, _) => Error::Quota {
            retry_after: retry_after(details),
        },
        (400, _) if has_reason("API_KEY_INVALID") => Error::BadKey,
        (401, Some("UNAUTHENTICATED")) | (403, Some("PERMISSION_DENIED")) => Error::BadKey,
        (404, Some("NOT_FOUND")) => Error::RetiredModel,
        _ => Error::Status {
            status,
            name: name.map(constant),
        },
    }
}

/// Returns the delay of `google.rpc.RetryInfo`, `None` for a quota that never comes back.
fn retry_after(details: &[Value]) -> Option<Duration> {
    let is_retry_info = |detail: &&Value| {
        let kind = detail["@type"].as_str();
        kind.is_some_and(|kind| kind.ends_with("google.rpc.RetryInfo"))
    };
    let delay = details
        .iter()
        .find(is_retry_info)
        .and_then(|info| info["retryDelay"].as_str());
    if delay == Some("never") {
        return None;
    }
    // The JSON form of a duration: "3.5s".
    let seconds = delay.and_then(|delay| delay.strip_suffix('s')?.parse::<f64>().ok());
    match seconds {
        Some(seconds) if seconds >= 0.0 => Duration::try_from_secs_f64(seconds).ok(),
        _ => Some(COOL_DOWN),
    }
}
