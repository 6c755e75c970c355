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

use ::watch::{HttpSignalling, Player, PlayerConfig, Quality, Sound};
use anyhow::{Context, bail};
use api::{Client, StreamInfo, StreamStatus};

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
    let mut session = runtime.block_on(Session::open(options, &address, runtime.handle()))?;
    let paying = session.paying.take();
    #[cfg(feature = "windows")]
    let (ended, payment) = if options.headless {
        runtime.block_on(session.play(paying))
    } else {
        screen::play(&mut session, paying, &options.look, &runtime)?
    };
    #[cfg(not(feature = "windows"))]
    let (ended, payment) = runtime.block_on(session.play(paying));
    let last = runtime.block_on(session.player.close());
    let payment = payment?;
    let (ending, seen) = ended.with_context(|| match &payment {
        Some(payment) => format!("watching failed ({})", payment.words),
        None => "watching failed".to_owned(),
    })?;
    let report = WatchReport::new(&address.playback_id, (&ending, seen), last.report, payment);
    say(&if options.json { report.json()? } else { report.text() });
    if let Some(why) = report.payment.and_then(|payment| payment.not_transferred) {
        bail!("what was watched could not be paid: {why}");
    }
    match ending {
        Ending::Left(why) if !why.is_in_order() => bail!("watching ended: {why}"),
        _ => Ok(()),
    }
}

/// A player that plays, and what it needs until it is over.
struct Session<'a> {
    address: &'a StreamAddress,
    limit: Option<Duration>,
    client: Client,
    title: String,
    player: Player,
    quality: Quality,
    paying: Option<Paying>,
    /// Where a person listens.
    sound: Option<Sound>,
    stop: StopSignals,
}

/// How playing ended, and what was paid by then.
type Played = (anyhow::Result<(Ending, Duration)>, anyhow::Result<Option<PaymentReport>>);

impl<'a> Session<'a> {
    async fn open(options: &Options, address: &'a StreamAddress, runtime: &Handle) -> anyhow::Result<Self> {
        let mut stop = StopSignals::new()?;
        let client = Client::new(&address.node)?;
        let stream = client.stream(&address.playback_id).await?;
        let payer = tokio::select! {
            payer = options.payer(address, &client, &stream) => payer?,
            () = stop.wait() => bail!("it was told to stop before anything was watched"),
        };
        let sound = match options.headless {
            true => None,
            false => Some(Sound::start(None).context("the sound's thread could not be started")?),
        };
        let config =
            PlayerConfig { network: address.network(), sound: sound.clone(), ..PlayerConfig::default() };
        let quality = payer.as_ref().map_or_else(Quality::default, |payer| Quality::up_to(payer.lines()));
        quality.offer(&stream.renditions);
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
        let player = player.context("the player")?;
        let (title, limit) = (stream.title, options.seconds);
        Ok(Self { address, limit, client, title, player, quality, paying, sound, stop })
    }

    /// Until there is a reason to end; then the paying ends, before the playing does.
    async fn play(&mut self, paying: Option<Paying>) -> Played {
        let Self { address, limit, client, player, quality, stop, .. } = self;
        let playing = Playing { player, quality, client, playback_id: &address.playback_id, limit: *limit };
        play(&playing, stop.wait(), paying).await
    }
}

async fn play(playing: &Playing<'_>, stop: impl Future<Output = ()>, paying: Option<Paying>) -> Played {
    let spent = paying.as_ref().map(|paying| (paying.handle(), paying.spending()));
    let ended = playing.until_over(stop, spent).await;
    let payment = match paying {
        Some(paying) => paying.end().await.map(Some),
        None => Ok(None),
    };
    (ended, payment)
}

impl Options {
    /// Whoever pays, where there is something to pay.
    async fn payer(
        &self,
        address: &StreamAddress,
        client: &Client,
        stream: &StreamInfo,
    ) -> anyhow::Result<Option<Payer>> {
        match (stream.offers.is_empty(), &self.paying.wallet) {
            (true, _) => Ok(None),
            // Before anybody is asked to sign.
            (false, Some(_)) if stream.status != StreamStatus::Live => {
                bail!("the stream is not live: there is nothing to pay for now")
            }
            (false, Some(_)) => self.paying.prepare(address, client, stream).await.map(Some),
            (false, None) if self.free => bail!("the stream is not free: it is paid by the second"),
            (false, None) => {
                bail!(
                    "the stream is paid by the second: name the account that pays with --wallet, and a --cap"
                )
            }
        }
    }
}
