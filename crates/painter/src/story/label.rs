//! Labels: shaped and wrapped by parley, in embedded fonts, as outlines.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use hypher::Lang;
use parley::fontique::{Blob, Collection, CollectionOptions, SourceCache};
use parley::{
    Alignment, AlignmentOptions, FontContext, FontFamily, FontFamilyName, Layout, LayoutContext,
    LineHeight, PositionedLayoutItem, StyleProperty, WordBreak,
};
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, GlyphId, MetadataProvider};
use tiny_skia::{Path, PathBuilder};

use super::language::Language;

const LATIN: Font = Font {
    family: "Noto Sans",
    file: include_bytes!("../../fonts/NotoSans.ttf"),
};
const CHINESE: Font = Font {
    family: "Noto Sans CJK SC",
    file: include_bytes!("../../fonts/NotoSansSC.otf"),
};
const JAPANESE: Font = Font {
    family: "Noto Sans CJK JP",
    file: include_bytes!("../../fonts/NotoSansJP.otf"),
};

/// The smallest text, in 512ths of the picture. Parts of a label are left out before its text gets smaller.
pub(super) const SMALLEST: f32 = 19.0;
/// The largest text of a stressor, and of factors.
pub(super) const LARGEST: [f32; 2] = [24.0, 22.0];
/// More characters fit into no label. The limit bounds the work that a long text causes.
const MOST_CHARACTERS: usize = 90;
const LINE_HEIGHT: f32 = 1.2;

struct Font {
    family: &'static str,
    file: &'static [u8],
}

/// The fonts of a language, the preferred one first: Han characters have other forms in Japanese than in Chinese.
fn fonts(language: Language) -> [Font; 3] {
    match language {
        Language::Japanese => [LATIN, JAPANESE, CHINESE],
        _ => [LATIN, CHINESE, JAPANESE],
    }
}

/// All fonts, read once: finding out which characters they have takes milliseconds.
static FONTS: LazyLock<FontContext> = LazyLock::new(|| {
    let mut collection = Collection::new(CollectionOptions {
        shared: false,
        system_fonts: false,
    });
    for font in [LATIN, CHINESE, JAPANESE] {
        collection.register_fonts(Blob::new(Arc::new(font.file)), None);
    }
    FontContext {
        collection,
        source_cache: SourceCache::default(),
    }
});

/// Where a label may stand, in 512ths of the picture.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) middle: f32,
    pub(super) top: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

/// A label that fits its region, in 512ths of the picture.
pub(super) struct Label {
    pub(super) outline: Path,
    pub(super) height: f32,
}

/// Sets labels of one language.
pub(super) struct Typesetter {
    language: Language,
    fonts: FontContext,
    layouts: LayoutContext<()>,
}

impl Typesetter {
    pub(super) fn new(language: Language) -> Self {
        Self {
            language,
            fonts: FONTS.clone(),
            layouts: LayoutContext::new(),
        }
    }

    /// Sets texts of equal rank in the largest size, up to `largest`, in which all of them fit.
    ///
    /// Characters that no font has are left out: a reader never sees a box instead. A text without other characters has no label.
    pub(super) fn set(&mut self, texts: &[(&str, Region)], largest: f32) -> Vec<Option<Label>> {
        let texts: Vec<(String, Region)> = texts
            .iter()
            .map(|(text, region)| (self.drawable(text), *region))
            .collect();
        let mut size = largest;
        while size > SMALLEST
            && !texts
                .iter()
                .all(|(text, region)| self.fits(text, size, *region))
        {
            size -= 1.0;
        }
        texts
            .into_iter()
            .map(|(text, region)| self.set_one(text, size, region))
            .collect()
    }

    fn set_one(&mut self, text: String, size: f32, region: Region) -> Option<Label> {
        let mut text = self.hyphenated(&text, size, region.width);
        while !self.fits(&text, size, region) {
            // One character less before the ellipsis, which fits at the latest when it is alone.
            let kept = text.trim_end_matches('…');
            let end = kept.char_indices().next_back().map_or(0, |(end, _)| end);
            text = format!("{}…", kept[..end].trim_end());
        }
        // The narrowest column with as many lines: lines of about the same length.
        let mut layout = self.lay_out(&text, size, region.width);
        let mut width = region.width;
        while width > region.width / 3.0 {
            width -= region.width / 24.0;
            let narrower = self.lay_out(&text, size, width);
            if narrower.height() > layout.height() || narrower.width() > width {
                break;
            }
            layout = narrower;
        }
        self.label(&layout, region)
    }

