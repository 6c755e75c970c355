//! Watching in a window.

mod consent;

use std::sync::Arc;

use ::watch::window::{self, Paid, Show, WindowHandle};
use tokio::runtime::{Handle, Runtime};

use super::address::StreamAddress;
use super::paying::{Payer, Paying};
use super::playing::Ending;
use super::{Options, Played, Session, find, must_be_live, tell};
use crate::stop::StopSignals;
use api::{Client, StreamInfo};

/// The window has the process's first thread, as windows must; what plays has one of its own. What was watched is paid as
/// soon as it is over, though the window may still be read, and told there where it is watched again. `None` where it was closed before anything was watched.
pub(super) fn watch<'a>(
    options: &Options,
    address: &'a StreamAddress,
    runtime: &Runtime,
) -> anyhow::Result<Option<(Session<'a>, Played)>> {
    let handle = WindowHandle::default();
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| {
            runtime.block_on(async {
                let mut stop = StopSignals::new()?;
                loop {
                    let watched = in_window(options, address, &handle, runtime.handle(), &mut stop).await;
                    match &watched {
                        Ok(None | Some((_, (Ok((Ending::Stopped | Ending::Elapsed, _)), _)))) => {
                            handle.close();
                            return watched;
                        }
                        Ok(Some((_, (Ok((ending, _)), _)))) => handle.over(&ending.in_words()),
                        Ok(Some((_, (Err(err), _)))) | Err(err) => handle.over(&crate::in_words(err)),
                    }
                    // It may be read until somebody closes it, or ends the program.
                    tokio::select! {
                        () = stop.wait() => {
                            handle.close();
                            return watched;
                        }
                        () = handle.left() => return watched,
                        () = handle.again() => {}
                    }
                    // Of the last time this is told once the window has closed.
                    let told = match watched {
                        Ok(Some((session, played))) => {
                            tell(options, address, session.player.snapshot().report, played)
                        }
                        Ok(None) => Ok(()),
                        Err(err) => Err(err),
                    };
                    if let Err(err) = told {
                        crate::complain(&err);
                    }
                }
            })
        });
        let shown = window::run(&handle, options.look.of_window());
        let watched =
            watched.join().map_err(|_| anyhow::anyhow!("the player's part of the program failed"))?;
        shown?;
        watched
    })
}

async fn in_window<'a>(
    options: &Options,
    address: &'a StreamAddress,
    handle: &WindowHandle,
    runtime: &Handle,
    stop: &mut StopSignals,
) -> anyhow::Result<Option<(Session<'a>, Played)>> {
    let opened = tokio::select! {
        opened = open(options, address, handle) => opened?,
        () = stop.wait() => return Ok(None),
        () = handle.left() => return Ok(None),
    };
    let (client, stream, payer) = opened;
    let (mut session, paying) = Session::start(options, address, (client, stream), payer, runtime)?;
    let Session { player, quality, sound, .. } = &session;
    if let Some(sound) = sound.clone() {
        let (player, quality, paid) = (Arc::clone(player), quality.clone(), paying.as_ref().map(paid));
        handle.play(Show { player, sound, quality, paid });
    }
    let stopped = async {
        tokio::select! {
            () = stop.wait() => {}
            () = handle.left() => {}
        }
    };
    let played = session.play(stopped, paying).await;
    Ok(Some((session, played)))
}

async fn open(
    options: &Options,
    address: &StreamAddress,
    handle: &WindowHandle,
) -> anyhow::Result<(Client, StreamInfo, Option<Payer>)> {
    handle.say("Reaching the stream");
    let (client, stream) = find(address).await?;
    handle.name(&stream.title);
    let is_paid = options.is_paid(&stream)?;
    if is_paid {
        must_be_live(&stream)?;
    }
    let payer = if !is_paid {
        None
    } else if options.paying.is_complete() {
        handle.say("Making the payment ready");
        Some(options.paying.prepare(address, &client, &stream).await?)
    } else {
        handle.say("Reaching the chain");
        let checkout = options.paying.checkout(address, &client, &stream).await?;
        Some(consent::payer(&options.paying, checkout, handle).await?)
    };
    handle.say("Connecting");
    Ok((client, stream, payer))
}

fn paid(paying: &Paying) -> Paid {
    let spending = paying.spending();
    let before = (spending.seconds, spending.before);
    let words = move |amount| spending.unit.shortly(amount);
    Paid { handle: paying.handle(), before, words: Box::new(words) }
}
