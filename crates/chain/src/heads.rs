//! Where the chain is: its best and its last final block, followed at one node after another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::endpoints::Endpoints;
use crate::link::{Fault, Link};
use crate::rail::BlockRef;

#[derive(Clone)]
pub(crate) enum View {
    /// Nothing is known yet.
    Connecting,
    Heads(Heads),
    Lost {
        reason: String,
    },
}

#[derive(Clone)]
pub(crate) struct Heads {
    pub link: Arc<Link>,
    pub best: BlockRef,
    pub finalized: BlockRef,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Goes on for ever: from node to node, with pauses while there is none.
pub(crate) async fn follow(endpoints: Arc<Endpoints>, view: watch::Sender<View>, stall_after: Duration) {
    let mut pause = FIRST_PAUSE;
    loop {
        let reason = match endpoints.link().await {
            Ok(link) => {
                let fault = follow_one(&link, &endpoints, &view, stall_after, &mut pause).await;
                tracing::warn!(%fault, "a node of the chain is given up");
                link.fail();
                fault.to_string()
            }
            Err(error) => error.to_string(),
        };
        // A node that answers at once is no loss that anybody has to hear of.
        if pause > FIRST_PAUSE {
            view.send_replace(View::Lost { reason });
            sleep(pause).await;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Until it fails, or falls behind another one.
async fn follow_one(
    link: &Arc<Link>,
    endpoints: &Endpoints,
    view: &watch::Sender<View>,
    stall_after: Duration,
    pause: &mut Duration,
) -> Fault {
    let (mut new, mut fin) = match subscribe(link).await {
        Ok(both) => both,
        Err(fault) => return fault,
    };
    let mut last: Option<(BlockRef, BlockRef)> = None;
    let mut stalls_at = Instant::now() + stall_after;
    loop {
        let heads = async { Ok::<_, Fault>((link.best().await?, link.finalized().await?)) };
        let (best, finalized) = match heads.await {
            Ok(heads) => heads,
            Err(fault) => return fault,
        };
        // A block may become final between the two answers.
        if last != Some((best, finalized)) && finalized.number <= best.number {
            last = Some((best, finalized));
            stalls_at = Instant::now() + stall_after;
            *pause = FIRST_PAUSE;
            view.send_replace(View::Heads(Heads { link: link.clone(), best, finalized }));
        }
        tokio::select! {
            head = new.next() => if let Some(fault) = end(head) { return fault },
            head = fin.next() => if let Some(fault) = end(head) { return fault },
            () = link.failure() => return Fault::other("it gave no answer"),
            () = sleep_until(stalls_at) => {
                if endpoints.is_another_ahead(link, best.number).await {
                    return Fault::other("it has fallen behind");
                }
                stalls_at = Instant::now() + stall_after;
            }
        }
    }
}

type Headers = subxt::rpcs::client::RpcSubscription<<subxt::SubstrateConfig as subxt::Config>::Header>;

async fn subscribe(link: &Link) -> Result<(Headers, Headers), Fault> {
    let new = link.ask(link.rpc.chain_subscribe_new_heads()).await?;
    let fin = link.ask(link.rpc.chain_subscribe_finalized_heads()).await?;
    Ok((new, fin))
}

fn end<T>(head: Option<Result<T, subxt::rpcs::Error>>) -> Option<Fault> {
    match head {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(error.into()),
        None => Some(Fault::other("the connection was lost")),
    }
}
