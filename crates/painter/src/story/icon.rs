//! The icons of stories: strokes on a grid of 24 by 24.

use kurbo::{BezPath, PathEl};
use tiny_skia::{LineCap, LineJoin, Path, PathBuilder, Stroke, Transform};

use crate::canvas::Point;

/// The width of a stroke on the grid.
const STROKE: f32 = 1.7;

macro_rules! icons {
    ($($variant:ident $id:literal $strokes:literal)*) => {
        /// A drawing that stands for a stressor or a factor. No icon shows a person or a face.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Icon {
            $(
                #[doc = concat!("The icon `", $id, "`.")]
                $variant,
            )*
        }

        impl Icon {
            /// All icons.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the identifier, such as `broken_heart`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)*
                }
            }

            /// Returns the strokes as SVG path data.
            fn strokes(self) -> &'static str {
                match self {
                    $(Self::$variant => $strokes,)*
                }
            }
        }
    };
}

icons! {
    Anchor "anchor" "M12 3a2 2 0 1 0 0 4a2 2 0 1 0 0-4z M12 7v14 M8 10.5h8 M4 13c0 5 4 8 8 8s8-3 8-8"
    Antenna "antenna" "M12 19v.3 M8.5 15.5a5 5 0 0 1 7 0 M5.5 12a9.5 9.5 0 0 1 13 0 M2.5 8.5a14 14 0 0 1 19 0"
    Bed "bed" "M3 20V6 M3 16h18v4 M21 16v-2.5a3.5 3.5 0 0 0-3.5-3.5H11v6 M5 12.5h4"
    Bell "bell" "M6 17v-6a6 6 0 0 1 12 0v6l2 2H4z M10 21.5h4 M12 5V3"
    Bolt "bolt" "M13 3L6 13.5h5l-1 7.5l8-11h-5z"
    Book "book" "M12 6C10 4.5 7 4 4 4.5v14c3-.5 6 0 8 1.5c2-1.5 5-2 8-1.5v-14C17 4 14 4.5 12 6z M12 6v14"
    Box "box" "M12 3l8 4v10l-8 4l-8-4V7z M4 7l8 4l8-4 M12 11v10"
    Bridge "bridge" "M2 17h20 M6 20V7 M18 20V7 M6 8c3 6 9 6 12 0 M6 8c-1 2.5-2.5 4-4 5 M18 8c1 2.5 2.5 4 4 5"
    Briefcase "briefcase" "M4 8h16v11H4z M9 8V5h6v3 M4 13h16"
    BrokenHeart "broken_heart" "M12 20C5 15 3 11.5 3 8.5A4.5 4.5 0 0 1 12 7a4.5 4.5 0 0 1 9 1.5C21 11.5 19 15 12 20z M12 7l-2 4l4 2l-2 4"
    BrokenLink "broken_link" "M8.5 10.5L6 13a3.5 3.5 0 0 0 5 5l2.5-2.5 M15.5 13.5L18 11a3.5 3.5 0 0 0-5-5l-2.5 2.5 M5 5l2 2 M17 17l2 2"
    Bubble "bubble" "M4 5h16v11h-9l-4 4v-4H4z"
    Bubbles "bubbles" "M3 4h11v8H8l-3 3v-3H3z M17 9h4v8h-2v3l-3-3h-6v-2"
    Calendar "calendar" "M4 6h16v14H4z M4 10.5h16 M8 3v5 M16 3v5"
    Candle "candle" "M9 11h6v10H9z M12 11V9 M12 3c2.5 2.5 2 5 0 5.5c-2-.5-2.5-3 0-5.5z"
    Car "car" "M3 16v-4l2.5-5.5h13L21 12v4z M3 12h18 M6 16v2.5 M18 16v2.5"
    Chair "chair" "M7 3v18 M7 13h10v8 M7 5.5h2 M7 9h2"
    ChartDown "chart_down" "M4 4v16h16 M7 8l4 4l3-2l5 6 M19 12v4h-4"
    ChartUp "chart_up" "M4 4v16h16 M7 16l4-4l3 2l5-7 M15 7h4v4"
    Checklist "checklist" "M10 6h10 M10 12h10 M10 18h10 M4 6l1.2 1.2L7.5 5 M4 12l1.2 1.2L7.5 11 M4 18l1.2 1.2L7.5 17"
    Clock "clock" "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z M12 7v5l3.5 2"
    Cloud "cloud" "M7 18a4 4 0 0 1 0-8a5.5 5.5 0 0 1 10.5-1A4.5 4.5 0 0 1 17 18z"
    Coins "coins" "M5 7a7 3 0 1 0 14 0a7 3 0 1 0-14 0 M5 7v5a7 3 0 0 0 14 0V7 M5 12v5a7 3 0 0 0 14 0v-5"
    Compass "compass" "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z M15.5 8.5l-2 5l-5 2l2-5z"
    Conflict "conflict" "M2 12h7 M6 9l3 3l-3 3 M22 12h-7 M18 9l-3 3l3 3 M12 4v3 M12 10.5v3 M12 17v3"
    Crossroads "crossroads" "M12 21v-8 M12 13L5 6 M12 13l7-7 M5 10V6h4 M15 6h4v4"
    Cup "cup" "M5 9h11v6a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4z M16 10.5h2a2.5 2.5 0 0 1 0 5h-2 M9 4v2 M12.5 4v2"
    Door "door" "M7 20V4h10v16 M4 20h16 M14 12v1"
    Drops "drops" "M9 3c3 4 5 6.5 5 9.5a5 5 0 0 1-10 0C4 9.5 6 7 9 3z M17.5 12c1.7 2.3 2.5 3.7 2.5 5.2a2.6 2.6 0 0 1-5.2 0c0-1.5 1-2.9 2.7-5.2z"
    Dumbbell "dumbbell" "M7 12h10 M7 7v10 M4 9v6 M17 7v10 M20 9v6"
    Envelope "envelope" "M3 6h18v13H3z M3 7l9 7l9-7"
    Flag "flag" "M6 21V4 M6 5c4-2 7 2 12 0v8c-5 2-8-2-12 0"
    Flame "flame" "M12 21a6.5 6.5 0 0 1-6.5-6.5C5.5 10 10 8.5 9.5 3c4 1.5 6 5 5 8c1 0 2-1 2-2.5c1.5 1.5 2 3.5 2 6A6.5 6.5 0 0 1 12 21z"
    Gift "gift" "M4 9h16v4H4z M6 13v8h12v-8 M12 9v12 M12 9C9 9 7 7 8 5s4 0 4 4c0-4 3-6 4-4s-1 4-4 4"
    Heart "heart" "M12 20C5 15 3 11.5 3 8.5A4.5 4.5 0 0 1 12 7a4.5 4.5 0 0 1 9 1.5C21 11.5 19 15 12 20z"
    Home "home" "M4 11l8-7l8 7v9h-5v-6H9v6H4z"
    Hourglass "hourglass" "M6 3h12 M6 21h12 M7.5 3c0 5 4.5 6 4.5 9s-4.5 4-4.5 9 M16.5 3c0 5-4.5 6-4.5 9s4.5 4 4.5 9"
    Infinity "infinity" "M12 12c-2-3-4-4-6-4a4 4 0 0 0 0 8c2 0 4-1 6-4s4-4 6-4a4 4 0 0 1 0 8c-2 0-4-1-6-4z"
    Key "key" "M7.5 8.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7z M11 12h10v3 M17.5 12v2.5"
    Ladder "ladder" "M8 3v18 M16 3v18 M8 7h8 M8 12h8 M8 17h8"
    Laptop "laptop" "M5 5h14v10H5z M5 15l-2.5 4h19l-2.5-4"
    Leaf "leaf" "M6 18C4 10 10 5 20 4c0 10-5 16-14 14z M4 21c3-5.5 6-8 10-10"
    Link "link" "M9.5 14.5l5-5 M8.5 11L6 13.5a3.5 3.5 0 0 0 5 5l2-2 M15.5 13l2.5-2.5a3.5 3.5 0 0 0-5-5l-2 2"
    Lock "lock" "M6 11h12v9H6z M8.5 11V8a3.5 3.5 0 0 1 7 0v3 M12 14.5v2"
    Magnifier "magnifier" "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z M15.5 15.5L20 20"
    MedicalCross "medical_cross" "M9 4h6v5h5v6h-5v5H9v-5H4V9h5z"
    Megaphone "megaphone" "M4 10v4h3l9 5V5l-9 5z M19 9.5a4 4 0 0 1 0 5"
    Microphone "microphone" "M9 6a3 3 0 0 1 6 0v5a3 3 0 0 1-6 0z M6 11a6 6 0 0 0 12 0 M12 17v4 M9 21h6"
    Mirror "mirror" "M12 3a6 7 0 1 0 0 14a6 7 0 1 0 0-14z M12 17v4 M8 21h8 M9.5 9c.3-1.5 1-2.5 2.5-3"
    Moon "moon" "M19.5 14.5A8 8 0 1 1 9.5 4.5a6.5 6.5 0 0 0 10 10z"
    Mountain "mountain" "M2.5 19L10 6l4 7l2-3l5.5 9z M8 9.5l2 1.5l2-1.5"
    Music "music" "M7 15.5a2.5 2.5 0 1 0 0 5a2.5 2.5 0 1 0 0-5z M17 13.5a2.5 2.5 0 1 0 0 5a2.5 2.5 0 1 0 0-5z M9.5 18V6l10-2v12"
    Pencil "pencil" "M5 19l1-4L16 5l3 3L9 18z M13.5 7.5l3 3"
    Phone "phone" "M7 3h10v18H7z M11 18h2"
    Pill "pill" "M6 18a4.2 4.2 0 0 1 0-6l6-6a4.2 4.2 0 0 1 6 6l-6 6a4.2 4.2 0 0 1-6 0z M9 9l6 6"
    Plate "plate" "M7 3v8 M4 3v4a3 3 0 0 0 6 0V3 M7 10v11 M17 3c-3 3-3 8 0 9v9 M17 3v9"
    Pulse "pulse" "M2 12h5l2.5-6l4 12l2.5-6h6"
    Puzzle "puzzle" "M5 8h4a2 2 0 1 1 4 0h4v4a2 2 0 1 1 0 4v4H5z"
    Question "question" "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z M9.5 9.7a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.7 M12 16.7v.3"
    Rain "rain" "M7 14a4 4 0 0 1 0-8a5.5 5.5 0 0 1 10.5-1A4.5 4.5 0 0 1 17 14z M8 17l-1 3 M12.5 17l-1 3 M17 17l-1 3"
    Scales "scales" "M12 4v16 M7 20h10 M5 7h14 M5 7l-2.5 7a2.7 2.7 0 0 0 5 0z M19 7l-2.5 7a2.7 2.7 0 0 0 5 0z"
    Seedling "seedling" "M12 21v-8 M12 13c0-4-3-6.5-8-6.5c0 4.5 3 6.5 8 6.5z M12 15c0-4 3-6.5 8-6.5c0 4.5-3 6.5-8 6.5z"
    Shield "shield" "M12 3l8 3v6c0 5-4 8-8 9c-4-1-8-4-8-9V6z"
    Signpost "signpost" "M12 3v18 M12 5h6l2 2l-2 2h-6 M12 12H6l-2 2l2 2h6"
    Sliders "sliders" "M5 3v8 M5 15v6 M3 13h4 M12 3v3 M12 10v11 M10 8h4 M19 3v11 M19 18v3 M17 16h4"
    Snowflake "snowflake" "M12 3v18 M4.2 7.5l15.6 9 M19.8 7.5l-15.6 9 M9.5 4.5L12 7l2.5-2.5 M9.5 19.5L12 17l2.5 2.5"
    Spiral "spiral" "M12 12c0-2 3-2 3 .5s-3.5 4-6 2.5s-3-6 0-8.5s9-2 11 2s0 10-5 12"
    Stairs "stairs" "M3 20h5v-5h5v-5h5V5h3"
    Stones "stones" "M5 18a7 2.7 0 1 0 14 0a7 2.7 0 1 0-14 0z M7 13a5 2.2 0 1 0 10 0a5 2.2 0 1 0-10 0z M9 8.8a3 1.8 0 1 0 6 0a3 1.8 0 1 0-6 0z"
    Suitcase "suitcase" "M5 8h14v12H5z M9 8V4h6v4 M9 8v12 M15 8v12"
    Sun "sun" "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8z M12 2.5v2 M12 19.5v2 M2.5 12h2 M19.5 12h2 M5.3 5.3l1.4 1.4 M17.3 17.3l1.4 1.4 M18.7 5.3l-1.4 1.4 M6.7 17.3l-1.4 1.4"
    Tangle "tangle" "M3 14c2-10 11-9 11-3s-8 6-6 1s11-6 13 2"
    Target "target" "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z M12 7.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z M12 12v.1"
    Tree "tree" "M12 21v-9 M12 16a6.5 6.5 0 1 0 0-13a6.5 6.5 0 1 0 0 13z M12 13l3-3"
    Trophy "trophy" "M7 4h10v5a5 5 0 0 1-10 0z M7 6H4c0 3 1 4 3 4 M17 6h3c0 3-1 4-3 4 M12 14v6 M8 20h8"
    Umbrella "umbrella" "M3 12a9 9 0 0 1 18 0z M12 12v6.5a2 2 0 0 0 4 0"
    Wallet "wallet" "M3 8h17v12H3z M3 8l13-4v4 M15 12.5h6v3.5h-6z"
    Warning "warning" "M12 4l9 16H3z M12 10v5 M12 17.3v.2"
    Wave "wave" "M2 9c3.3-4 6.7-4 10 0s6.7 4 10 0 M2 15c3.3-4 6.7-4 10 0s6.7 4 10 0"
    Zzz "zzz" "M4 5h7l-7 8h7 M14 12h6l-6 7h6"
}

