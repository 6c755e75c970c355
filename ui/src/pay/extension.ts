// Wallets that are extensions of the browser (the interface of polkadot.js, which others have too): which there are, which
// accounts they show, and a signature. They ask the person themselves; no key comes here.
import type { SignerPayload } from "../lib/api";
import { accountAt } from "./address";
import type { Hex } from "./bytes";

/** What a wallet is known by to the page, and to people. */
export interface Wallet { id: string; name: string }

/** `address` as the wallet writes it. */
export interface Account { address: string; account: Hex; name: string }

export interface Connected { wallet: Wallet; accounts: Account[]; sign(account: Account, payload: SignerPayload): Promise<Hex> }

/** The wallet did not do it: in words, with what helps. */
export class WalletFault extends Error {}

interface InjectedAccount { address: string; name?: string | null; type?: string; genesisHash?: string | null }

interface Injected {
  accounts: { get(): Promise<InjectedAccount[]> };
  signer: { signPayload?(payload: SignerPayload & { address: string }): Promise<{ signature: string }> };
}

interface Provider { enable?(origin: string): Promise<Injected> }

declare global {
  interface Window { injectedWeb3?: Record<string, Provider> }
}

/** As they are told who asks; beside it they show the page's address, which they know themselves. */
const ORIGIN = "Tickcast";
const WALLETS_MAX = 8;
const NAME_CHARS = 40;
const REASON_CHARS = 200;
/** How they call themselves to pages, where people know them by another name. */
const NAMES: Record<string, string> = {
  "polkadot-js": "polkadot{.js}", "subwallet-js": "SubWallet", talisman: "Talisman", "nova wallet": "Nova Wallet",
};
/** Those that the escrow takes; some wallets do not say. */
const KINDS: (string | undefined)[] = ["sr25519", "ed25519", undefined];
/** The kind of key, and the signature. */
const SIGNATURE = /^0x0[01][0-9a-f]{128}$/;

/** Those in this browser now: some come a moment after the page. */
export function wallets(): Wallet[] {
  const ids = Object.keys(globalThis.window?.injectedWeb3 ?? {}).filter((id) => provider(id)?.enable);
  return ids.slice(0, WALLETS_MAX).map((id) => ({ id, name: NAMES[id] ?? short(id, NAME_CHARS) }));
}

/** Asks to see the accounts that can sign for the chain. */
export async function connect(wallet: Wallet, genesis: Hex): Promise<Connected> {
  const { name } = wallet;
  const injected = await provider(wallet.id)?.enable?.(ORIGIN).catch((error: unknown) => {
    console.warn("a wallet did not let the page in:", error);
    return undefined;
  });
  if (!injected) throw new WalletFault(`${name} does not let this page see accounts. Allow this site in ${name}, then try again.`);
  const signer = injected.signer;
  if (!signer?.signPayload) throw new WalletFault(`${name} signs no transactions for pages. Use another wallet.`);
  const shown = await injected.accounts.get().catch(() => []);
  const accounts = shown.flatMap(({ address, name: called, type, genesisHash }) => {
    const account = accountAt(String(address));
    const isUsable = KINDS.includes(type) && (!genesisHash || genesisHash === genesis);
    return account && isUsable ? [{ address, account, name: short(called ?? "", NAME_CHARS) }] : [];
  });
  return {
    wallet, accounts,
    async sign({ address }, payload) {
      // Of the signer's own: some look at `this`.
      const signed = await signer.signPayload?.({ ...payload, address }).catch((error: unknown) => {
        throw new WalletFault(`${name} did not sign${because(error)}. Nothing is locked, and nothing was paid.`);
      });
      const signature = String(signed?.signature).toLowerCase();
      if (SIGNATURE.test(signature)) return signature;
      throw new WalletFault("The chain does not take this account's kind of signature. Choose another account.");
    },
  };
}

const provider = (id: string): Provider | undefined => globalThis.window?.injectedWeb3?.[id];

/** What a wallet says in refusing it, for whom it is all that is known. */
function because(error: unknown): string {
  const said = short(error instanceof Error ? error.message : String(error ?? ""), REASON_CHARS).replace(/\.$/, "");
  return said ? ` (“${said}”)` : "";
}

/** Nothing in it moves what is around it. */
const short = (text: string, chars: number): string => text.replace(/[\p{C}\p{Z}]+/gu, " ").trim().slice(0, chars);
