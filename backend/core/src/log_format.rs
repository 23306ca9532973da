use std::fmt::{self, Write as _};

use serde::ser::{SerializeMap, Serializer as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_serde::SerdeMapVisitor;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::{request, time};

/// Formats an event as one line, as a JSON object or as text. Every line of a request has its id.
pub(crate) struct Format {
    pub(crate) json: bool,
    /// Adds the location in the source.
    pub(crate) locations: bool,
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let id = request::id();
        let line = Line {
            timestamp: time::now(),
            request_id: id.as_ref().and_then(|id| id.to_str().ok()),
            locations: self.locations,
            event,
        };
        if self.json {
            line.as_json(&mut writer)
        } else {
            line.as_text(&mut writer)
        }
    }
}

struct Line<'a> {
    timestamp: String,
    request_id: Option<&'a str>,
    locations: bool,
    event: &'a Event<'a>,
}

impl Line<'_> {
    fn as_json(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let json = self.to_json().map_err(|_| fmt::Error)?;
        writer.write_str(std::str::from_utf8(&json).map_err(|_| fmt::Error)?)?;
        writer.write_char('\n')
    }

    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(384);
        let mut json = serde_json::Serializer::new(&mut bytes);
        let meta = self.event.metadata();
        let mut map = json.serialize_map(None)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("level", meta.level().as_str())?;
        map.serialize_entry("target", meta.target())?;
        let mut fields = SerdeMapVisitor::new(map);
        self.event.record(&mut fields);
        let mut map = fields.take_serializer()?;
        if let Some(id) = self.request_id {
            map.serialize_entry("request_id", id)?;
        }
        if self.locations {
            map.serialize_entry("file", &meta.file())?;
            map.serialize_entry("line", &meta.line())?;
        }
        map.end()?;
        Ok(bytes)
    }

    fn as_text(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let meta = self.event.metadata();
        write!(writer, "{} {:>5} ", self.timestamp, meta.level().as_str())?;
        let mut text = TextVisitor::default();
        self.event.record(&mut text);
        write!(writer, "{}{}", text.message, text.fields)?;
        if let Some(id) = self.request_id {
            write!(writer, " request_id={id}")?;
        }
        if let (true, Some(file), Some(line)) = (self.locations, meta.file(), meta.line()) {
            write!(writer, " at {file}:{line}")?;
        }
        writer.write_char('\n')
    }
}

#[derive(Default)]
struct TextVisitor {
    message: String,
    fields: String,
}

impl Visit for TextVisitor {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