impl Icon {
    /// Returns the icon with this identifier.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|icon| icon.id() == id)
    }

    /// Returns the outline of the strokes, centred and scaled so that a circle of this radius holds the grid.
    pub(super) fn path(self, center: Point, radius: f32) -> Path {
        let strokes = BezPath::from_svg(self.strokes()).expect("the data of icons are valid");
        let mut path = PathBuilder::new();
        for element in strokes.elements() {
            match *element {
                PathEl::MoveTo(to) => path.move_to(to.x as f32, to.y as f32),
                PathEl::LineTo(to) => path.line_to(to.x as f32, to.y as f32),
                PathEl::QuadTo(over, to) => {
                    path.quad_to(over.x as f32, over.y as f32, to.x as f32, to.y as f32);
                }
                PathEl::CurveTo(first, second, to) => path.cubic_to(
                    first.x as f32,
                    first.y as f32,
                    second.x as f32,
                    second.y as f32,
                    to.x as f32,
                    to.y as f32,
                ),
                PathEl::ClosePath => path.close(),
            }
        }
        let stroke = Stroke {
            width: STROKE,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        let scale = radius / 13.0;
        let place = Transform::from_translate(-12.0, -12.0)
            .post_scale(scale, scale)
            .post_translate(center.0, center.1);
        path.finish()
            .and_then(|path| path.stroke(&stroke, 8.0))
            .and_then(|path| path.transform(place))
            .expect("an icon has strokes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_fits_into_its_circle() {
        let reach = |icon: &Icon| {
            let path = icon.path((0.0, 0.0), 1.0);
            path.points()
                .iter()
                .map(|point| point.x.hypot(point.y))
                .fold(0.0, f32::max)
        };
        let misfits: Vec<(&str, f32)> = Icon::ALL
            .iter()
            .map(|icon| (icon.id(), reach(icon)))
            .filter(|(_, reach)| !(0.6..=1.0).contains(reach))
            .collect();
        assert_eq!(misfits, []);
    }
}
