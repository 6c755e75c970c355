// The page's session key: made here, of which nobody can take the secret half, not even this page's own scripts. It
// stays in the browser's database, so that a reload goes on with its channel.
import { fromHex, toHex, type Bytes, type Hex } from "./bytes";
import { PlayerFailed } from "../lib/player";
import type { SessionKey, Verify } from "./tab";

const DATABASE = "tickcast-pay";
const KEYS = "keys";
/** The first byte of an Ed25519 key and of its signatures. */
const ED25519 = "0x00";

interface Kept { payee: Hex; pair: CryptoKeyPair }

/** Why this page cannot have a key; null where it can. */
export function noKeyBecause(): string | null {
  if (!globalThis.isSecureContext || !globalThis.crypto?.subtle) {
    return "Paying needs a connection that nobody in between can read. Open this page by https, or on the machine itself.";
  }
  return "indexedDB" in globalThis ? null : "This browser keeps nothing for this page, so it could not go on paying after a reload.";
}

/** One for each payee: payees cannot tell by it that they have the same viewer. */
export async function sessionKey(payee: Hex): Promise<SessionKey> {
  const database = await opened();
  try {
    const known = await asked<Kept | undefined>(database.transaction(KEYS).objectStore(KEYS).get(payee));
    return await usable(known?.pair ?? await made(database, payee));
  } finally {
    database.close();
  }
}

/** Whether a page has had one for this payee here: otherwise nobody paid it from this browser. */
export async function hasSessionKey(payee: Hex): Promise<boolean> {
  const database = await opened();
  try {
    return await asked<Kept | undefined>(database.transaction(KEYS).objectStore(KEYS).get(payee)) !== undefined;
  } finally {
    database.close();
  }
}

async function made(database: IDBDatabase, payee: Hex): Promise<CryptoKeyPair> {
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]).catch(() => {
    throw new PlayerFailed("This browser cannot sign payments: it knows no Ed25519 keys. A newer one does.");
  }) as CryptoKeyPair;
  const store = database.transaction(KEYS, "readwrite").objectStore(KEYS);
  // Another window of this page may have been faster.
  const known = await asked<Kept | undefined>(store.get(payee));
  if (known) return known.pair;
  await asked(store.put({ payee, pair } satisfies Kept));
  return pair;
}

async function usable(pair: CryptoKeyPair): Promise<SessionKey> {
  const raw = await crypto.subtle.exportKey("raw", pair.publicKey);
  return {
    public: ED25519 + toHex(new Uint8Array(raw)).slice(2),
    async sign(bytes: Bytes) {
      return ED25519 + toHex(new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, bytes))).slice(2);
    },
  };
}

function opened(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(KEYS, { keyPath: "payee" });
  return asked(request);
}

function asked<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => {
      console.error(request.error);
      reject(new PlayerFailed("This browser keeps nothing for this page: leave private browsing, or allow it to keep data."));
    };
  });
}

/** Signatures by Ed25519, as a node's are; of another scheme a browser cannot check any. */
export const verify: Verify = async (key, bytes, signature) => {
  if (!key.startsWith(ED25519) || !signature.startsWith(ED25519)) return false;
  const raw = (text: Hex) => fromHex(`0x${text.slice(ED25519.length)}`);
  const known = await crypto.subtle.importKey("raw", raw(key), "Ed25519", false, ["verify"]);
  return await crypto.subtle.verify("Ed25519", known, raw(signature), bytes);
};
