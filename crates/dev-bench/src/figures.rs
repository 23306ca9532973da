//! What a benchmark found, and whether that is enough.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// Something that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What was measured, such as `GET /health`.
    pub name: String,
    /// The figure, in `unit`.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// What it should be, where somebody asked for something.
    pub target: Option<Target>,
    /// What was compared, or how it was measured, in words.
    pub compared: String,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Answers, or whatever else, a second.
    #[serde(rename = "per_second")]
    PerSecond,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Megabytes, 10^6 bytes.
    #[serde(rename = "MB")]
    Megabytes,
    /// One figure divided by another.
    #[serde(rename = "ratio")]
    Ratio,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Figure {
    /// The figure divided by its target.
    pub fn ratio(&self) -> Option<f64> {
        self.target.map(|target| match target {
            Target::AtLeast(wanted) | Target::AtMost(wanted) => self.value / wanted,
        })
    }

    /// Whether it is what it should be.
    pub fn met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtLeast(wanted) => self.value >= wanted,
            Target::AtMost(wanted) => self.value <= wanted,
        })
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut figure = serializer.serialize_struct("Figure", 7)?;
        figure.serialize_field("name", &self.name)?;
        figure.serialize_field("value", &self.value)?;
        figure.serialize_field("unit", &self.unit)?;
        figure.serialize_field("target", &self.target)?;
        figure.serialize_field("ratio", &self.ratio())?;
        figure.serialize_field("met", &self.met())?;
        figure.serialize_field("compared", &self.compared)?;
        figure.end()
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
///
/// # Panics
/// When there is none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "there is a middle one");
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, target: Option<Target>) -> Figure {
        Figure {
            name: "GET /".to_owned(),
            value,
            unit: Unit::PerSecond,
            target,
            compared: "x".to_owned(),
        }
    }

    #[test]
    fn a_figure_meets_or_misses_its_target() {
        for (value, target, met) in [
            (10.0, Target::AtLeast(10.0), true),
            (9.0, Target::AtLeast(10.0), false),
            (10.0, Target::AtMost(10.0), true),
            (11.0, Target::AtMost(10.0), false),
            (f64::NAN, Target::AtLeast(10.0), false),
        ] {
            assert_eq!(
                figure(value, Some(target)).met(),
                Some(met),
                "{value} {target:?}"
            );
        }
        assert_eq!(
            (figure(1.0, None).met(), figure(1.0, None).ratio()),
            (None, None)
        );
    }

    #[test]
    fn figures_are_printed_with_their_units() {
        let printed = serde_json::to_value(figure(13000.0, Some(Target::AtLeast(6500.0)))).unwrap();
        let expected = serde_json::json!({
            "name": "GET /", "value": 13000.0, "unit": "per_second", "target": {"at_least": 6500.0}, "ratio": 2.0, "met": true, "compared": "x"
        });
        assert_eq!(printed, expected);
    }

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
