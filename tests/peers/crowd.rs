//! Fifty viewers who pay, on a bad network: they come and go, die without a word, and lose their lines; the publisher
//! freezes, and the node is killed. Whatever happens, each second that played is paid, and no other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::{Dice, soak};
use tokio::task::JoinSet;
use tokio::time::sleep;
use watch::{PayHandle, PayStatus};

use crate::broadcasts::LIMIT;
use crate::lossy_line::{Carried, Line};
use crate::market::{GRACE_TICKS, PRICE, Place, Rules, poll};
use crate::payer::{Disk, Payer};
use crate::show::Show;

const VIEWERS: u8 = 50;
const LOSS_PERCENT: u64 = 5;
/// How long they come and go, usually and in a long run.
const SECONDS: u64 = 35;
const SECONDS_IN_SOAK: u64 = 120;
/// Kills of a node under fifty. With more, most viewers would have named as many seconds as they paid, which is more than
/// a node forgives: there would be no load.
const KILLS: usize = 3;
const CROWDS_IN_SOAK: u64 = 7;
/// Small crowds, each at a node of its own, live and lose their nodes at once; the last of them pays by transfers. Twenty
/// kills, or two hundred.
const SMALL_CROWDS: [Option<u64>; 4] = [None, None, None, Some(WINDOW_S)];
const A_FEW: u8 = 5;
const KILLS_UNDER_A_FEW: usize = 5;
const TURNS_IN_SOAK: u64 = 10;
/// Seconds that each of a crowd pays for before a kill, so that most are watching.
const LOAD_OF_EACH: u64 = 3;
/// Where nothing is locked each of them may owe so many seconds. A third is worth a transfer: what plays until that is
/// final has room, too.
const WINDOW_S: u64 = 15;
/// The same where blocks are 6 s apart and final after 18 s.
const WINDOW_S_ON_A_SLOW_CHAIN: u64 = 90;
/// Viewers who pay by transfers, usually and in a long run.
const ON_CREDIT: u8 = 15;
const ON_CREDIT_IN_SOAK: u8 = VIEWERS;
const SECONDS_ON_CREDIT: u64 = 16;
/// Not a wait for something: for so long something is as it is.
const FREEZE: Duration = Duration::from_secs(3);

/// A crowd, what it watches, and whether it is to go home.
struct Crowd {
    show: Show,
    disks: Vec<(pay::ChannelId, Disk)>,
    newest: Vec<Newest>,
    viewers: JoinSet<(Payer, Carried)>,
    is_over: Arc<AtomicBool>,
    window_s: Option<u64>,
}

/// A viewer's newest session, while it lives.
type Newest = Arc<Mutex<Option<PayHandle>>>;

/// Whether it has named as many seconds unplayed as a node forgives: from then on it pays each second in advance, and
/// where one more is lost, no longer.
fn is_barred(status: &PayStatus) -> bool {
    let paid = status.totals.signed;
    status.totals.unplayed >= paid.min(30 + paid / 10)
}

/// Some of the time that a life takes. Nothing is waited for.
async fn pass(dice: &mut Dice, from_ms: u64, to_ms: u64) {
    sleep(Duration::from_millis(dice.between(from_ms, to_ms))).await;
}

/// One viewer's evening: it joins and leaves, and every third time dies instead; every third time its line is cut, too.
async fn live(
    mut payer: Payer,
    place: Place,
    is_over: Arc<AtomicBool>,
    newest: Newest,
    seed: u64,
) -> (Payer, Carried) {
    let (mut dice, mut carried) = (Dice::new(seed), Carried::default());
    pass(&mut dice, 0, 6_000).await;
    while !is_over.load(Ordering::Relaxed) {
        let line = Line::new(place.media, LOSS_PERCENT, dice.roll());
        let Ok(watching) = payer.watch(&place, Arc::clone(&line)).await else {
            // The node is away.
            pass(&mut dice, 200, 500).await;
            continue;
        };
        *newest.lock().expect("nobody panicked") = Some(watching.pay.clone());
        let is_late = || is_over.load(Ordering::Relaxed);
        watching.until(Duration::from_millis(dice.between(3_000, 12_000)), |_| is_late()).await;
        if dice.happens(33) {
            line.cut();
            pass(&mut dice, 1_000, 7_000).await;
            line.mend();
            watching.until(Duration::from_millis(dice.between(1_000, 5_000)), |_| is_late()).await;
        }
        if dice.happens(33) {
            payer.die(watching).await;
        } else {
            payer.leave(watching).await;
        }
        let Carried { passed, lost } = line.carried();
        carried = Carried { passed: carried.passed + passed, lost: carried.lost + lost };
        pass(&mut dice, 200, 2_500).await;
    }
    (payer, carried)
}

