//! The key of one channel, and how much it may sign. It reads what it is asked to sign, and signs nothing else than
//! this channel's vouchers and close, up to its cap: whoever drives it, the cap holds.

use std::sync::{Arc, Mutex};

use pay::key::{SignRefused, Signature};
use pay::login::Host;
use pay::{
    Amount, ChannelId, ChannelTerms, CloseTerms, Genesis, LoginChallenge, PublicKey, Signable, Signer,
    Voucher,
};

use crate::approved::unwrapped;
use crate::key::SecretKey;

/// A [`Signer`] for a [`pay::Tab`].
#[derive(Debug)]
pub struct SessionKey {
    key: SecretKey,
    genesis: Genesis,
    channel: ChannelId,
    limits: Mutex<Limits>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Limits {
    /// No total that is higher is signed.
    ceiling: Amount,
    /// Once a close is signed, nothing else is.
    closed_at: Option<Amount>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the key is not the channel's session key")]
pub struct WrongKey;

impl SessionKey {
    /// `ceiling` is on the channel's running total.
    pub fn new(key: SecretKey, terms: &ChannelTerms, ceiling: Amount) -> Result<Self, WrongKey> {
        if key.public() != terms.session {
            return Err(WrongKey);
        }
        let limits = Mutex::new(Limits { ceiling, closed_at: None });
        Ok(Self { key, genesis: terms.genesis, channel: terms.id(), limits })
    }

    pub fn ceiling(&self) -> Amount {
        self.limits().ceiling
    }

    pub(crate) fn set_ceiling(&self, ceiling: Amount) {
        self.limits().ceiling = ceiling;
    }

    /// A thread that panicked while it held them left them whole: they are copied in one step.
    fn limits(&self) -> std::sync::MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn is_ours(&self, genesis: Genesis, channel: ChannelId) -> bool {
        (genesis, channel) == (self.genesis, self.channel)
    }
}

/// What the bytes are, if they are this in its one spelling.
fn read<T: Signable>(bytes: &[u8]) -> Option<T> {
    T::from_bytes(bytes.strip_prefix(&T::DOMAIN)?).ok()
}

impl Signer for SessionKey {
    fn public(&self) -> PublicKey {
        self.key.public()
    }

    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignRefused> {
        let mut limits = self.limits();
        if let Some(voucher) = read::<Voucher>(bytes) {
            let is_open = limits.closed_at.is_none();
            let within = voucher.cumulative <= limits.ceiling;
            if !(self.is_ours(voucher.genesis, voucher.channel) && is_open && within) {
                return Err(SignRefused);
            }
        } else if let Some(close) = read::<CloseTerms>(bytes) {
            // The same close again is no other one.
            let is_one = limits.closed_at.is_none_or(|total| total == close.cumulative);
            if !(self.is_ours(close.genesis, close.channel) && is_one && close.cumulative <= limits.ceiling) {
                return Err(SignRefused);
            }
            limits.closed_at = Some(close.cumulative);
        } else {
            return Err(SignRefused);
        }
        self.key.sign(bytes)
    }
}

/// A [`Signer`] by which the key logs in to one node, as the account that it is itself. That account has nothing: all
/// that it may do there is join with its channel.
#[derive(Debug)]
pub struct SessionLogin {
    key: Arc<SessionKey>,
    host: Host,
}

impl SessionLogin {
    /// `host` as it is asked, not as it calls itself.
    pub const fn new(key: Arc<SessionKey>, host: Host) -> Self {
        Self { key, host }
    }
}

impl Signer for SessionLogin {
    fn public(&self) -> PublicKey {
        self.key.public()
    }

    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignRefused> {
        let challenge = unwrapped::<LoginChallenge>(bytes).ok_or(SignRefused)?;
        let is_ours = challenge.host == self.host && challenge.account == self.public();
        if is_ours { self.key.key.sign(bytes) } else { Err(SignRefused) }
    }
}

#[cfg(test)]
mod tests {
    use pay::{AccountId, AssetId, KeyScheme, OfferHash, Receipt, ReceiptHash, Signed, Tick, UnixMillis};

    use super::*;

    fn terms(session: PublicKey) -> ChannelTerms {
        ChannelTerms {
            genesis: Genesis([1; 32]),
            asset: AssetId::Native,
            payer: AccountId([2; 32]),
            payee: AccountId([3; 32]),
            node: PublicKey { scheme: KeyScheme::Ed25519, bytes: [4; 32] },
            session,
            nonce: 0,
            dispute_window_ms: 60_000,
        }
    }

    fn session(ceiling: u128) -> SessionKey {
        let key = SecretKey::from_seed(KeyScheme::Ed25519, &[7; 32]);
        let terms = terms(key.public());
        SessionKey::new(key, &terms, Amount::new(ceiling)).unwrap()
    }

    fn voucher(key: &SessionKey, cumulative: u128) -> Voucher {
        let (genesis, channel, offer) = (key.genesis, key.channel, OfferHash([5; 32]));
        Voucher { genesis, channel, offer, tick: Tick(0), cumulative: Amount::new(cumulative) }
    }

    fn close(key: &SessionKey, cumulative: u128) -> CloseTerms {
        CloseTerms { genesis: key.genesis, channel: key.channel, cumulative: Amount::new(cumulative) }
    }

    #[test]
    fn a_session_key_signs_up_to_its_cap_and_not_a_unit_more() {
        let key = session(100);
        let signed = Signed::sign(voucher(&key, 100), &key).unwrap();
        assert!(signed.verify(&key.public()).is_ok());
        assert!(Signed::sign(voucher(&key, 101), &key).is_err());
        assert!(Signed::sign(close(&key, 101), &key).is_err());
        key.set_ceiling(Amount::new(101));
        assert!(Signed::sign(voucher(&key, 101), &key).is_ok());
    }

    #[test]
    fn a_session_key_signs_for_its_own_channel_alone() {
        let key = session(100);
        let foreign = Voucher { channel: ChannelId([9; 32]), ..voucher(&key, 1) };
        assert!(Signed::sign(foreign, &key).is_err());
        let elsewhere = Voucher { genesis: Genesis([9; 32]), ..voucher(&key, 1) };
        assert!(Signed::sign(elsewhere, &key).is_err());
        let foreign = CloseTerms { channel: ChannelId([9; 32]), ..close(&key, 1) };
        assert!(Signed::sign(foreign, &key).is_err());
    }

    #[test]
    fn a_session_key_signs_nothing_but_vouchers_and_closes() {
        let key = session(100);
        let receipt = Receipt {
            genesis: key.genesis,
            channel: key.channel,
            number: 1,
            previous: ReceiptHash([0; 32]),
            tick: Tick(0),
            cumulative: Amount::new(1),
            at: UnixMillis(0),
        };
        assert!(Signed::sign(receipt, &key).is_err());
        let mut longer = voucher(&key, 1).signing_bytes();
        longer.push(0);
        for bytes in [&b""[..], b"tickcast/voucher", b"a transaction", &longer] {
            assert!(key.sign(bytes).is_err());
        }
    }

    #[test]
    fn a_session_key_logs_in_as_itself_at_one_node_and_signs_nothing_else_there() {
        let host = |name: &str| Host::new(name).unwrap();
        let key = Arc::new(session(100));
        let challenge = LoginChallenge {
            host: host("here:80"),
            account: key.public(),
            nonce: [1; 32],
            until: UnixMillis(60_000),
        };
        let login = SessionLogin::new(Arc::clone(&key), host("here:80"));
        let signed = Signed::sign(challenge.clone(), &login).unwrap();
        assert!(signed.verify(&key.public()).is_ok());
        let elsewhere = LoginChallenge { host: host("there:80"), ..challenge.clone() };
        assert!(Signed::sign(elsewhere, &login).is_err());
        let other = PublicKey { scheme: KeyScheme::Ed25519, bytes: [4; 32] };
        assert!(Signed::sign(LoginChallenge { account: other, ..challenge.clone() }, &login).is_err());
        assert!(Signed::sign(voucher(&key, 1), &login).is_err());
        // The key that pays logs in nowhere by itself.
        assert!(Signed::sign(challenge, key.as_ref()).is_err());
    }

    #[test]
    fn after_a_close_nothing_else_is_signed() {
        let key = session(100);
        let first = Signed::sign(close(&key, 50), &key).unwrap();
        assert!(first.verify(&key.public()).is_ok());
        assert!(Signed::sign(close(&key, 50), &key).is_ok());
        assert!(Signed::sign(close(&key, 51), &key).is_err());
        assert!(Signed::sign(voucher(&key, 51), &key).is_err());
    }

    #[test]
    fn another_key_is_not_taken_for_the_channels() {
        let terms = terms(PublicKey { scheme: KeyScheme::Ed25519, bytes: [8; 32] });
        let key = SecretKey::from_seed(KeyScheme::Ed25519, &[7; 32]);
        assert_eq!(SessionKey::new(key, &terms, Amount::new(1)).err(), Some(WrongKey));
    }
}
