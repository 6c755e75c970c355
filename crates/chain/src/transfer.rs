//! The rail of any Substrate chain: plain transfers. Nothing is locked and nothing is claimed. A voucher is a statement of
//! what is owed; the payer's own wallet pays it, transfer by transfer, and what it has not paid yet is what the payee can
//! lose. So there are no channels here: who watches adds up [`crate::News::transfers`] from the payer to the payee.

use std::sync::Arc;

use pay::{AccountId, Amount, ChannelId, RailInfo, RailKind};
use tokio::sync::mpsc;

use crate::rail::{Answer, BlockRef, Call, ChannelState, Included, Rail, RailError, TxSigner, Update};
use crate::shared::{Settings, Shared};
use crate::submission;

/// What watches and submits goes on with the chain until the rail and all that it has handed out are dropped.
pub struct TransferRail {
    shared: Arc<Shared>,
}

impl TransferRail {
    /// Needs one endpoint that answers and is of the chain that is meant.
    pub async fn connect(settings: Settings) -> Result<Self, RailError> {
        Ok(Self { shared: Shared::connect(settings, RailKind::Transfer).await? })
    }
}

const NO_CHANNELS: RailError = RailError::Unsupported("a chain without the escrow has no channels");

fn check(call: &Call) -> Result<(), RailError> {
    match call {
        Call::Transfer { .. } => Ok(()),
        Call::PublishStream { .. } => {
            Err(RailError::Unsupported("a chain without the escrow records no streams"))
        }
        Call::Open { .. }
        | Call::TopUp { .. }
        | Call::Settle(_)
        | Call::CooperativeClose { .. }
        | Call::StartClose(_)
        | Call::Close(_) => Err(NO_CHANNELS),
    }
}

impl Rail for TransferRail {
    fn info(&self) -> &RailInfo {
        &self.shared.info
    }

    fn channel(&self, _id: ChannelId) -> Answer<'_, Option<ChannelState>> {
        Box::pin(async { Err(NO_CHANNELS) })
    }

    fn balance(&self, account: AccountId) -> Answer<'_, Amount> {
        Box::pin(self.shared.balance(account))
    }

    fn fee(&self, call: Call, signer: AccountId) -> Answer<'_, Amount> {
        Box::pin(async move {
            check(&call)?;
            self.shared.fee(&call, signer).await
        })
    }

    fn submit(&self, call: Call, signer: TxSigner) -> Answer<'_, Included> {
        Box::pin(async move {
            check(&call)?;
            submission::submit(self.shared.clone(), call, signer).await
        })
    }

    fn watch(&self, since: Option<BlockRef>) -> mpsc::Receiver<Update> {
        self.shared.watch(since)
    }
}
