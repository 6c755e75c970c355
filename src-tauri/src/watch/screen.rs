//! Watching in a window.

use ::watch::window::{self, Paid, Show, WindowHandle};
use anyhow::Context;
use tokio::runtime::Runtime;

use super::paying::Paying;
use super::playing::{Ending, Playing};
use super::{Played, Session, play as play_on};
use crate::look::Look;

/// The window has the process's first thread, as windows must; what plays has one of its own. What was watched is paid as
/// soon as it is over, though the window may still be read.
pub(super) fn play(
    session: &mut Session<'_>,
    paying: Option<Paying>,
    look: &Look,
    runtime: &Runtime,
) -> anyhow::Result<Played> {
    let Session { address, limit, client, title, player, quality, sound, stop, .. } = session;
    let sound = sound.clone().context("a window is heard")?;
    let handle = WindowHandle::default();
    let paid = paying.as_ref().map(|paying| {
        let spending = paying.spending();
        let words = move |amount| spending.unit.shortly(amount);
        Paid { handle: paying.handle(), before: (spending.seconds, spending.before), words: Box::new(words) }
    });
    let show =
        Show { title: title.clone(), player, sound, quality: quality.clone(), paid, handle: handle.clone() };
    let options = window::Options { theme: look.theme(), zoom: look.scale, size: look.size() };
    let playing = Playing { player, quality, client, playback_id: &address.playback_id, limit: *limit };
    std::thread::scope(|scope| {
        let played = scope.spawn(|| {
            let stopped = async {
                tokio::select! {
                    () = stop.wait() => {}
                    () = handle.left() => {}
                }
            };
            let played = runtime.block_on(play_on(&playing, stopped, paying));
            match &played.0 {
                Ok((Ending::Stopped | Ending::Elapsed, _)) => handle.close(),
                Ok((ending, _)) => handle.over(ending.in_words()),
                Err(err) => handle.over(crate::in_words(err)),
            }
            played
        });
        let shown = window::run(show, options);
        let played = played.join().map_err(|_| anyhow::anyhow!("the player's part of the program failed"))?;
        shown?;
        Ok(played)
    })
}
