// Opens the keystores that this repository's wallet wrote (../exported.json) with polkadot-js, and signs with them; then
// exports and opens them once more, so that what comes from here can go on from there.
import { readFileSync } from 'node:fs';
import { Keyring } from '@polkadot/keyring';
import { hexToU8a, u8aEq } from '@polkadot/util';
import { cryptoWaitReady, ed25519Verify, sr25519Verify } from '@polkadot/util-crypto';

await cryptoWaitReady();
const read = (name) => JSON.parse(readFileSync(new URL(`../${name}.json`, import.meta.url), 'utf8'));
const verify = { ed25519: ed25519Verify, sr25519: sr25519Verify };
let checks = 0;
function check(what, holds) {
  checks += 1;
  if (!holds) throw new Error(what);
}

function throws(act) {
  try {
    act();
  } catch {
    return true;
  }
  return false;
}

for (const { public: key, passphrase, json } of read('exported')) {
  const ring = new Keyring({ type: 'sr25519' });
  const pair = ring.createFromJson(json);
  check(`${json.address} opens with a wrong passphrase`, throws(() => pair.decodePkcs8('wrong')));
  pair.decodePkcs8(passphrase);
  const message = new Uint8Array([1, 2, 3]);
  check(`${json.address} is another key`, u8aEq(pair.publicKey, hexToU8a(key)));
  check(`${json.address} signs wrongly`, verify[pair.type](message, pair.sign(message), pair.publicKey));
  check(`${json.address} lost its name`, pair.meta.name === json.meta.name);
  const again = ring.createFromJson(pair.toJson('another'));
  again.decodePkcs8('another');
  check(`${json.address} changed on its way`, u8aEq(again.publicKey, pair.publicKey) && again.type === pair.type);
}
// And what is published of polkadot-js is what it makes.
const { derivations, addresses } = read('polkadot-js');
for (const { scheme, secret, public: key } of derivations) {
  check(`${scheme} of ${secret}`, u8aEq(new Keyring({ type: scheme }).addFromUri(secret).publicKey, hexToU8a(key)));
}
for (const { prefix, address } of addresses) {
  const ring = new Keyring({ type: 'sr25519', ss58Format: prefix });
  check(`prefix ${prefix}`, ring.encodeAddress(ring.decodeAddress(address, true)) === address);
}
if (checks < 40) throw new Error(`only ${checks} checks: vectors are missing`);
console.log(`wallet vectors: ${checks} checks passed`);
