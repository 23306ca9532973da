//! Writes a sheet of stories in all languages, which together show every icon.
//!
//! `cargo run -p painter --example story-sheet [FILE]`; the default is `target/story-sheet.png`.

#[path = "sheet/mod.rs"]
mod sheet;

use std::error::Error;
use std::path::PathBuf;

use painter::Mood;
use painter::story::{Icon, Language, Story, Topic};
use sheet::Sheet;

const COLUMNS: usize = 4;
const TILE: usize = 384;
const GAP: usize = 12;

/// A stressor and four factors.
const LABELS: [(Language, [&str; 5]); 6] = [
    (
        Language::English,
        [
            "Public Performance Anxiety",
            "Harsh Self Image",
            "Time Running Out",
            "Fear Of Judgement",
            "Impossible Standards",
        ],
    ),
    (
        Language::Chinese,
        [
            "经济压力与未来",
            "收入不稳定",
            "长期睡眠不足",
            "家庭期望过高",
            "对未来的不确定感",
        ],
    ),
    (
        Language::Spanish,
        [
            "Presión En El Trabajo",
            "Miedo Al Fracaso",
            "Falta De Descanso",
            "Comparación Constante",
            "Responsabilidades Familiares",
        ],
    ),
    (
        Language::French,
        [
            "Solitude Après Une Rupture",
            "Perte De Repères",
            "Peur De L’Abandon",
            "Nuits Sans Sommeil",
            "Dévalorisation De Soi",
        ],
    ),
    (
        Language::German,
        [
            "Druck Bei Der Arbeit",
            "Vergleich Mit Anderen",
            "Zukunftsunsicherheit",
            "Verlassenheitsgefühl",
            "Gedankenkarussell Nachts",
        ],
    ),
    (
        Language::Japanese,
        [
            "試験への不安",
            "完璧主義のプレッシャー",
            "時間が足りない",
            "周囲との比較",
            "将来が見えない",
        ],
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/story-sheet.png"), PathBuf::from);
    let stories: Vec<&[Icon]> = Icon::ALL.chunks(5).collect();
    let rows = stories.len().div_ceil(COLUMNS);
    let mut sheet = Sheet::new(GAP + COLUMNS * (TILE + GAP), GAP + rows * (TILE + GAP));
    for (index, icons) in stories.iter().enumerate() {
        let (language, labels) = LABELS[index % LABELS.len()];
        let mut topics: Vec<Topic> = icons
            .iter()
            .cycle()
            .zip(labels)
            .map(|(icon, label)| Topic {
                icon: *icon,
                label: label.to_owned(),
            })
            .collect();
        let stressor = topics.remove(0);
        let moods = [Mood::ALL[index % 11], Mood::ALL[(index + 5) % 11]];
        let story = Story::new(&moods, stressor, topics, language, TILE as u32)?;
        let (column, row) = (index % COLUMNS, index / COLUMNS);
        sheet.put(
            &story.paint(),
            GAP + column * (TILE + GAP),
            GAP + row * (TILE + GAP),
        );
    }
    sheet.write(&file)
}
