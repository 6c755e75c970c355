// Signs every encoding with polkadot-js, for the Rust side to verify: `npm run sign` writes ../polkadot-js.json anew.
import { readFileSync, writeFileSync } from 'node:fs';
import { hexToU8a, u8aConcat, u8aToHex } from '@polkadot/util';
import {
  cryptoWaitReady,
  ed25519PairFromSeed,
  ed25519Sign,
  sr25519PairFromSeed,
  sr25519Sign,
} from '@polkadot/util-crypto';
import { hashed } from './encode.mjs';

await cryptoWaitReady();
const encodings = JSON.parse(readFileSync(new URL('../encodings.json', import.meta.url), 'utf8'));
// The seed of the development account Alice: public knowledge.
const seed = hexToU8a('0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a');
const schemes = [
  [0, ed25519PairFromSeed(seed), ed25519Sign],
  [1, sr25519PairFromSeed(seed), sr25519Sign],
];
const out = encodings
  .filter(({ type }) => type !== 'channel')
  .flatMap(({ type, fields }) =>
    schemes.map(([scheme, pair, sign]) => ({
      type,
      public: u8aToHex(u8aConcat([scheme], pair.publicKey)),
      message: u8aToHex(hashed(type, fields)),
      signature: u8aToHex(u8aConcat([scheme], sign(hashed(type, fields), pair))),
      valid: true,
    })),
  );
writeFileSync(new URL('../polkadot-js.json', import.meta.url), `${JSON.stringify(out, null, 2)}\n`);
