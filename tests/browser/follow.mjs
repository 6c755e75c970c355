// follow.mjs URL: plays the watch page and hands it every answer of the node's API itself, so that it can count.
// Says "playing" once the page was told three times that the stream is live. From then on the page is given at most
// one answer that the stream is over. Ends when the page no longer plays, and, where it lost its node, when it has
// asked twice more.
import { LIMIT_MS, openPage } from "./launch.mjs";

const [url] = process.argv.slice(2);
const { browser, page } = await openPage({ width: 1280, height: 720 });
page.setDefaultTimeout(LIMIT_MS);
const counts = { live: 0, over: 0, lost: 0, open: 0, most_open: 0 };
await page.route("**/api/v1/streams/*", async (route) => {
  counts.open += 1;
  counts.most_open = Math.max(counts.most_open, counts.open);
  try {
    const response = await route.fetch();
    const { status } = await response.json();
    // Held back for good: what the page says by now, it says because of the first one.
    if (status !== "live" && counts.over > 0) return;
    counts[status === "live" ? "live" : "over"] += 1;
    counts.open -= 1;
    await route.fulfill({ response });
  } catch {
    counts.lost += 1;
    counts.open -= 1;
    await route.abort().catch(() => undefined);
  }
});
await page.goto(url);
await page.waitForSelector("main[data-phase=playing]");
await until(() => counts.live >= 3);
console.log(`playing ${JSON.stringify(await shown())}`);
await page.waitForSelector("main:not([data-phase=playing])");
const after = await shown();
const asked = counts.lost;
if (after.phase === "failed") await until(() => counts.lost >= asked + 2);
console.log(JSON.stringify({ ...after, later: (await shown()).text }));
await browser.close();

async function until(reached) {
  for (const end = Date.now() + LIMIT_MS; !reached();) {
    if (Date.now() > end) throw new Error(`the page asked too little: ${JSON.stringify(counts)}`);
    await page.waitForTimeout(100);
  }
}

async function shown() {
  const { phase, text } = await page.evaluate(() => ({
    phase: document.querySelector("main").dataset.phase, text: document.body.innerText,
  }));
  return { phase, text, buttons: await page.getByRole("button").filter({ visible: true }).count(), ...counts };
}
