//! Each channel's vouchers, receipts and ledger, held against each other: every signature is checked anew.

use std::collections::BTreeMap;

use pay::id::ReceiptHash;
use pay::key::{Claim, verify_batch};
use pay::{
    AccountId, Amount, Channel, ChannelId, Ledger, LedgerConfig, OfferHash, Phase, PublishedOffer, Receipt,
    Signable, Signed, Voucher, Wire,
};
use sqlx::{Row, SqliteConnection};

use super::{AuditReport, voucher_of};
use crate::billing::journal::bytes;
use crate::store::StoreError;

/// One channel with all that is kept of it.
pub struct Audited {
    pub state: Channel,
    /// The lowest tick first.
    vouchers: Vec<Signed<Voucher>>,
    receipts: Vec<Signed<Receipt>>,
}

impl Audited {
    pub fn accepted(&self) -> Amount {
        self.vouchers.last().map_or(Amount::ZERO, |voucher| voucher.body.cumulative)
    }
}

pub struct Books(BTreeMap<ChannelId, Audited>);

impl Books {
    pub fn channels(&self) -> impl Iterator<Item = (&ChannelId, &Audited)> {
        self.0.iter()
    }

    pub async fn read(
        connection: &mut SqliteConnection,
        report: &mut AuditReport,
    ) -> Result<Self, StoreError> {
        let mut books = BTreeMap::new();
        for row in sqlx::query("SELECT id, state FROM channels").fetch_all(&mut *connection).await? {
            let (id, state) = (ChannelId(bytes(&row, "id")?), row.try_get::<Vec<u8>, _>("state")?);
            let state = Channel::from_bytes(&state).map_err(|_| StoreError::Unreadable("channels.state"))?;
            if state.id() != id {
                report.find(format!("the channel {id} has the terms of another"));
            }
            books.insert(id, Audited { state, vouchers: Vec::new(), receipts: Vec::new() });
        }
        let payees = payees_of_offers(connection, report).await?;
        let rows = sqlx::query("SELECT channel, signed FROM vouchers ORDER BY channel, tick");
        for row in rows.fetch_all(&mut *connection).await? {
            let (id, voucher) = (ChannelId(bytes(&row, "channel")?), voucher_of(&row)?);
            if let Some(audited) = books.get_mut(&id) {
                audited.vouchers.push(voucher);
            }
        }
        let rows = sqlx::query("SELECT channel, signed FROM receipts ORDER BY channel, number");
        for row in rows.fetch_all(&mut *connection).await? {
            let receipt = Signed::from_bytes(&row.try_get::<Vec<u8>, _>("signed")?)
                .map_err(|_| StoreError::Unreadable("receipts.signed"))?;
            if let Some(audited) = books.get_mut(&ChannelId(bytes(&row, "channel")?)) {
                audited.receipts.push(receipt);
            }
        }
        for (id, audited) in &books {
            check_vouchers(*id, audited, &payees, report);
            check_receipts(*id, audited, report);
            report.channels += 1;
        }
        check_ledgers(connection, &books, report).await?;
        Ok(Self(books))
    }
}

/// Whom each offer pays; what cannot be believed is told.
async fn payees_of_offers(
    connection: &mut SqliteConnection,
    report: &mut AuditReport,
) -> Result<BTreeMap<OfferHash, AccountId>, StoreError> {
    let mut payees = BTreeMap::new();
    for row in sqlx::query("SELECT hash, published FROM offers").fetch_all(connection).await? {
        let published = PublishedOffer::from_bytes(&row.try_get::<Vec<u8>, _>("published")?)
            .map_err(|_| StoreError::Unreadable("offers.published"))?;
        let (offer, delegation) = (&published.offer, &published.delegation);
        let hash = OfferHash(bytes(&row, "hash")?);
        let fits = offer.body.hash() == hash && offer.body.delegation == delegation.body.hash();
        let is_signed = offer.verify(&delegation.body.node).is_ok()
            && delegation.verify(&delegation.body.payee).is_ok()
            && delegation.body.payee == offer.body.payee;
        if !(fits && is_signed) {
            report.find(format!("the offer {hash} is not signed by who had to sign it"));
        }
        payees.insert(hash, offer.body.payee.account());
    }
    Ok(payees)
}

