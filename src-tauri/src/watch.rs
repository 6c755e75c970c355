//! `tickcast watch`: plays a stream, in a window or without one, and pays for it where it is paid.

mod address;
mod paying;
mod playing;
mod progress;
mod report;
#[cfg(feature = "windows")]
mod screen;

use std::sync::Arc;
use std::time::Duration;

use ::watch::{HttpSignalling, Player, PlayerConfig, PlayerReport, Quality, Sound};
use anyhow::{Context, bail};
use api::{Client, StreamInfo, StreamStatus};
use media::RenditionName;

use crate::say;
use crate::stop::StopSignals;
use address::StreamAddress;
use paying::{Payer, Paying};
use playing::{Ending, Playing};
use report::{PaymentReport, WatchReport};
use tokio::runtime::Handle;

#[derive(clap::Args, Debug)]
pub struct Options {
    /// The address of a watch page: http://HOST:8080/watch/ID.
    url: String,
    /// Without a window: decodes, measures and pays.
    #[cfg_attr(feature = "windows", arg(long))]
    #[cfg_attr(not(feature = "windows"), arg(long, required = true))]
    headless: bool,
    #[cfg(feature = "windows")]
    #[command(flatten)]
    look: crate::look::Look,
    /// Watches nothing that costs money.
    #[arg(long)]
    free: bool,
    /// Ends by itself after so many seconds of pictures.
    #[arg(long, value_name = "SECONDS", value_parser = crate::seconds)]
    seconds: Option<Duration>,
    /// Asks for this quality at once, whatever the bandwidth: very_low, low, medium, high or ultra;
    /// the next lower where the stream lacks it or it is not paid for. By itself it follows the bandwidth.
    #[arg(long, value_name = "NAME")]
    quality: Option<RenditionName>,
    /// Prints what was seen and paid as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    paying: paying::PayingOptions,
}

/// Watches until it is told to stop, `--seconds` have passed, there is nothing more to see, or nothing more to pay with.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let address = StreamAddress::parse(&options.url).with_context(|| {
        format!("\"{}\" is no address of a stream; one is http://HOST:8080/watch/ID", options.url)
    })?;
    if options.paying.wallet.is_some() {
        ::wallet::harden_process()
            .context("the system does not let this process keep its memory to itself")?;
    }
    let runtime = tokio::runtime::Runtime::new().context("the async runtime could not be started")?;
    #[cfg(feature = "windows")]
    let watched = if options.headless {
        runtime.block_on(headless(options, &address, runtime.handle())).map(Some)
    } else {
        screen::watch(options, &address, &runtime)
    };
    #[cfg(not(feature = "windows"))]
    let watched = runtime.block_on(headless(options, &address, runtime.handle())).map(Some);
    let Some((session, played)) = watched? else { return Ok(()) };
    let player = Arc::into_inner(session.player).context("the player is held still")?;
    let last = runtime.block_on(player.close());
    tell(options, &address, last.report, played)
}

/// What was seen, and what it cost.
///
/// # Errors
/// Where it did not end in order.
fn tell(
    options: &Options,
    address: &StreamAddress,
    seen_by: PlayerReport,
    (ended, payment): Played,
) -> anyhow::Result<()> {
    let payment = payment?;
    let (ending, seen) = ended.with_context(|| match &payment {
        Some(payment) => format!("watching failed ({})", payment.words),
        None => "watching failed".to_owned(),
    })?;
    let report = WatchReport::new(&address.playback_id, (&ending, seen), seen_by, payment);
    say(&if options.json { report.json()? } else { report.text() });
    if let Some(why) = report.payment.and_then(|payment| payment.not_transferred) {
        bail!("what was watched could not be paid: {why}");
    }
    match ending {
        Ending::Left(why) if !why.is_in_order() => bail!("watching ended: {why}"),
        _ => Ok(()),
    }
}

