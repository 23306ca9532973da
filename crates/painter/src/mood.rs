//! The moods, their names and their colours.

use crate::color::Color;

/// A mood that a person can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mood {
    /// Great joy.
    SuperHappy,
    /// Full of energy.
    Pumped,
    /// Warm and safe.
    Cozy,
    /// Relaxed.
    Chill,
    /// Satisfied.
    Content,
    /// Angry, on the boil.
    Fuming,
    /// Frightened, in panic.
    FreakedOut,
    /// Furious.
    MadAsHell,
    /// Without colour or drive.
    Blah,
    /// Sad.
    Down,
    /// Bored.
    BoredStiff,
}

/// Whether a mood is pleasant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Pleasant moods: light, warm pictures.
    Good,
    /// Unpleasant moods: darker, still gentle pictures.
    Bad,
}

impl Mood {
    /// All moods, the good ones first.
    pub const ALL: [Self; 11] = [
        Self::SuperHappy,
        Self::Pumped,
        Self::Cozy,
        Self::Chill,
        Self::Content,
        Self::Fuming,
        Self::FreakedOut,
        Self::MadAsHell,
        Self::Blah,
        Self::Down,
        Self::BoredStiff,
    ];

    /// Returns the mood with this identifier.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mood| mood.id() == id)
    }

    /// Returns the identifier, such as `super_happy`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::SuperHappy => "super_happy",
            Self::Pumped => "pumped",
            Self::Cozy => "cozy",
            Self::Chill => "chill",
            Self::Content => "content",
            Self::Fuming => "fuming",
            Self::FreakedOut => "freaked_out",
            Self::MadAsHell => "mad_as_hell",
            Self::Blah => "blah",
            Self::Down => "down",
            Self::BoredStiff => "bored_stiff",
        }
    }

    /// Returns the English name, such as `Super happy`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SuperHappy => "Super happy",
            Self::Pumped => "Pumped",
            Self::Cozy => "Cozy",
            Self::Chill => "Chill",
            Self::Content => "Content",
            Self::Fuming => "Fuming",
            Self::FreakedOut => "Freaked out",
            Self::MadAsHell => "Mad as hell",
            Self::Blah => "Blah",
            Self::Down => "Down",
            Self::BoredStiff => "Bored stiff",
        }
    }

    /// Returns whether the mood is pleasant.
    #[must_use]
    pub fn category(self) -> Category {
        match self {
            Self::SuperHappy | Self::Pumped | Self::Cozy | Self::Chill | Self::Content => {
                Category::Good
            }
            Self::Fuming
            | Self::FreakedOut
            | Self::MadAsHell
            | Self::Blah
            | Self::Down
            | Self::BoredStiff => Category::Bad,
        }
    }

    /// Returns the three colours of the mood, the most typical one first.
    #[must_use]
    pub fn colors(self) -> [Color; 3] {
        match self {
            Self::SuperHappy => [0xFFE4A0, 0xFFB899, 0xFFD4E5],
            Self::Pumped => [0xFFB5A0, 0xFFDAB9, 0xFFD700],
            Self::Cozy => [0xD4B896, 0xE2A68F, 0xFFFDD0],
            Self::Chill => [0xA8E6CF, 0x9DC183, 0xADD8E6],
            Self::Content => [0xD4C4E8, 0xD4A5A5, 0xC4C4BC],
            Self::Fuming => [0xE8A0A0, 0xC25A5A, 0xA89F9F],
            Self::FreakedOut => [0xC8A0E8, 0xB0B0B0, 0x8FA8C8],
            Self::MadAsHell => [0x8B4570, 0x722F37, 0x36454F],
            Self::Blah => [0xB0C4D4, 0xC4B8A8, 0xB8AFA0],
            Self::Down => [0xA0B8D4, 0x9FA8DA, 0x6B7B8C],
            Self::BoredStiff => [0xD4D0C4, 0xC5C99B, 0xC2B280],
        }
        .map(Color::from_rgb)
    }

    /// Returns what the mood is drawn with, such as `nested rounded shapes`.
    #[must_use]
    pub fn forms(self) -> &'static str {
        match self {
            Self::SuperHappy => "rising, radiating petals",
            Self::Pumped => "bold arcs with growing circles",
            Self::Cozy => "nested rounded shapes",
            Self::Chill => "slow horizontal waves",
            Self::Content => "closed concentric circles",
            Self::Fuming => "tight inward spirals",
            Self::FreakedOut => "scattered, irregular shards",
            Self::MadAsHell => "a dense, heavy core",
            Self::Blah => "flat horizontal layers",
            Self::Down => "sinking curves",
            Self::BoredStiff => "a sparse, regular grid",
        }
    }
}
