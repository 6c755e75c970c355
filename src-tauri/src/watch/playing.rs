//! Watching, until there is a reason to end.

mod absence;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use ::watch::{Leaving, PayHandle, Player, Quality, Snapshot};
use anyhow::bail;
use api::{Client, ClientError, StreamStatus};
use rtc::LinkState;

use super::progress::{Progress, Spending};
use absence::Absence;

/// How often it is looked whether something changed.
const LOOK: Duration = Duration::from_millis(100);
/// How often the node is asked whether the stream is over.
const ASK: Duration = Duration::from_secs(2);
/// There is to be a picture within this.
const FIRST_PICTURE: Duration = Duration::from_secs(30);

/// Why watching ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// By a signal.
    Stopped,
    /// As long as was asked for.
    Elapsed,
    StreamOver,
    /// The node knows of no such stream any more.
    StreamUnknown,
    /// The paying did.
    Left(Leaving),
}

impl Ending {
    pub fn in_words(&self) -> String {
        match self {
            Self::Stopped => "it was told to stop".to_owned(),
            Self::Elapsed => "the seconds that were asked for have passed".to_owned(),
            Self::StreamOver => "the stream is over".to_owned(),
            Self::StreamUnknown => "the node does not know the stream any more".to_owned(),
            Self::Left(why) => why.to_string(),
        }
    }
}

pub(super) struct Playing<'a> {
    pub player: &'a Player,
    pub quality: &'a Quality,
    pub client: &'a Client,
    pub playback_id: &'a str,
    pub limit: Option<Duration>,
}

impl Playing<'_> {
    /// Why it ended, and how long there were pictures.
    ///
    /// # Errors
    /// Where nothing was seen, or the node turned the player away.
    pub async fn until_over(
        &self,
        stop: impl Future<Output = ()>,
        pay: Option<(PayHandle, Spending)>,
    ) -> anyhow::Result<(Ending, Duration)> {
        let (pay, spending) = pay.unzip();
        let progress = Progress::new(spending);
        let (first, absence) = (Cell::new(None), RefCell::new(Absence::default()));
        let ending = tokio::select! {
            () = stop => Ending::Stopped,
            never = self.quality.run() => match never {},
            ended = self.watch(&first, &absence, pay.as_ref(), progress) => ended?,
            ended = self.stream_over(&absence) => ended?,
        };
        Ok((ending, first.get().map_or(Duration::ZERO, |at: Instant| at.elapsed())))
    }

    async fn watch(
        &self,
        first: &Cell<Option<Instant>>,
        absence: &RefCell<Absence>,
        pay: Option<&PayHandle>,
        mut progress: Progress,
    ) -> anyhow::Result<Ending> {
        let (mut turns, began) = (tokio::time::interval(LOOK), Instant::now());
        let mut was_connected = false;
        loop {
            turns.tick().await;
            let status = pay.map(PayHandle::status);
            if let Some(status) = &status {
                if let Some(why) = &status.left_because {
                    return Ok(Ending::Left(why.clone()));
                }
                if std::mem::replace(&mut was_connected, status.is_connected) && !status.is_connected {
                    absence.borrow_mut().missed(Instant::now());
                }
            }
            let seen = self.player.snapshot();
            progress.show(first.get().map(|at| at.elapsed()), &seen, status.as_ref());
            let Snapshot { state, report, .. } = seen;
            if let LinkState::Closed { reason } = state {
                bail!("the node does not let us watch: {reason}");
            }
            if report.first_frame_ms.is_some() {
                first.set(first.get().or_else(|| Some(Instant::now())));
            } else if began.elapsed() >= FIRST_PICTURE {
                bail!("no picture came within {} s (the connection: {state:?})", FIRST_PICTURE.as_secs());
            }
            if let (Some(first), Some(limit)) = (first.get(), self.limit)
                && first.elapsed() >= limit
            {
                return Ok(Ending::Elapsed);
            }
        }
    }

    /// Returns when the node says so, or says nothing for too long.
    async fn stream_over(&self, absence: &RefCell<Absence>) -> anyhow::Result<Ending> {
        let mut turns = tokio::time::interval(ASK);
        loop {
            turns.tick().await;
            let answer = self.client.stream(self.playback_id).await;
            let (mut absence, now) = (absence.borrow_mut(), Instant::now());
            match answer {
                Ok(info) => {
                    absence.answered(now);
                    self.quality.offer(&info.renditions);
                    let is_over = matches!(info.status, StreamStatus::Ended | StreamStatus::Archived);
                    if is_over && !absence.is_recent(now) {
                        return Ok(Ending::StreamOver);
                    }
                }
                Err(ClientError::Refused(problem)) if problem.status == 404 => {
                    return Ok(Ending::StreamUnknown);
                }
                Err(ClientError::Refused(_)) => absence.answered(now),
                // It may still send.
                Err(_) if self.player.snapshot().state == LinkState::Up => absence.missed(now),
                Err(err) => {
                    absence.missed(now);
                    if let Some(lasted) = absence.too_long(now) {
                        bail!("the node has not answered for {} s: {err}", lasted.as_secs());
                    }
                }
            }
        }
    }
}