impl Crowd {
    async fn gather(people: u8, window_s: Option<u64>, seed: u64) -> Self {
        let show = Show::open(Rules { people, window_s, ..Rules::default() }).await;
        let payers = Payer::open_all(&show.market, people).await;
        let disks = payers.iter().map(|payer| (payer.channel(), payer.disk.clone())).collect();
        let (is_over, mut dice) = (Arc::new(AtomicBool::new(false)), Dice::new(seed));
        let (mut viewers, mut newest) = (JoinSet::new(), Vec::new());
        for payer in payers {
            let own = Newest::default();
            newest.push(Arc::clone(&own));
            viewers.spawn(live(payer, show.place.clone(), Arc::clone(&is_over), own, dice.roll()));
        }
        Self { show, disks, newest, viewers, is_over, window_s }
    }

    /// What must be true at every moment: `settled ≤ accepted ≤ signed`, and the audit finds nothing. Nobody can change
    /// what the books say meanwhile, and what is signed only rises.
    async fn assert_books(&self) {
        let audit = self.show.market.audit().await;
        assert!(audit.is_clean(), "{:?}", audit.findings);
        if let Some(window_s) = self.window_s {
            let most = u128::from(window_s) * PRICE * self.disks.len() as u128;
            let owed = audit.accepted.units().saturating_sub(audit.settled.units());
            assert!(owed <= most && audit.accepted.units() <= self.signed(), "{owed} of {most} owed");
            return;
        }
        for (channel, disk) in &self.disks {
            let settled = self.show.market.channel(*channel).await.head.settled().units();
            let own = disk.signed();
            assert!(settled <= own, "{settled} settled of {own} signed");
        }
        let signed = self.signed();
        let (settled, accepted) = (audit.settled.units(), audit.accepted.units());
        assert!(settled <= accepted && accepted <= signed, "{settled} ≤ {accepted} ≤ {signed}");
    }

    fn signed(&self) -> u128 {
        self.disks.iter().map(|(_, disk)| disk.signed()).sum()
    }

    /// Waits until the crowd has paid for some seconds more: there is a load. `false` where there will be none any more,
    /// since so many deaths of its node and its own have cost it all that is forgiven.
    async fn is_loaded(&self) -> bool {
        let seconds = LOAD_OF_EACH * self.disks.len() as u64;
        let begun = self.signed();
        let enough = begun + u128::from(seconds) * PRICE;
        let loaded = poll(async || (self.signed() >= enough).then_some(()));
        if tokio::time::timeout(LIMIT, loaded).await.is_ok() {
            return true;
        }
        let newest = self.newest.iter().map(|own| own.lock().expect("nobody panicked").clone());
        let sessions: Vec<_> = newest.flatten().map(|pay| pay.status()).collect();
        let barred = sessions.iter().filter(|status| is_barred(status)).count();
        if barred + 1 >= self.newest.len() {
            return false;
        }
        let paid = (self.signed() - begun) / PRICE;
        let (node, engine) = (self.show.market.node.log(), self.show.engine.log());
        panic!(
            "{paid} of {seconds} s were paid, {barred} are barred\n{sessions:#?}\nthe node: {node}\nthe engine: {engine}"
        );
    }

    async fn kill_and_restart(&mut self) {
        self.show.market.kill_node();
        self.assert_books().await;
        self.show.market.start_node();
    }

    /// Lets them live so long, half of it before the publisher freezes and half of it after.
    async fn evening(&self, seconds: u64) {
        let half = Duration::from_secs(seconds / 2);
        sleep(half).await;
        self.show.engine.freeze().expect("the publisher can be stopped");
        sleep(FREEZE).await;
        self.show.engine.thaw().expect("and goes on");
        sleep(half).await;
        self.assert_books().await;
    }

