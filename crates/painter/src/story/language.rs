/// A language in which labels are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    English,
    /// Chinese, with the simplified forms.
    Chinese,
    /// Spanish.
    Spanish,
    /// French.
    French,
    /// German.
    German,
    /// Japanese.
    Japanese,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 6] = [
        Self::English,
        Self::Chinese,
        Self::Spanish,
        Self::French,
        Self::German,
        Self::Japanese,
    ];

    /// Returns the code of ISO 639-1, such as `en`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
            Self::Spanish => "es",
            Self::French => "fr",
            Self::German => "de",
            Self::Japanese => "ja",
        }
    }

    /// Returns the language with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == code)
    }

    pub(super) fn locale(self) -> Option<parley::Language> {
        self.code().parse().ok()
    }
}
