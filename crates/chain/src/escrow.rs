//! The rail of a chain that has the escrow pallet: deposits are locked there, and vouchers are claims on them.

use std::sync::Arc;

use pay::channel::Funds;
use pay::{AccountId, Amount, ChannelId, Phase, RailInfo, RailKind, Signature, UnixMillis};
use subxt::ext::scale_decode::DecodeAsType;
use tokio::sync::mpsc;

use crate::events::Terms;
use crate::link::{Fault, Link};
use crate::rail::{Answer, BlockRef, Call, ChannelState, Included, Rail, RailError, TxSigner, Update};
use crate::shared::{Settings, Shared, entry};
use crate::submission;
use crate::unsigned::{self, Unsigned};

/// What watches and submits goes on with the chain until the rail and all that it has handed out are dropped.
pub struct EscrowRail {
    shared: Arc<Shared>,
}

impl EscrowRail {
    /// Needs one endpoint that answers, is of the chain that is meant, and has the pallet.
    pub async fn connect(settings: Settings) -> Result<Self, RailError> {
        Ok(Self { shared: Shared::connect(settings, RailKind::Escrow).await? })
    }

    /// A call whose signatures are of another chain's would cost a fee for nothing.
    fn check(&self, call: &Call) -> Result<(), RailError> {
        let expected = self.shared.info.genesis;
        let found = match call {
            Call::Open { terms, .. } => Some(terms.genesis),
            Call::Settle(vouchers) => {
                vouchers.iter().map(|voucher| voucher.body.genesis).find(|genesis| *genesis != expected)
            }
            Call::CooperativeClose { session, node } if session.body != node.body => {
                return Err(RailError::Refused("the two sides have signed different closes".into()));
            }
            Call::CooperativeClose { session, .. } => Some(session.body.genesis),
            Call::TopUp { .. }
            | Call::StartClose(_)
            | Call::Close(_)
            | Call::Transfer { .. }
            | Call::PublishStream { .. } => None,
        };
        match found {
            Some(found) if found != expected => Err(RailError::WrongChain { expected, found }),
            _ => Ok(()),
        }
    }
}

impl Rail for EscrowRail {
    fn info(&self) -> &RailInfo {
        &self.shared.info
    }

    fn channel(&self, id: ChannelId) -> Answer<'_, Option<ChannelState>> {
        Box::pin(async move {
            let genesis = self.shared.info.genesis;
            self.shared
                .ask(|link| async move {
                    let finalized = kept(&link, link.finalized().await?, id).await?;
                    let head = kept(&link, link.best().await?, id).await?;
                    let phase = |kept: &Option<Kept>| kept.as_ref().map_or(Phase::Absent, Kept::phase);
                    let (finalized_phase, head_phase) = (phase(&finalized), phase(&head));
                    Ok(head.or(finalized).map(|kept| ChannelState {
                        terms: kept.terms.on(genesis),
                        finalized: finalized_phase,
                        head: head_phase,
                    }))
                })
                .await
        })
    }

    fn balance(&self, account: AccountId) -> Answer<'_, Amount> {
        Box::pin(self.shared.balance(account))
    }

    fn fee_balance(&self, account: AccountId) -> Answer<'_, Amount> {
        Box::pin(self.shared.fee_balance(account))
    }

    fn fee(&self, call: Call, signer: AccountId) -> Answer<'_, Amount> {
        Box::pin(async move {
            self.check(&call)?;
            self.shared.fee(&call, signer).await
        })
    }

    fn submit(&self, call: Call, signer: TxSigner) -> Answer<'_, Included> {
        Box::pin(async move {
            self.check(&call)?;
            is_payer(&call, signer.public().account())?;
            submission::submit(self.shared.clone(), call, signer).await
        })
    }

    fn prepare(&self, call: Call, account: AccountId) -> Answer<'_, Unsigned> {
        Box::pin(async move {
            self.check(&call)?;
            is_payer(&call, account)?;
            unsigned::make(&self.shared, &call, account).await
        })
    }

    fn send(&self, unsigned: Unsigned, signature: Signature) -> Answer<'_, Included> {
        Box::pin(unsigned::send(self.shared.clone(), unsigned, signature))
    }

    fn watch(&self, since: Option<BlockRef>) -> mpsc::Receiver<Update> {
        self.shared.watch(since)
    }
}

fn is_payer(call: &Call, account: AccountId) -> Result<(), RailError> {
    match call {
        Call::Open { terms, .. } if terms.payer != account => {
            Err(RailError::Refused("only its payer opens a channel".into()))
        }
        _ => Ok(()),
    }
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Kept {
    terms: Terms,
    deposit: u128,
    settled: u128,
    expires_at: u64,
    state: State,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
enum State {
    Open,
    Closing { closes_at: u64 },
    Closed,
}

impl Kept {
    fn phase(&self) -> Phase {
        let settled = Amount::new(self.settled);
        let deposit = Amount::new(self.deposit);
        let funds = Funds { deposit, settled, expires_at: UnixMillis(self.expires_at) };
        match self.state {
            State::Open => Phase::Open(funds),
            State::Closing { closes_at } => Phase::Closing { funds, closes_at: UnixMillis(closes_at) },
            State::Closed => Phase::Closed { paid: settled },
        }
    }
}

async fn kept(link: &Link, at: BlockRef, id: ChannelId) -> Result<Option<Kept>, Fault> {
    let client = link.at(at).await?;
    link.ask(entry(&client, "Escrow", "Channels", (id.0,))).await
}