fn check_vouchers(
    id: ChannelId,
    audited: &Audited,
    payees: &BTreeMap<OfferHash, AccountId>,
    report: &mut AuditReport,
) {
    let (terms, vouchers) = (audited.state.terms(), &audited.vouchers);
    report.vouchers += vouchers.len() as u64;
    let signed: Vec<Vec<u8>> = vouchers.iter().map(|voucher| voucher.body.signing_bytes()).collect();
    let claim = |(voucher, bytes): (&Signed<Voucher>, _)| Claim {
        key: terms.session,
        bytes,
        signature: voucher.signature,
    };
    let claims: Vec<_> = vouchers.iter().zip(signed.iter().map(Vec::as_slice)).map(claim).collect();
    for (voucher, is_valid) in vouchers.iter().zip(verify_batch(&claims)) {
        let (body, tick) = (&voucher.body, voucher.body.tick.0);
        if !is_valid || body.channel != id || body.genesis != terms.genesis {
            report.find(format!("the voucher for second {tick} of the channel {id} is forged"));
        }
        if payees.get(&body.offer) != Some(&terms.payee) {
            report.find(format!(
                "the voucher for second {tick} of the channel {id} names no offer of its payee"
            ));
        }
    }
    let rises = |pair: &[Signed<Voucher>]| {
        pair[0].body.tick < pair[1].body.tick && pair[0].body.cumulative < pair[1].body.cumulative
    };
    if !vouchers.windows(2).all(rises) {
        report.find(format!("the vouchers of the channel {id} do not rise"));
    }
    let (accepted, phase) = (audited.accepted(), audited.state.finalized());
    // Of a credit account the payer may have paid ahead.
    if phase.settled() > accepted && !terms.is_credit() {
        report.find(format!("more of the channel {id} is settled than was accepted"));
    }
    if let Phase::Open(funds) | Phase::Closing { funds, .. } = phase
        && accepted > funds.deposit
    {
        report.find(format!("more of the channel {id} was accepted than is deposited"));
    }
}

fn check_receipts(id: ChannelId, audited: &Audited, report: &mut AuditReport) {
    let mut previous = ReceiptHash([0; 32]);
    for (number, receipt) in (1_u64..).zip(&audited.receipts) {
        let body = &receipt.body;
        let confirms = |voucher: &Signed<Voucher>| {
            (voucher.body.tick, voucher.body.cumulative) == (body.tick, body.cumulative)
        };
        if body.number != number || body.previous != previous || body.channel != id {
            report.find(format!("receipt {number} of the channel {id} does not follow the one before"));
        }
        if receipt.verify(&audited.state.terms().node).is_err() {
            report.find(format!("receipt {number} of the channel {id} is not signed by the node"));
        }
        if !audited.vouchers.iter().any(confirms) {
            report.find(format!("receipt {number} of the channel {id} confirms no voucher"));
        }
        previous = body.hash();
        report.receipts += 1;
    }
}

async fn check_ledgers(
    connection: &mut SqliteConnection,
    books: &BTreeMap<ChannelId, Audited>,
    report: &mut AuditReport,
) -> Result<(), StoreError> {
    let rows = sqlx::query("SELECT channel, record, accepted FROM ledgers").fetch_all(connection).await?;
    for row in rows {
        let id = ChannelId(bytes(&row, "channel")?);
        let Some(audited) = books.get(&id) else {
            report.find(format!("a ledger is of the channel {id}, which is not known"));
            continue;
        };
        let (record, accepted): (Vec<u8>, String) = (row.try_get("record")?, row.try_get("accepted")?);
        let ledger = match Ledger::restore(LedgerConfig::default(), audited.state.clone(), &record) {
            Ok(ledger) => ledger,
            Err(err) => {
                report.find(format!("the ledger of the channel {id}: {err}"));
                continue;
            }
        };
        if let Err(err) = ledger.audit() {
            report.find(format!("the ledger of the channel {id}: {err}"));
        }
        if ledger.last_voucher() != audited.vouchers.last() || ledger.accepted().to_string() != accepted {
            report.find(format!("the ledger of the channel {id} and its vouchers end differently"));
        }
    }
    Ok(())
}