    fn fits(&mut self, text: &str, size: f32, region: Region) -> bool {
        let layout = self.lay_out(text, size, region.width);
        layout.width() <= region.width && layout.height() <= region.height
    }

    /// Breaks words that are wider than the column: between syllables, or anywhere in a language without such rules.
    fn hyphenated(&mut self, text: &str, size: f32, column: f32) -> String {
        let mut broken: Vec<String> = Vec::new();
        for word in text.split(' ') {
            let mut rest = word;
            let hyphen = if self.rules().is_some() { "-" } else { "" };
            while self.lay_out(rest, size, column).width() > column {
                let mut ends = self.breaks(rest);
                ends.retain(|&end| {
                    self.lay_out(&format!("{}{hyphen}", &rest[..end]), size, f32::MAX)
                        .width()
                        <= column
                });
                let Some(end) = ends.last() else {
                    break;
                };
                broken.push(format!("{}{hyphen}", &rest[..*end]));
                rest = &rest[*end..];
            }
            broken.push(rest.to_owned());
        }
        broken.join(" ")
    }

    fn rules(&self) -> Option<Lang> {
        match self.language {
            Language::English => Some(Lang::English),
            Language::Spanish => Some(Lang::Spanish),
            Language::French => Some(Lang::French),
            Language::German => Some(Lang::German),
            Language::Chinese | Language::Japanese => None,
        }
    }

    /// Returns where a word may be broken.
    fn breaks(&self, word: &str) -> Vec<usize> {
        let rules = self.rules();
        let syllables: Vec<&str> = rules
            .map(|rules| hypher::hyphenate(word, rules).collect())
            .unwrap_or_default();
        if syllables.len() < 2 {
            return word
                .char_indices()
                .map(|(index, _)| index)
                .skip(1)
                .collect();
        }
        let ends = syllables.iter().scan(0, |end, syllable| {
            *end += syllable.len();
            Some(*end)
        });
        ends.filter(|&end| end < word.len()).collect()
    }

    fn drawable(&self, text: &str) -> String {
        let fonts = fonts(self.language).map(|font| read(font.file, 0));
        let has_glyph = |character: char| {
            fonts
                .iter()
                .any(|font| font.charmap().map(character).is_some())
        };
        let words = text.split_whitespace().map(|word| {
            word.chars()
                .filter(|&character| has_glyph(character))
                .collect()
        });
        let words: Vec<String> = words.filter(|word: &String| !word.is_empty()).collect();
        let mut text = words.join(" ");
        if let Some((end, _)) = text.char_indices().nth(MOST_CHARACTERS) {
            text.truncate(end);
        }
        if self.language == Language::Japanese {
            phrases(&text)
        } else {
            text
        }
    }

    fn lay_out(&mut self, text: &str, size: f32, width: f32) -> Layout<()> {
        let families = fonts(self.language).map(|font| FontFamilyName::named(font.family));
        let mut builder = self
            .layouts
            .ranged_builder(&mut self.fonts, text, 1.0, false);
        builder.push_default(StyleProperty::FontFamily(FontFamily::List(Cow::Borrowed(
            &families,
        ))));
        builder.push_default(StyleProperty::Locale(self.language.locale()));
        if self.language == Language::Japanese {
            builder.push_default(StyleProperty::WordBreak(WordBreak::KeepAll));
        }
        builder.push_default(StyleProperty::FontSize(size));
        builder.push_default(StyleProperty::LineHeight(LineHeight::FontSizeRelative(
            LINE_HEIGHT,
        )));
        let mut layout = builder.build(text);
        layout.break_all_lines(Some(width));
        layout.align(Alignment::Center, AlignmentOptions::default());
        layout
    }

