//! Who is logged in: open challenges, and the tokens that answered ones were given for. Nothing of it is stored: after a
//! restart a person logs in again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pay::login::{Host, LoginError};
use pay::{Challenges, LoginChallenge, PublicKey, Signed, UnixMillis};

use crate::id::session_token;

/// How long a person's token is good.
const LIFETIME_MS: u64 = 12 * 3_600_000;
/// Tokens in all; where there are more, the oldest make room: their holders log in again.
const TOKENS_MAX: usize = 16_384;
/// Of one account: devices, usually.
const TOKENS_OF_ONE: usize = 8;

/// A person that proved to hold an account's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Person {
    pub account: PublicKey,
    pub until: UnixMillis,
}

#[derive(Default)]
struct Tokens {
    persons: HashMap<String, Person>,
    /// The oldest first.
    order: VecDeque<String>,
}

#[derive(Default)]
pub struct Logins {
    /// One for each of the few names that this node has.
    open: Mutex<BTreeMap<String, Challenges>>,
    tokens: Mutex<Tokens>,
}

impl Logins {
    /// `host` is a name of this node, never whatever somebody wrote into a request: else another node could have a
    /// challenge of ours signed for itself.
    pub fn challenge(
        &self,
        host: &Host,
        account: PublicKey,
        now: UnixMillis,
    ) -> Result<LoginChallenge, LoginError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| LoginError::Full)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_host = open.entry(host.as_str().to_owned()).or_insert_with(|| Challenges::new(host.clone()));
        of_host.issue(account, nonce, now)
    }

    /// A token for whoever signed the challenge.
    pub fn answer(
        &self,
        answer: &Signed<LoginChallenge>,
        now: UnixMillis,
    ) -> Result<(String, Person), LoginError> {
        let account = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let of_host = open.get_mut(answer.body.host.as_str()).ok_or(LoginError::NotOpen)?;
            of_host.answer(answer, now)?
        };
        let person = Person { account, until: now.plus(LIFETIME_MS) };
        Ok((self.enter(person), person))
    }

    fn enter(&self, person: Person) -> String {
        let mut tokens = self.tokens();
        let Tokens { persons, order } = &mut *tokens;
        let own = |token: &String| persons.get(token).is_some_and(|known| known.account == person.account);
        let crowds = order.iter().filter(|token| own(token)).count() >= TOKENS_OF_ONE;
        let leaving =
            if crowds { order.iter().position(own) } else { (order.len() >= TOKENS_MAX).then_some(0) };
        if let Some(old) = leaving.and_then(|at| order.remove(at)) {
            persons.remove(&old);
        }
        let token = session_token();
        persons.insert(token.clone(), person);
        order.push_back(token.clone());
        token
    }

    /// Whose token that is; `None` where it is nobody's, or no longer.
    pub fn person(&self, token: &str, now: UnixMillis) -> Option<Person> {
        let tokens = self.tokens();
        tokens.persons.get(token).filter(|person| now < person.until).copied()
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pay::{KeyScheme, Keypair, Signer};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn host(name: &str) -> Host {
        Host::new(name).unwrap()
    }

    fn keys(number: u8) -> Keypair {
        Keypair::from_seed(KeyScheme::Sr25519, &[number; 32].into())
    }

    fn log_in(logins: &Logins, keys: &Keypair) -> String {
        let challenge = logins.challenge(&host("here:80"), keys.public(), NOW).unwrap();
        logins.answer(&Signed::sign(challenge, keys).unwrap(), NOW).unwrap().0
    }

    #[test]
    fn an_answer_gives_a_token_once_and_the_token_ends() {
        let (logins, keys) = (Logins::default(), keys(1));
        let challenge = logins.challenge(&host("here:80"), keys.public(), NOW).unwrap();
        let answer = Signed::sign(challenge, &keys).unwrap();
        let (token, person) = logins.answer(&answer, NOW).unwrap();
        assert_eq!(logins.person(&token, NOW), Some(person));
        assert_eq!(logins.answer(&answer, NOW), Err(LoginError::NotOpen));
        assert_eq!(logins.person(&token, NOW.plus(LIFETIME_MS)), None);
        assert_eq!(logins.person("", NOW), None);
    }

    #[test]
    fn a_challenge_of_another_node_is_not_open_here() {
        let (ours, theirs, keys) = (Logins::default(), Logins::default(), keys(1));
        ours.challenge(&host("here:80"), keys.public(), NOW).unwrap();
        let relayed = theirs.challenge(&host("there:80"), keys.public(), NOW).unwrap();
        let answer = Signed::sign(relayed.clone(), &keys).unwrap();
        assert_eq!(ours.answer(&answer, NOW), Err(LoginError::NotOpen));
        let renamed = LoginChallenge { host: host("here:80"), ..relayed };
        let answer = Signed::sign(renamed, &keys).unwrap();
        assert_eq!(ours.answer(&answer, NOW), Err(LoginError::NotOpen));
    }

    #[test]
    fn an_account_that_logs_in_for_ever_takes_its_own_tokens_places() {
        let (logins, crowd, other) = (Logins::default(), keys(1), keys(2));
        let bystander = log_in(&logins, &other);
        let tokens: Vec<String> = (0..TOKENS_OF_ONE + 2).map(|_| log_in(&logins, &crowd)).collect();
        let good = |token: &String| logins.person(token, NOW).is_some();
        assert_eq!(tokens.iter().map(good).filter(|good| *good).count(), TOKENS_OF_ONE);
        assert!(!good(&tokens[1]) && good(&tokens[2]) && good(&bystander));
    }
}
