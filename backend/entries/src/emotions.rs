//! The emotions that a journal entry may name.

/// One of them.
pub(crate) struct Emotion {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) color: &'static str,
    pub(crate) icon: &'static str,
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

/// All of them, in the order in which they are offered.
pub(crate) const ALL: [Emotion; 10] = [
    emotion(
        "joy",
        "Joy",
        "Happiness, delight, or pleasure",
        "#FFD700",
        "sun",
    ),
    emotion(
        "sadness",
        "Sadness",
        "Sorrow, grief, or unhappiness",
        "#4169E1",
        "cloud-rain",
    ),
    emotion(
        "anger",
        "Anger",
        "Annoyance, displeasure, or hostility",
        "#DC143C",
        "flame",
    ),
    emotion(
        "fear",
        "Fear",
        "A threat that is felt, real or not",
        "#800080",
        "alert-triangle",
    ),
    emotion(
        "disgust",
        "Disgust",
        "Revulsion or strong disapproval",
        "#228B22",
        "x-circle",
    ),
    emotion(
        "surprise",
        "Surprise",
        "Astonishment at something unexpected",
        "#FF8C00",
        "zap",
    ),
    emotion(
        "anxiety",
        "Anxiety",
        "Worry or unease about what may come",
        "#708090",
        "wind",
    ),
    emotion(
        "contentment",
        "Contentment",
        "Peaceful satisfaction",
        "#8FBC8F",
        "smile",
    ),
    emotion(
        "frustration",
        "Frustration",
        "Being held back from what one wants",
        "#B22222",
        "x-square",
    ),
    emotion(
        "excitement",
        "Excitement",
        "Eager enthusiasm",
        "#FF69B4",
        "star",
    ),
];

/// Their ids.
pub(crate) fn ids() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|emotion| emotion.id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn they_are_those_that_adoption_counts_against() {
        assert!(super::ids().eq(emotionviz_db::JOURNAL_EMOTIONS));
    }
}
