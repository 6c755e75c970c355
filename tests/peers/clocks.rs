//! Machines whose clocks are set by an hour, forwards and backwards, while somebody watches and pays: whoever is cut off
//! comes back, and the books are even to the second.

use std::path::PathBuf;

use pay::Phase;
use tokio::runtime::Runtime;
use watch::Leaving;

use crate::broadcasts::{LIMIT, TICKCAST};
use crate::home::Home;
use crate::market::{PRICE, Rules, until};
use crate::payer::Payer;
use crate::show::Show;

const HOUR_S: i64 = 3_600;
/// That play after each change.
const SECONDS: u64 = 3;
const CAP: u128 = 1_000 * PRICE;

/// The clock of one program, which can be set while it runs. Time that only passes is not touched.
struct Clock {
    folder: tempfile::TempDir,
}

impl Clock {
    fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a folder") };
        clock.set(0);
        clock
    }

    fn offset(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    /// So many seconds from the machine's.
    fn set(&self, seconds: i64) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, format!("{seconds:+}\n")).expect("the offset is written");
        std::fs::rename(new, self.offset()).expect("the offset takes its place");
    }

    /// The executable, by this clock.
    fn program(&self) -> String {
        let path = self.folder.path().join("program");
        let text = format!(
            "#!/bin/sh\nexport LD_PRELOAD='/usr/$LIB/faketime/libfaketimeMT.so.1' FAKETIME_NO_CACHE=1\n\
             export FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 FAKETIME_TIMESTAMP_FILE={:?}\n\
             exec {TICKCAST:?} \"$@\"\n",
            self.offset()
        );
        std::fs::write(&path, text).expect("the program is written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&path, mode).expect("it may be run");
        path.to_string_lossy().into_owned()
    }
}

#[test]
fn a_node_whose_clock_is_set_forwards_and_back_costs_nobody_a_second() {
    Runtime::new().expect("a runtime").block_on(async {
        let clock = Clock::new();
        let show = Show::open(Rules { program: Some(clock.program()), ..Rules::default() }).await;
        let mut payer = Payer::with_channel(&show.market, 1).await;
        let mut watching = payer.watch_well(&show.place).await;
        watching.until_played(SECONDS).await;
        for seconds in [HOUR_S, 0, -HOUR_S, 0] {
            clock.set(seconds);
            let enough = watching.pay.status().totals.played + SECONDS;
            if watching.until(LIMIT, |status| status.totals.played >= enough).await {
                continue;
            }
            // By that clock its offer has ended; there is another one, as soon as both clocks agree to it.
            println!("{seconds} s: {:?}", watching.pay.status().left_because);
            payer.leave(watching).await;
            if seconds != 0 {
                clock.set(0);
            }
            watching = until("it is let in again", async || payer.try_watch(&show.place).await).await;
        }
        payer.leave(watching).await;
        assert!(payer.seen.faults.iter().all(|fault| matches!(fault, Leaving::Ended(_))), "{:?}", payer.seen);
        show.close(&[payer]).await;
    });
}

#[test]
fn a_viewer_whose_clock_is_set_forwards_and_back_pays_for_each_second_once() {
    Runtime::new().expect("a runtime").block_on(async {
        let (clock, show) = (Clock::new(), Show::open(Rules::default()).await);
        let mut home = Home::new(&show.market, 1, CAP);
        home.program = clock.program();
        let wallet = home.open();
        let spent = || {
            let known = wallet.channels().expect("the wallet's channels");
            known.first().map_or(0, |known| wallet.spent(known.terms.id()).expect("the wallet knows").units())
        };
        for seconds in [0, HOUR_S, -HOUR_S, 0] {
            let mut viewer = home.watch(&show.place.playback_id, &[]);
            let enough = spent() + u128::from(SECONDS) * PRICE;
            until("it pays", async || {
                assert!(!viewer.has_ended(), "{}\n{}", viewer.output().join("\n"), viewer.errors());
                (spent() >= enough).then_some(())
            })
            .await;
            clock.set(seconds);
            let enough = spent() + u128::from(SECONDS) * PRICE;
            until("it goes on, or says why not", async || {
                (spent() >= enough || viewer.has_ended()).then_some(())
            })
            .await;
            println!("{seconds} s: {}", viewer.errors());
            clock.set(0);
            // One that has ended by itself has ended in order, too.
            let _ = tokio::task::block_in_place(|| viewer.terminate(LIMIT));
        }
        let mut viewer = home.watch(&show.place.playback_id, &["--seconds", "3", "--close"]);
        let status = tokio::task::block_in_place(|| viewer.wait(2 * LIMIT)).expect("it ends by itself");
        assert!(status.success(), "{}\n{}", viewer.output().join("\n"), viewer.errors());
        let [record] = &wallet.channels().expect("the wallet's channels")[..] else {
            panic!("one viewer has one channel: {:?}", wallet.channels())
        };
        let phase = show.market.channel(record.terms.id()).await.finalized;
        assert_eq!(phase, Phase::Closed { paid: pay::Amount::new(spent()) });
        show.end(u64::try_from(spent() / PRICE).expect("some seconds")).await;
    });
}
