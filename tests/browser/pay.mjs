// pay.mjs URL FOLDER SECONDS [blocked]: the watch page of a paid stream. Says the link that the page asks a wallet with, waits until
// that is approved, plays and pays for so many seconds, loads the page anew and goes on for two more, stops, is
// loaded once more, waits until the broadcast is over, and closes the channel. Leaves pictures of each step, and says
// what the page showed. `blocked`: no WebRTC gets through.
import { join } from "node:path";
import { LIMIT_MS, openPage } from "./launch.mjs";

const [url, folder, seconds, network] = process.argv.slice(2);
const { browser, page } = await openPage({ width: 1280, height: 720 });
page.setDefaultTimeout(LIMIT_MS / 2);
const asked = [];
page.on("request", (request) => asked.push(new URL(request.url()).pathname));
// An answer that is never heard: as behind a firewall, no connection comes of it.
if (network === "blocked") await page.addInitScript(() => { RTCPeerConnection.prototype.setRemoteDescription = async () => {}; });
await page.goto(url);

const sheet = (at) => page.waitForSelector(`section[data-pay=${at}]`);
const shoot = async (name) => {
  await page.mouse.move(600, 300);
  await page.screenshot({ path: join(folder, `${name}.png`) });
};
const dataset = (selector) => page.evaluate((selector) => ({ ...document.querySelector(selector).dataset }), selector);
const meter = "aside[data-spent]";
/** Until so many seconds were signed for in this load of the page, and the node confirmed so many receipts. */
const paid = async (count, receipts) => {
  await page.waitForFunction(([meter, count, receipts]) => {
    const shown = document.querySelector(meter)?.dataset;
    return Number(shown?.signed) >= count && Number(shown?.receipts) >= receipts;
  }, [meter, count, receipts]).catch(async (error) => {
    // What the page says instead.
    console.error(await page.evaluate(() => document.body.innerText), await dataset("main"), await dataset(meter).catch(() => null));
    throw error;
  });
  return await dataset(meter);
};

await sheet("fund");
await shoot("pay-fund");
const { link } = await dataset("section[data-pay]");
console.log(`link ${JSON.stringify(link)}`);

await sheet("ready");
await shoot("pay-ready");
await page.getByRole("button", { name: "Watch and pay" }).click();
const first = await paid(Number(seconds), 1);
const playing = await dataset("main");
await shoot("pay-paying");

// The key stays with the browser: the same channel pays on.
await page.reload();
await sheet("ready");
const again = await dataset("section[data-pay]");
await page.getByRole("button", { name: "Watch and pay" }).click();
await paid(2, 0);
await page.getByRole("button", { name: "Stop" }).click();
await sheet("ready");
// What was signed last reaches the node's books, and the page asks for those every two seconds.
await page.waitForFunction((deposit) => {
  const { left, spent } = document.querySelector("section[data-pay=ready]")?.dataset ?? {};
  return Boolean(left && spent) && BigInt(left) + BigInt(spent) === BigInt(deposit);
}, new URL(link).searchParams.get("deposit"));
const stopped = await dataset("section[data-pay]");
const said = await page.evaluate(() => document.querySelector("section[data-pay]").innerText);
await shoot("pay-stopped");

// A page that was loaded anew has forgotten what it signed, and closes all the same: the node shows it.
await page.reload();
await sheet("ready");
const back = page.getByRole("button", { name: "Get the rest of the deposit back" });
await back.waitFor();
// Nor does it need a broadcast: most people see one to its end.
const hls = asked.filter((path) => path.startsWith("/live/")).slice(-20);
console.log(`stopped ${JSON.stringify({ playing, hls })}`);
await sheet("over");
await shoot("pay-over");
await back.click();
await sheet("closing");
await shoot("pay-closing");
await sheet("over");
await page.getByText("The channel is closed").waitFor();
await shoot("pay-closed");
console.log(JSON.stringify({ first, again, stopped, said }));
await browser.close();
