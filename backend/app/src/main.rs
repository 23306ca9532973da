//! The EmotionVisualizer service.

fn main() {}
