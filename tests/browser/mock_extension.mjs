// mock_extension: stands for a wallet that is an extension of the browser, in a page that does not know the difference. It
// signs as polkadot.js's does for a chain whose metadata it was not given: with the types that polkadot-js brings, from the
// payload alone. Its key is in this process; the page has what an extension puts into it.
import { createRequire } from "node:module";

// With the pages' packages.
const require = createRequire(new URL("../../ui/package.json", import.meta.url));
const { Keyring } = require("@polkadot/keyring");
const { TypeRegistry } = require("@polkadot/types");
const { cryptoWaitReady } = require("@polkadot/util-crypto");

/** Puts it into `page`, before that is loaded. The person behind it says no to the `refusals` named first, and signs once what
    `hold` gives is there. */
export async function mockExtension(page, { id, uri, refusals, hold = async () => {} }) {
  await cryptoWaitReady();
  const pair = new Keyring({ type: "sr25519" }).addFromUri(uri);
  const asked = { enabled: [], signed: [], shown: [] };
  const refused = (what) => {
    const at = refusals.indexOf(what);
    if (at >= 0) refusals.splice(at, 1);
    return at >= 0;
  };
  await page.exposeFunction("mockExtensionEnable", (origin) => {
    asked.enabled.push(origin);
    if (refused("enable")) throw new Error(`The source ${origin} has not been authorized yet`);
  });
  await page.exposeFunction("mockExtensionSign", async ({ address, ...payload }) => {
    if (address !== pair.address) throw new Error("Unable to find keypair");
    asked.signed.push(payload);
    // What the person compares with it.
    asked.shown.push(await page.evaluate(() => document.querySelector("[data-method]")?.dataset.method));
    await hold();
    if (refused("sign")) throw new Error("Cancelled");
    const registry = new TypeRegistry();
    registry.setSignedExtensions(payload.signedExtensions);
    return registry.createType("ExtrinsicPayload", payload, { version: payload.version }).sign(pair);
  });
  await page.addInitScript(({ id, address }) => {
    const accounts = [{ address, name: "Viewer", type: "sr25519" }];
    const enable = async (origin) => {
      await window.mockExtensionEnable(origin);
      return {
        accounts: { get: async () => accounts, subscribe: () => () => {} },
        signer: { signPayload: async (payload) => {
          const signed = { id: 1, ...await window.mockExtensionSign(payload) };
          // After whoever waits for it.
          setTimeout(() => { window.mockExtensionHasSigned = (window.mockExtensionHasSigned ?? 0) + 1; });
          return signed;
        } },
      };
    };
    window.injectedWeb3 = { ...window.injectedWeb3, [id]: { version: "0.62.3", enable } };
  }, { id, address: pair.address });
  return asked;
}
