//! Colours: what callers see (sRGB, 8 bits) and what the painter mixes (Oklab).

use std::fmt;

/// An opaque colour in sRGB. It is displayed as `#RRGGBB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color {
    /// Red, 0 to 255.
    pub red: u8,
    /// Green, 0 to 255.
    pub green: u8,
    /// Blue, 0 to 255.
    pub blue: u8,
}

impl Color {
    /// Returns the colour of a number such as `0xFFE4A0`.
    #[must_use]
    pub const fn from_rgb(rgb: u32) -> Self {
        let [_, red, green, blue] = rgb.to_be_bytes();
        Self { red, green, blue }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02X}{:02X}{:02X}", self.red, self.green, self.blue)
    }
}

/// The warm white of paper in daylight. Tints go towards it.
const PAPER: Oklab = Oklab {
    lightness: 0.984,
    a: 0.002,
    b: 0.012,
};

/// A colour in Oklab (Björn Ottosson, 2020), where equal steps look equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Oklab {
    pub(crate) lightness: f32,
    pub(crate) a: f32,
    pub(crate) b: f32,
}

impl Oklab {
    /// Returns the colour on the way to `other`: 0 is `self`, 1 is `other`.
    pub(crate) fn mix(self, other: Self, part: f32) -> Self {
        let between = |from: f32, to: f32| from + (to - from) * part;
        Self {
            lightness: between(self.lightness, other.lightness),
            a: between(self.a, other.a),
            b: between(self.b, other.b),
        }
    }

    /// Returns a tint of the same hue, `part` of the way to white.
    pub(crate) fn lift(self, part: f32) -> Self {
        self.mix(PAPER, part)
    }

    /// Returns a shade of the same hue. Chroma falls more slowly than lightness, so that shades do not look dirty.
    pub(crate) fn sink(self, part: f32) -> Self {
        let chroma = 1.0 - 0.4 * part;
        Self {
            lightness: self.lightness * (1.0 - part),
            a: self.a * chroma,
            b: self.b * chroma,
        }
    }

    /// Returns a more colourful one of the same hue and lightness.
    pub(crate) fn enrich(self, part: f32) -> Self {
        self.mute(-part)
    }

    /// Returns a pastel or a shade for areas: another lightness, and a chroma that does not shout.
    pub(crate) fn toned(self, lightness: f32) -> Self {
        const MOST_CHROMA: f32 = 0.06;
        let scale = (MOST_CHROMA / self.a.hypot(self.b)).min(1.0);
        Self {
            lightness,
            ..self.mute(1.0 - scale)
        }
    }

    /// Returns the colour with the nearest of these hues. Lightness and chroma stay.
    pub(crate) fn with_nearest_hue(self, hues: &[Self]) -> Self {
        let chroma = self.a.hypot(self.b);
        let nearness = |hue: &Self| (self.a * hue.a + self.b * hue.b) / hue.a.hypot(hue.b);
        let nearest = hues
            .iter()
            .max_by(|one, other| nearness(one).total_cmp(&nearness(other)));
        nearest.map_or(self, |hue| {
            let scale = chroma / hue.a.hypot(hue.b);
            Self {
                a: hue.a * scale,
                b: hue.b * scale,
                ..self
            }
        })
    }

    /// Returns a greyer colour of the same hue and lightness.
    pub(crate) fn mute(self, part: f32) -> Self {
        Self {
            a: self.a * (1.0 - part),
            b: self.b * (1.0 - part),
            ..self
        }
    }

    /// Returns the colour's encoded sRGB channels, 0 to 1.
    pub(crate) fn to_srgb(self) -> [f32; 3] {
        let Self { lightness, a, b } = self;
        let long = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
        let medium = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
        let short = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
        [
            4.076_741_7 * long - 3.307_711_6 * medium + 0.230_969_94 * short,
            -1.268_438 * long + 2.609_757_4 * medium - 0.341_319_38 * short,
            -0.004_196_086_3 * long - 0.703_418_6 * medium + 1.707_614_7 * short,
        ]
        .map(encode)
    }
}

impl From<Color> for Oklab {
    fn from(color: Color) -> Self {
        let [red, green, blue] =
            [color.red, color.green, color.blue].map(|channel| decode(f32::from(channel) / 255.0));
        let long = (0.412_221_46 * red + 0.536_332_55 * green + 0.051_445_995 * blue).cbrt();
        let medium = (0.211_903_5 * red + 0.680_699_5 * green + 0.107_396_96 * blue).cbrt();
        let short = (0.088_302_46 * red + 0.281_718_85 * green + 0.629_978_7 * blue).cbrt();
        Self {
            lightness: 0.210_454_26 * long + 0.793_617_8 * medium - 0.004_072_047 * short,
            a: 1.977_998_5 * long - 2.428_592_2 * medium + 0.450_593_7 * short,
            b: 0.025_904_037 * long + 0.782_771_77 * medium - 0.808_675_77 * short,
        }
    }
}

/// The transfer functions of sRGB (IEC 61966-2-1).
fn decode(encoded: f32) -> f32 {
    if encoded <= 0.040_45 {
        encoded / 12.92
    } else {
        ((encoded + 0.055) / 1.055).powf(2.4)
    }
}

fn encode(linear: f32) -> f32 {
    let linear = linear.clamp(0.0, 1.0);
    if linear <= 0.003_130_8 {
        linear * 12.92
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    }
}
