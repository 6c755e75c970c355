// extension.mjs URL FOLDER SECONDS: the watch page of a paid stream in a browser with a wallet. Reads the link's QR code,
// has the wallet asked until it has refused twice and a node has lied once, then pays for so many seconds from the deposit that
// it signed, and closes the channel. Leaves pictures, and says what was asked, signed and shown.
import { createRequire } from "node:module";
import { join } from "node:path";
import { LIMIT_MS, openPage } from "./launch.mjs";
import { mockExtension } from "./mock_extension.mjs";

const require = createRequire(new URL("../../ui/package.json", import.meta.url));
const jsQR = require("jsqr");

const [url, folder, seconds] = process.argv.slice(2);
const FUNDING = "**/api/pay/funding";
const { browser, page } = await openPage({ width: 1280, height: 1000 });
page.setDefaultTimeout(LIMIT_MS / 2);
const wallet = await mockExtension(page, { id: "polkadot-js", uri: "//Bob", refusals: ["enable", "sign"] });
const prepared = [];
page.on("response", async (response) => {
  const request = response.request();
  if (response.url().endsWith("/api/pay/funding") && request.method() === "POST" && response.ok()) {
    prepared.push({ request: request.postDataJSON(), answer: await response.json() });
  }
});
await page.goto(url);

const sheet = (at) => page.waitForSelector(`section[data-pay=${at}]`);
const shoot = (name) => page.screenshot({ path: join(folder, `${name}.png`) });
const dataset = (selector) => page.evaluate((selector) => ({ ...document.querySelector(selector).dataset }), selector);
const press = (name) => page.getByRole("button", { name }).click();
const said = [];
/** The page says so, and the wallet can be asked again. */
const isTold = async (words) => {
  const alert = page.getByRole("alert").filter({ hasText: words });
  await alert.waitFor();
  said.push(await alert.innerText());
  await page.waitForSelector("[data-funding=idle]");
};

await sheet("fund");
const { link } = await dataset("section[data-pay]");
await page.getByText("As a QR code").click();
const drawn = await page.evaluate(async () => {
  const code = document.querySelector("svg[role=img]");
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(code))}`;
  image.width = image.height = 800;
  await image.decode();
  const side = Math.round(code.getBoundingClientRect().width);
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0, side, side);
  return { side, pixels: Array.from(pen.getImageData(0, 0, side, side).data) };
});
const scanned = jsQR(Uint8ClampedArray.from(drawn.pixels), drawn.side, drawn.side)?.data;
await shoot("wallet-fund");
await page.getByText("As a QR code").click();

// The person does not let the page in at first.
await press("Pay with polkadot{.js}");
await isTold("does not let this page see accounts");
await press("Pay with polkadot{.js}");
await page.waitForSelector("[data-funding=choosing]");
await shoot("wallet-choosing");

// A node that makes another deposit of it than was asked for: twice as much, at its place before the time of the end.
await page.route(FUNDING, async (route) => {
  if (route.request().method() !== "POST") return await route.continue();
  const answer = await (await route.fetch()).json();
  const bytes = Buffer.from(answer.payload.method.slice(2), "hex");
  bytes.writeBigUInt64LE(2n * bytes.readBigUInt64LE(bytes.length - 24), bytes.length - 24);
  answer.payload.method = `0x${bytes.toString("hex")}`;
  await route.fulfill({ json: answer });
});
await press("Ask polkadot{.js} for");
await isTold("Do not trust it");
const askedByLiar = wallet.signed.length;
await page.unroute(FUNDING);

// Nor does the person sign at first.
const ask = async () => {
  await press("Pay with polkadot{.js}");
  await press("Ask polkadot{.js} for");
};
await ask();
await isTold("did not sign");
await ask();
await sheet("ready");
await shoot("wallet-ready");
const { left } = await dataset("section[data-pay]");
console.log(`opened ${JSON.stringify({ left })}`);

await press("Watch and pay");
await page.waitForFunction((count) => Number(document.querySelector("aside[data-spent]")?.dataset.signed) >= count, Number(seconds));
await press("Stop");
await sheet("ready");
// What was signed last reaches the node's books, and the page asks for those every two seconds.
await page.waitForFunction((deposit) => {
  const { left, spent } = document.querySelector("section[data-pay=ready]")?.dataset ?? {};
  return Boolean(left && spent) && BigInt(left) + BigInt(spent) === BigInt(deposit);
}, left);
const stopped = await dataset("section[data-pay]");
await press("Get the rest of the deposit back");
await page.getByText("The channel is closed").waitFor();
await shoot("wallet-closed");
console.log(JSON.stringify({
  link, scanned, said, askedByLiar, enabled: wallet.enabled, signed: wallet.signed, shown: wallet.shown,
  prepared: prepared.at(-1), left, stopped,
}));
await browser.close();