    /// All go home, and come back once more to pay what they still owe: then everything must be even.
    async fn go_home(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut home = JoinSet::new();
        let mut carried = Carried::default();
        while let Some(viewer) = self.viewers.join_next().await {
            let (mut payer, own) = viewer.expect("a viewer");
            carried = Carried { passed: carried.passed + own.passed, lost: carried.lost + own.lost };
            let place = self.show.place.clone();
            home.spawn(async move {
                payer.make_good(&place).await;
                payer.settle_up().await;
                payer
            });
        }
        let payers = home.join_all().await;
        let sum = |of: fn(&Payer) -> u64| payers.iter().map(of).sum::<u64>();
        let signed = sum(|payer| payer.status.as_ref().map_or(0, |status| status.totals.signed));
        println!(
            "{signed} s paid by {} viewers in {} sessions, {} deaths, {} pictures shown, {} s forgotten; {carried:?}",
            payers.len(),
            sum(|payer| payer.seen.sessions),
            sum(|payer| payer.seen.deaths),
            sum(|payer| payer.seen.pictures),
            sum(|payer| payer.seen.forgotten),
        );
        for Payer { seen, .. } in &payers {
            println!("{seen:?}");
            assert_eq!(seen.faults, [], "{seen:?}");
            assert!(
                seen.forgotten <= u64::from(GRACE_TICKS),
                "the creator lost more than the grace: {seen:?}"
            );
        }
        // The network was as bad as it was to be, and there was something to pay for all the same.
        assert!(carried.lost * 100 >= (carried.passed + carried.lost) * (LOSS_PERCENT - 1), "{carried:?}");
        assert!(signed >= 3 * payers.len() as u64, "{signed} s are no load");
        self.show.close(&payers).await;
    }
}

/// A crowd of so many lives for so long and goes home; in a long run a second one does, on a chain that is as slow as
/// public ones are. What each of them may owe, on either chain, is in `windows_s`.
fn evenings(people: u8, seconds: u64, windows_s: [Option<u64>; 2], seed: u64) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for (is_slow, window_s) in [false, true].into_iter().zip(windows_s).take(soak(1, 2)) {
            let mut crowd = Crowd::gather(people, window_s, seed).await;
            if is_slow {
                crowd.show.market.slow_down().await;
            }
            crowd.evening(seconds).await;
            crowd.go_home().await;
        }
    });
}

#[test]
fn fifty_viewers_on_a_bad_network_pay_for_each_second_that_played_and_for_no_other() {
    evenings(VIEWERS, soak(SECONDS, SECONDS_IN_SOAK), [None; 2], 1);
}

#[test]
fn a_crowd_that_pays_by_transfers_pays_for_each_second_that_played_and_owes_no_more_than_its_windows() {
    let windows_s = [WINDOW_S, WINDOW_S_ON_A_SLOW_CHAIN].map(Some);
    let (people, seconds) = (soak(ON_CREDIT, ON_CREDIT_IN_SOAK), soak(SECONDS_ON_CREDIT, SECONDS_IN_SOAK));
    evenings(people, seconds, windows_s, 2);
}

/// A crowd whose node is killed so often while it is watched. A crowd that nothing is forgiven any more goes home early,
/// and another one comes in its place.
fn kills(people: u8, kills: usize, window_s: Option<u64>, seed: u64) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (mut dice, mut left) = (Dice::new(seed), kills);
        for crowd in 0.. {
            let mut crowd = Crowd::gather(people, window_s, 100 + seed + 10_000 * crowd).await;
            let before = left;
            while left > 0 && crowd.is_loaded().await {
                pass(&mut dice, 0, 3_000).await;
                crowd.kill_and_restart().await;
                left -= 1;
            }
            assert!(left < before, "a crowd that has just come is forgiven something");
            // They come back after the last kill, too, where that is forgiven still.
            let _ = left == 0 && crowd.is_loaded().await;
            crowd.go_home().await;
            if left == 0 {
                return;
            }
        }
    });
}

#[test]
fn a_node_that_is_killed_under_fifty_viewers_takes_no_second_twice_and_forgets_none_that_was_paid() {
    for seed in 0..soak(1, CROWDS_IN_SOAK) {
        kills(VIEWERS, KILLS, None, seed);
    }
}

#[test]
fn nodes_that_are_killed_over_and_over_take_no_second_twice_and_forget_none_that_was_paid() {
    for turn in 0..soak(1, TURNS_IN_SOAK) {
        std::thread::scope(|scope| {
            for (window_s, number) in SMALL_CROWDS.into_iter().zip(0..) {
                scope.spawn(move || kills(A_FEW, KILLS_UNDER_A_FEW, window_s, 100 * turn + number));
            }
        });
    }
}
