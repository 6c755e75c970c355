// Holds the published vectors against an implementation of their specification that shares no code with ours, and
// their signatures against polkadot-js.
import { readFileSync } from 'node:fs';
import { hexToU8a, u8aEq, u8aToHex } from '@polkadot/util';
import { blake2AsU8a, cryptoWaitReady, ed25519Verify, sr25519Verify } from '@polkadot/util-crypto';
import { bodies, hashed, messages } from './encode.mjs';

const read = (name) => JSON.parse(readFileSync(new URL(`../${name}.json`, import.meta.url), 'utf8'));
let checks = 0;
function same(what, ours, theirs) {
  checks += 1;
  if (!u8aEq(ours, hexToU8a(theirs))) throw new Error(`${what}: ${u8aToHex(ours)} is not ${theirs}`);
}

/** Of bytes that are no point of the curve the library throws. */
function holds(check) {
  try {
    return check();
  } catch {
    return false;
  }
}

await cryptoWaitReady();
for (const { type, fields, body, hashed: bytes, hash } of read('encodings')) {
  same(`${type}'s body`, bodies[type](fields), body);
  same(`${type}'s bytes`, hashed(type, fields), bytes);
  same(`${type}'s hash`, blake2AsU8a(hashed(type, fields), 256), hash);
}
for (const { type, fields, bytes } of read('messages')) same(`message ${type}`, messages[type](fields), bytes);
for (const { type, public: key, message, signature, valid } of read('signatures')) {
  const verify = [ed25519Verify, sr25519Verify][hexToU8a(key)[0]];
  checks += 1;
  const found = holds(() => verify(message, hexToU8a(signature).slice(1), hexToU8a(key).slice(1)));
  if (found !== valid) throw new Error(`a signature over a ${type} is ${found ? 'valid' : 'invalid'}`);
}
if (checks < 70) throw new Error(`only ${checks} checks: vectors are missing`);
console.log(`vectors: ${checks} checks passed`);