async fn headless<'a>(
    options: &Options,
    address: &'a StreamAddress,
    runtime: &Handle,
) -> anyhow::Result<(Session<'a>, Played)> {
    let mut stop = StopSignals::new()?;
    let (client, stream) = find(address).await?;
    let payer = tokio::select! {
        payer = options.payer(address, &client, &stream) => payer?,
        () = stop.wait() => bail!("it was told to stop before anything was watched"),
    };
    let (mut session, paying) = Session::start(options, address, (client, stream), payer, runtime)?;
    let played = session.play(stop.wait(), paying).await;
    Ok((session, played))
}

/// Before anybody is asked to sign.
fn must_be_live(stream: &StreamInfo) -> anyhow::Result<()> {
    if stream.status != StreamStatus::Live {
        bail!("the stream is not live: there is nothing to pay for now");
    }
    Ok(())
}

async fn find(address: &StreamAddress) -> anyhow::Result<(Client, StreamInfo)> {
    let client = Client::new(&address.node)?;
    let stream = client.stream(&address.playback_id).await?;
    Ok((client, stream))
}

/// A player that plays, and what it needs until it is over.
struct Session<'a> {
    address: &'a StreamAddress,
    limit: Option<Duration>,
    client: Client,
    /// A window shows it too.
    player: Arc<Player>,
    quality: Quality,
    /// Where a person listens.
    sound: Option<Sound>,
}

/// How playing ended, and what was paid by then.
type Played = (anyhow::Result<(Ending, Duration)>, anyhow::Result<Option<PaymentReport>>);

impl<'a> Session<'a> {
    fn start(
        options: &Options,
        address: &'a StreamAddress,
        (client, stream): (Client, StreamInfo),
        payer: Option<Payer>,
        runtime: &Handle,
    ) -> anyhow::Result<(Self, Option<Paying>)> {
        let sound = match options.headless {
            true => None,
            false => Some(Sound::start(None).context("the sound's thread could not be started")?),
        };
        let config =
            PlayerConfig { network: address.network(), sound: sound.clone(), ..PlayerConfig::default() };
        let quality = payer.as_ref().map_or_else(Quality::default, |payer| Quality::up_to(payer.lines()));
        quality.offer(&stream.renditions);
        if options.quality.is_some() {
            quality.choose(options.quality);
        }
        let signalling = match &payer {
            Some(payer) => HttpSignalling::admitted(Arc::clone(&payer.admissions)),
            None => HttpSignalling::new(&stream.whep_url, None)?,
        };
        let signalling = Arc::new(signalling.with_quality(quality.clone()));
        let paying = payer.map(|payer| payer.start(runtime));
        let player = match &paying {
            Some(paying) => Player::start_paying(config, signalling, runtime, paying.handle()),
            None => Player::start(config, signalling, runtime),
        };
        let player = Arc::new(player.context("the player")?);
        Ok((Self { address, limit: options.seconds, client, player, quality, sound }, paying))
    }

    /// Until there is a reason to end; then the paying ends, before the playing does.
    async fn play(&mut self, stop: impl Future<Output = ()>, paying: Option<Paying>) -> Played {
        let Self { address, limit, client, player, quality, .. } = self;
        let playing = Playing { player, quality, client, playback_id: &address.playback_id, limit: *limit };
        let spent = paying.as_ref().map(|paying| (paying.handle(), paying.spending()));
        let ended = playing.until_over(stop, spent).await;
        let payment = match paying {
            Some(paying) => paying.end().await.map(Some),
            None => Ok(None),
        };
        (ended, payment)
    }
}

impl Options {
    /// Whether there is something to pay.
    fn is_paid(&self, stream: &StreamInfo) -> anyhow::Result<bool> {
        if stream.is_paid && self.free {
            bail!("the stream is not free: it is paid by the second");
        }
        Ok(stream.is_paid)
    }

    /// Whoever pays, where there is something to pay.
    async fn payer(
        &self,
        address: &StreamAddress,
        client: &Client,
        stream: &StreamInfo,
    ) -> anyhow::Result<Option<Payer>> {
        if !self.is_paid(stream)? {
            return Ok(None);
        }
        if self.paying.wallet.is_none() || self.paying.cap.is_none() {
            bail!("the stream is paid by the second: name the account that pays with --wallet, and a --cap");
        }
        must_be_live(stream)?;
        self.paying.prepare(address, client, stream).await.map(Some)
    }
}
