// take_back.mjs URL FOLDER: the watch page of a paid stream in a browser with a wallet. Has the wallet lock a deposit of which
// nothing is spent, looks what the page says while the node is away, and has the wallet take all of it back. Then asks for
// another one, which is signed only once the broadcast is over. Leaves pictures, and says what was asked and signed.
import { join } from "node:path";
import { LIMIT_MS, openPage } from "./launch.mjs";
import { mockExtension } from "./mock_extension.mjs";

const [url, folder] = process.argv.slice(2);
const { browser, page } = await openPage({ width: 1280, height: 1200 });
page.setDefaultTimeout(LIMIT_MS / 2);
let held = Promise.resolve();
const wallet = await mockExtension(page, { id: "polkadot-js", uri: "//Bob", refusals: [], hold: () => held });
const prepared = [];
let sent = 0;
page.on("response", async (response) => {
  const request = response.request();
  if (response.url().endsWith("/api/pay/funding") && request.method() === "PUT") sent += 1;
  if (response.url().endsWith("/api/pay/funding") && request.method() === "POST" && response.ok()) {
    prepared.push({ request: request.postDataJSON(), answer: await response.json() });
  }
});
await page.goto(url);

const shoot = (name) => page.screenshot({ path: join(folder, `${name}.png`) });
const press = (name) => page.getByRole("button", { name }).click();
const taking = (step) => page.waitForSelector(`[data-taking=${step}]`);

await press("Pay with polkadot{.js}");
await press("Ask polkadot{.js} for");
await taking("start");
await shoot("take-ready");

// The node is away: what is locked is not hidden with it.
await page.route("**/api/**", (route) => route.abort());
await page.getByText("Your deposit is in channel").waitFor();
await page.getByText("comes back without this node").click();
const away = await page.locator("[data-channel]").innerText();
await shoot("take-away");
await page.unroute("**/api/**");

await taking("start");
await press("Take the rest back with polkadot{.js}");
await taking("wait");
await shoot("take-wait");
await taking("finish");
await shoot("take-finish");
await press("Finish with polkadot{.js}");
const back = page.getByText("came back to your account");
await back.waitFor();
const said = await back.innerText();
await shoot("take-back");

let sign = () => {};
held = new Promise((resolve) => { sign = resolve; });
await press("Pay with polkadot{.js}");
await press("Ask polkadot{.js} for");
await page.getByText("shows digits only").click();
await shoot("take-digits");
console.log(`asked ${JSON.stringify(sent)}`);
const late = page.getByText("What your wallet signs now is not sent");
await late.waitFor();
await shoot("take-late");
sign();
// The page has its signature by then, and has done with it what it does.
await page.waitForFunction(() => window.mockExtensionHasSigned === 4);
console.log(JSON.stringify({ away, said, sent, late: await late.innerText(), signed: wallet.signed, shown: wallet.shown, prepared }));
await browser.close();
