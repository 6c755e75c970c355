// What polkadot-js makes of secrets, paths, prefixes and passphrases, for the Rust side to agree with: `npm run make`
// writes ../polkadot-js.json anew. Keystores have a random salt, so they differ each time.
import { writeFileSync } from 'node:fs';
import { Keyring } from '@polkadot/keyring';
import { u8aToHex } from '@polkadot/util';
import { cryptoWaitReady, encodeAddress } from '@polkadot/util-crypto';

await cryptoWaitReady();
const dev = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk';
const long =
  'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon ' +
  'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art';
const seed = '0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a';
const secrets = [
  ['sr25519', dev],
  ['sr25519', `${dev}//Alice`],
  ['sr25519', `${dev}//Alice//stash`],
  ['sr25519', `${dev}/soft`],
  ['sr25519', `${dev}//polkadot//0/1/two`],
  ['sr25519', `${dev}//999999999999999`],
  ['sr25519', `${dev}//a part that is longer than thirty-two bytes`],
  ['sr25519', `${dev}//Zoë`],
  ['sr25519', `${dev}///password`],
  ['sr25519', `${dev}//hard/soft///pass/word//with slashes`],
  ['sr25519', long],
  ['sr25519', `${long}//Alice///пароль`],
  ['sr25519', seed],
  ['sr25519', `${seed}//1/2`],
  ['ed25519', dev],
  ['ed25519', `${dev}//Alice`],
  ['ed25519', `${dev}//polkadot//0`],
  ['ed25519', `${dev}//Alice///password`],
  ['ed25519', seed],
  ['ed25519', `${seed}//1`],
];
const pair = (type, secret) => new Keyring({ type }).addFromUri(secret);
const derivations = secrets.map(([type, secret]) => ({
  scheme: type,
  secret,
  public: u8aToHex(pair(type, secret).publicKey),
}));
const alice = pair('sr25519', `${dev}//Alice`).publicKey;
const prefixes = [0, 1, 2, 42, 63, 64, 65, 127, 128, 252, 255, 256, 1284, 2112, 10041, 16383];
const addresses = prefixes.map((prefix) => ({ prefix, address: encodeAddress(alice, prefix) }));
const passphrase = 'correct horse battery staple';
const keystore = (type, secret, passphrase) => ({
  scheme: type,
  secret,
  passphrase,
  json: new Keyring({ type }).addFromUri(secret, { name: 'from polkadot-js', whenCreated: 1700000000000 }).toJson(passphrase),
});
const keystores = [
  keystore('sr25519', `${dev}//Alice`, passphrase),
  keystore('ed25519', `${dev}//Alice`, passphrase),
  keystore('sr25519', `${dev}//hard/soft`, 'pässwörd ₿ 🎥'),
  keystore('ed25519', seed, 'x'),
];
const several = new Keyring({ type: 'sr25519' });
const members = ['//Alice', '//Bob'].map((path) => several.addFromUri(dev + path, { name: path }));
// What the extension and the apps write when several accounts are exported at once.
const { jsonEncrypt } = await import('@polkadot/util-crypto');
const { stringToU8a } = await import('@polkadot/util');
const accounts = members.map((member) => member.toJson(passphrase));
const batch = {
  passphrase,
  publics: members.map((member) => u8aToHex(member.publicKey)),
  json: {
    ...jsonEncrypt(stringToU8a(JSON.stringify(accounts)), ['batch-pkcs8'], passphrase),
    accounts: accounts.map(({ address, meta }) => ({ address, meta })),
  },
};
const out = { derivations, addresses, keystores, batch };
writeFileSync(new URL('../polkadot-js.json', import.meta.url), `${JSON.stringify(out, null, 2)}\n`);
