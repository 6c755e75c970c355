//! `tickcast watch`: plays a stream without a window, and pays for it where it is paid.

mod address;
mod paying;
mod playing;
mod report;

use std::sync::Arc;
use std::time::Duration;

use ::watch::{HttpSignalling, Player, PlayerConfig};
use anyhow::{Context, bail};
use api::{Client, StreamInfo, StreamStatus};

use crate::say;
use crate::stop::StopSignals;
use address::StreamAddress;
use paying::Payer;
use playing::{Ending, Playing};
use report::WatchReport;

#[derive(clap::Args, Debug)]
pub struct Options {
    /// The address of a watch page: http://HOST:8080/watch/ID.
    url: String,
    /// Without a window: decodes, measures and pays.
    #[arg(long, required = true)]
    headless: bool,
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
    let limit = options.seconds;
    let address = StreamAddress::parse(&options.url).with_context(|| {
        format!("\"{}\" is no address of a stream; one is http://HOST:8080/watch/ID", options.url)
    })?;
    if options.paying.wallet.is_some() {
        ::wallet::harden_process()
            .context("the system does not let this process keep its memory to itself")?;
    }
    let runtime = tokio::runtime::Runtime::new().context("the async runtime could not be started")?;
    let (ending, report) = runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let client = Client::new(&address.node)?;
        let stream = client.stream(&address.playback_id).await?;
        let payer = tokio::select! {
            payer = options.payer(&address, &client, &stream) => payer?,
            () = stop.wait() => bail!("it was told to stop before anything was watched"),
        };
        let config = PlayerConfig { network: address.network(), ..PlayerConfig::default() };
        let signalling = Arc::new(match &payer {
            Some(payer) => HttpSignalling::admitted(Arc::clone(&payer.admissions)),
            None => HttpSignalling::new(&stream.whep_url, None)?,
        });
        let paying = payer.map(|payer| payer.start(runtime.handle()));
        let pay = paying.as_ref().map(paying::Paying::handle);
        let player = match &pay {
            Some(pay) => Player::start_paying(config, signalling, runtime.handle(), pay.clone()),
            None => Player::start(config, signalling, runtime.handle()),
        };
        let player = player.context("the player")?;
        let playing = Playing { player: &player, client: &client, playback_id: &address.playback_id, limit };
        let ended = playing.until_over(&mut stop, pay.as_ref()).await;
        // First the paying stops, then the playing.
        let payment = match paying {
            Some(paying) => Some(paying.end().await?),
            None => None,
        };
        let last = player.close().await;
        let (ending, seen) = ended.with_context(|| match &payment {
            Some(payment) => format!("watching failed ({})", payment.words),
            None => "watching failed".to_owned(),
        })?;
        let report = WatchReport::new(&address.playback_id, (&ending, seen), last.report, payment);
        anyhow::Ok((ending, report))
    })?;
    say(&if options.json { report.json()? } else { report.text() });
    if let Some(why) = report.payment.and_then(|payment| payment.not_transferred) {
        bail!("what was watched could not be paid: {why}");
    }
    match ending {
        Ending::Left(why) if !why.is_in_order() => bail!("watching ended: {why}"),
        _ => Ok(()),
    }
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
