// pages.mjs ORIGIN PATH...: opens each path and says what a person sees there, with every request that failed.
import { openPage } from "./launch.mjs";

const [origin, ...paths] = process.argv.slice(2);
const { browser, page } = await openPage({ width: 1280, height: 720 });
const shown = [];
for (const path of paths) {
  const failed = [];
  const note = (response) => {
    if (response.status() >= 400 && !response.request().isNavigationRequest()) failed.push(response.url());
  };
  page.on("response", note);
  const answer = await page.goto(`${origin}${path}`, { waitUntil: "networkidle" });
  const said = await page.evaluate(() => ({
    heading: document.querySelector("h1")?.innerText ?? null,
    text: document.body.innerText,
    ground: getComputedStyle(document.body).backgroundColor,
    icon: document.querySelector("link[rel=icon]")?.href ?? null,
  }));
  const icon = said.icon && (await page.request.get(said.icon)).status();
  page.off("response", note);
  shown.push({ path, status: answer.status(), ...said, icon, failed });
}
console.log(JSON.stringify(shown));
await browser.close();
