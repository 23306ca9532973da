//! One scene per mood.

mod blah;
mod bored_stiff;
mod chill;
mod content;
mod cozy;
mod down;
mod freaked_out;
mod fuming;
mod mad_as_hell;
mod pumped;
mod super_happy;

use rand::rngs::Xoshiro256PlusPlus;

use crate::canvas::Canvas;
use crate::color::Oklab;
use crate::mood::Mood;

/// The generator of all choices. Its sequence is the same on every platform.
pub(crate) type Random = Xoshiro256PlusPlus;

/// Paints a mood over the whole canvas, in three colours.
pub(crate) fn paint(mood: Mood, canvas: &mut Canvas, colors: [Oklab; 3], random: &mut Random) {
    let scene = match mood {
        Mood::SuperHappy => super_happy::paint,
        Mood::Pumped => pumped::paint,
        Mood::Cozy => cozy::paint,
        Mood::Chill => chill::paint,
        Mood::Content => content::paint,
        Mood::Fuming => fuming::paint,
        Mood::FreakedOut => freaked_out::paint,
        Mood::MadAsHell => mad_as_hell::paint,
        Mood::Blah => blah::paint,
        Mood::Down => down::paint,
        Mood::BoredStiff => bored_stiff::paint,
    };
    scene(canvas, colors, random);
}
