//! Measures pictures: the median and the least time to paint and encode one, the size of its file, and pictures a second on all processors.
//!
//! `cargo run --release -p painter --example measure [SIDE]`; the default side is 512 pixels.

use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use painter::story::{Icon, Language, Story, Topic};
use painter::{Feeling, Mood, Picture};

const PICTURES: u64 = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let side = std::env::args()
        .nth(1)
        .map_or(Ok(512), |side| side.parse())?;
    println!("picture         paint ms (least)   PNG ms (least)   largest KB");
    for mood in Mood::ALL {
        measure(mood.id(), |seed| {
            Ok(Feeling::new(&[mood], seed, side)?.paint())
        })?;
    }
    for count in [2, 4, 11] {
        let moods = &Mood::ALL[..count];
        measure(&format!("{count} moods"), |seed| {
            Ok(Feeling::new(moods, seed, side)?.paint())
        })?;
    }
    for (language, label) in [
        (Language::English, "Fear Of Judgement"),
        (Language::Japanese, "完璧主義のプレッシャー"),
    ] {
        let topic = Topic {
            icon: Icon::Clock,
            label: label.to_owned(),
        };
        let story = Story::new(&[Mood::Down], topic.clone(), vec![topic; 4], language, side)?;
        measure(&format!("story in {}", language.code()), |_| {
            Ok(story.paint())
        })?;
    }

    let processors = thread::available_parallelism()?.get();
    let start = Instant::now();
    thread::scope(|scope| {
        for thread in 0..processors as u64 {
            scope.spawn(move || {
                for seed in 0..PICTURES {
                    for mood in Mood::ALL {
                        let feeling = Feeling::new(&[mood], seed + thread * PICTURES, side);
                        black_box(feeling.expect("the side was valid above").paint().png());
                    }
                }
            });
        }
    });
    let pictures = processors * PICTURES as usize * Mood::ALL.len();
    let rate = pictures as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.0} pictures/s on {processors} processors");
    Ok(())
}

fn measure(
    name: &str,
    paint: impl Fn(u64) -> Result<Picture, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (mut painting, mut encoding, mut largest) = (Vec::new(), Vec::new(), 0);
    for seed in 0..PICTURES {
        let start = Instant::now();
        let picture = paint(seed)?;
        painting.push(start.elapsed().as_secs_f64() * 1000.0);
        let start = Instant::now();
        largest = largest.max(picture.png().len());
        encoding.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    let [painting, encoding] = [painting, encoding].map(|mut times| {
        times.sort_by(f64::total_cmp);
        format!(
            "{:>8.1} {:>7}",
            times[times.len() / 2],
            format!("({:.1})", times[0])
        )
    });
    println!("{name:<15} {painting} {encoding} {:>12}", largest / 1000);
    Ok(())
}