    fn label(&self, layout: &Layout<()>, region: Region) -> Option<Label> {
        let mut outline = PathBuilder::new();
        for line in layout.lines() {
            for item in line.items() {
                let PositionedLayoutItem::GlyphRun(glyphs) = item else {
                    continue;
                };
                let run = glyphs.run();
                let font = read(run.font().data.data(), run.font().index);
                let settings = Size::new(run.font_size());
                for glyph in glyphs.positioned_glyphs() {
                    let mut pen = Pen {
                        path: &mut outline,
                        left: region.middle - layout.layout_max_advance() / 2.0 + glyph.x,
                        baseline: region.top + glyph.y,
                    };
                    if let Some(shape) = font.outline_glyphs().get(GlyphId::new(glyph.id)) {
                        let settings = DrawSettings::unhinted(settings, LocationRef::default());
                        shape
                            .draw(settings, &mut pen)
                            .expect("the embedded fonts are valid");
                    }
                }
            }
        }
        outline.finish().map(|outline| Label {
            outline,
            height: layout.height(),
        })
    }
}

/// Lets lines of Japanese end after particles and endings only: where hiragana meets another script. A line may end within words otherwise.
fn phrases(text: &str) -> String {
    const BREAK: char = '\u{200B}';
    let is_hiragana = |character: char| ('\u{3041}'..='\u{309F}').contains(&character);
    let mut phrases = String::new();
    let mut previous = None;
    for character in text.chars() {
        if previous.is_some_and(is_hiragana)
            && !is_hiragana(character)
            && character.is_alphanumeric()
        {
            phrases.push(BREAK);
        }
        phrases.push(character);
        previous = Some(character);
    }
    phrases
}

fn read(file: &[u8], index: u32) -> FontRef<'_> {
    FontRef::from_index(file, index).expect("the embedded fonts are valid")
}

/// Moves a glyph to its place. Fonts have the y axis pointing up.
struct Pen<'p> {
    path: &'p mut PathBuilder,
    left: f32,
    baseline: f32,
}

impl OutlinePen for Pen<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(self.left + x, self.baseline - y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(self.left + x, self.baseline - y);
    }

    fn quad_to(&mut self, over_x: f32, over_y: f32, x: f32, y: f32) {
        let (left, baseline) = (self.left, self.baseline);
        self.path
            .quad_to(left + over_x, baseline - over_y, left + x, baseline - y);
    }

    fn curve_to(
        &mut self,
        first_x: f32,
        first_y: f32,
        second_x: f32,
        second_y: f32,
        x: f32,
        y: f32,
    ) {
        let (left, baseline) = (self.left, self.baseline);
        self.path.cubic_to(
            left + first_x,
            baseline - first_y,
            left + second_x,
            baseline - second_y,
            left + x,
            baseline - y,
        );
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The characters of two-byte codes whose first byte is in this range.
    fn characters(
        encoding: &'static encoding_rs::Encoding,
        first: std::ops::RangeInclusive<u8>,
    ) -> Vec<char> {
        let codes = first.flat_map(|first| (0xA1..=0xFE).map(move |second| [first, second]));
        let characters = codes.filter_map(|code| {
            let text = encoding.decode_without_bom_handling_and_without_replacement(&code)?;
            text.chars().next()
        });
        // Unassigned codes are private-use characters here.
        characters
            .filter(|character| !('\u{E000}'..='\u{F8FF}').contains(character))
            .collect()
    }

    #[test]
    fn every_han_character_of_gb_2312_and_jis_x_0208_has_a_glyph() {
        let sets = [
            (
                Language::Chinese,
                CHINESE,
                characters(encoding_rs::GBK, 0xB0..=0xF7),
                6763,
            ),
            (
                Language::Japanese,
                JAPANESE,
                characters(encoding_rs::EUC_JP, 0xB0..=0xF4),
                6355,
            ),
        ];
        for (language, font, characters, count) in sets {
            assert_eq!(characters.len(), count, "{language:?}");
            let charmap = read(font.file, 0).charmap();
            let missing: String = characters
                .into_iter()
                .filter(|character| charmap.map(*character).is_none())
                .collect();
            assert_eq!(missing, "", "{language:?}");
        }
    }

    #[test]
    fn lines_of_japanese_end_after_particles() {
        assert_eq!(
            phrases("完璧主義のプレッシャー"),
            "完璧主義の\u{200B}プレッシャー"
        );
        assert_eq!(phrases("時間が足りない"), "時間が\u{200B}足りない");
        assert_eq!(phrases("不安"), "不安");
    }

    #[test]
    fn long_words_are_broken_between_syllables() {
        let mut typesetter = Typesetter::new(Language::German);
        let broken = typesetter.hyphenated("Donaudampfschifffahrt Heute", 19.0, 120.0);
        assert_eq!(broken, "Donau- dampfschiff- fahrt Heute");
    }
}
