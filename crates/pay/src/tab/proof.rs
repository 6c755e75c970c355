//! What both sides sign together: receipts, and the end of a channel.

use super::{State, Tab, TabError, Total};
use crate::close::CloseTerms;
use crate::id::ReceiptHash;
use crate::key::Signer;
use crate::receipt::Receipt;
use crate::signed::Signed;

impl Tab {
    /// The node's proof; it is kept in place of the one before, which it chains to.
    pub fn receipt(&mut self, receipt: &Signed<Receipt>) -> Result<(), TabError> {
        let body = &receipt.body;
        self.must_be_ours(body.channel)?;
        if self.receipt.is_some_and(|known| known.body == *body) {
            return Ok(());
        }
        let (number, previous) =
            self.receipt.map_or((0, ReceiptHash([0; 32])), |last| (last.body.number, last.body.hash()));
        let follows = body.number == number + 1 && body.previous == previous;
        // Of what this machine has forgotten, the first one seen is the beginning; a gap is a receipt that got lost,
        // which the node shows again at the next start.
        let is_beginning = self.receipt.is_none() || body.number > number + 1;
        if body.genesis != self.terms.genesis || !(follows || is_beginning) {
            return Err(TabError::BadReceipt);
        }
        receipt.verify(&self.terms.node).map_err(|_| TabError::BadReceipt)?;
        let confirmed = |total: &Total| (total.tick, total.cumulative) == (body.tick, body.cumulative);
        let at = self.recent.iter().position(confirmed);
        let at = at.ok_or(TabError::ReceiptMismatch)?;
        self.receipt = Some(*receipt);
        self.stored_up_to(body.tick);
        // The newest stays, for comparing with what the node shows.
        self.recent.drain(..at);
        Ok(())
    }

    /// Our half of a cooperative close. Nothing is signed after it.
    pub fn close(&mut self, signer: &dyn Signer) -> Result<Signed<CloseTerms>, TabError> {
        if signer.public() != self.terms.session {
            return Err(TabError::WrongSigner);
        }
        if self.owed > 0 || self.unacknowledged().is_some() {
            return Err(TabError::Unacknowledged);
        }
        let (genesis, channel, cumulative) = (self.terms.genesis, self.channel, self.spent());
        let signed = Signed::sign(CloseTerms { genesis, channel, cumulative }, signer)
            .map_err(|_| TabError::SignRefused)?;
        self.state = State::Closed;
        Ok(signed)
    }

    /// The node's half: with it the channel can be closed at once.
    pub fn closed(&self, theirs: &Signed<CloseTerms>) -> Result<(), TabError> {
        self.must_be_ours(theirs.body.channel)?;
        if theirs.body.genesis != self.terms.genesis || theirs.body.cumulative != self.spent() {
            return Err(TabError::CloseMismatch);
        }
        theirs.verify(&self.terms.node).map_err(|_| TabError::CloseMismatch)
    }
}
