//! Draws feelings.

use std::net::IpAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emotionviz_settings::PictureSide;
use futures_util::FutureExt;
use painter::{Category, Color, Feeling, FeelingError, Mood};
use tokio::sync::Semaphore;

use crate::running::Running;

/// The category of a feeling, as its user chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FeelingCategory {
    Good,
    Bad,
    NotSure,
}

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("unknown category")]
    UnknownCategory(String),
    #[error("unknown moods: {0:?}")]
    UnknownMoods(Vec<String>),
    #[error("the painter failed: {0}")]
    Painter(String),
}

/// A finished drawing.
pub(crate) struct Drawing {
    pub(crate) png: Vec<u8>,
    pub(crate) side: u32,
    pub(crate) description: String,
    pub(crate) colors: Vec<Color>,
    pub(crate) took: Duration,
}

/// Paints pictures, as many at a time as there are processors.
pub(crate) struct FeelingPainter {
    side: u32,
    slots: Arc<Semaphore>,
    running: Running<Result<Arc<Drawing>, Error>>,
}

impl FeelingCategory {
    pub(crate) const ALL: [Self; 3] = [Self::Good, Self::Bad, Self::NotSure];

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::NotSure => "not_sure",
        }
    }

    pub(crate) fn from_id(id: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|category| category.id() == id);
        found.ok_or_else(|| Error::UnknownCategory(id.to_owned()))
    }
}

/// Returns the ids of all moods of a category.
pub(crate) fn mood_ids(category: Category) -> Vec<&'static str> {
    let moods = Mood::ALL.into_iter();
    moods
        .filter(|mood| mood.category() == category)
        .map(Mood::id)
        .collect()
}

/// Reads ids of moods.
pub(crate) fn moods(ids: Vec<String>) -> Result<Vec<Mood>, Error> {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for id in ids {
        match Mood::from_id(&id) {
            Some(mood) => known.push(mood),
            None => unknown.push(id),
        }
    }
    if !unknown.is_empty() {
        return Err(Error::UnknownMoods(unknown));
    }
    Ok(known)
}

impl FeelingPainter {
    pub(crate) fn new(side: PictureSide) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            side: side.pixels(),
            slots: Arc::new(Semaphore::new(processors)),
            running: Running::new(),
        }
    }

    /// Draws a feeling. An equal request of the same client joins the one that is being worked on.
    pub(crate) async fn draw_feeling(
        &self,
        client: IpAddr,
        category: FeelingCategory,
        moods: Vec<Mood>,
    ) -> Result<Arc<Drawing>, Error> {
        let feeling = Feeling::new(&moods, rand::random(), self.side)?;
        let slots = self.slots.clone();
        let request = (client, category, moods.clone());
        let work = || paint(feeling, moods, slots).boxed();
        self.running.join(request, work).await
    }
}

async fn paint(
    feeling: Feeling,
    moods: Vec<Mood>,
    slots: Arc<Semaphore>,
) -> Result<Arc<Drawing>, Error> {
    let started = Instant::now();
    let slot = slots.acquire_owned().await.expect("it is never closed");
    let painted = tokio::task::spawn_blocking(move || {
        // Painting cannot be interrupted, so its slot is taken until it is done, even if no request waits for the picture.
        let _slot = slot;
        let picture = feeling.paint();
        Drawing {
            png: picture.png(),
            side: picture.side(),
            description: feeling.description(),
            colors: painter::dominant_colors(&moods),
            took: started.elapsed(),
        }
    });
    let drawing = painted
        .await
        .map_err(|error| Error::Painter(error.to_string()))?;
    Ok(Arc::new(drawing))
}

impl From<FeelingError> for Error {
    fn from(error: FeelingError) -> Self {
        Self::Painter(error.to_string())
    }
}
