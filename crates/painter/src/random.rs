use rand::rngs::Xoshiro256PlusPlus;

/// The generator of all choices. Its sequence is the same on every platform.
pub(crate) type Random = Xoshiro256PlusPlus;
