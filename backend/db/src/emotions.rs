//! The emotions that a journal entry may name.

pub struct Emotion {
    pub id: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    pub color: &'static str,
    pub icon: &'static str,
}

const fn emotion(
    id: &'static str,
    name: &'static str,
    description: &'static str,
    color: &'static str,
    icon: &'static str,
) -> Emotion {
    Emotion {
        id,
        name,
        description,
        color,
        icon,
    }
}

/// All of them, in the order in which clients show them.
#[rustfmt::skip]
pub const EMOTIONS: [Emotion; 10] = [
    emotion("joy", "Joy", "Happiness, delight, or pleasure", "#FFD700", "sun"),
    emotion("sadness", "Sadness", "Sorrow, grief, or unhappiness", "#4169E1", "cloud-rain"),
    emotion("anger", "Anger", "Annoyance, displeasure, or hostility", "#DC143C", "flame"),
    emotion("fear", "Fear", "A threat that is felt, real or not", "#800080", "alert-triangle"),
    emotion("disgust", "Disgust", "Revulsion or strong disapproval", "#228B22", "x-circle"),
    emotion("surprise", "Surprise", "Astonishment at something unexpected", "#FF8C00", "zap"),
    emotion("anxiety", "Anxiety", "Worry or unease about what may come", "#708090", "wind"),
    emotion("contentment", "Contentment", "Peaceful satisfaction", "#8FBC8F", "smile"),
    emotion("frustration", "Frustration", "Being held back from what one wants", "#B22222", "x-square"),
    emotion("excitement", "Excitement", "Eager enthusiasm", "#FF69B4", "star"),
];

/// The ids of [`EMOTIONS`].
pub const JOURNAL_EMOTIONS: [&str; 10] = {
    let mut ids = [""; 10];
    let mut i = 0;
    while i < ids.len() {
        ids[i] = EMOTIONS[i].id;
        i += 1;
    }
    ids
};
