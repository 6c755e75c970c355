// watch.mjs URL FOLDER FRAMES: plays the watch page until so many more frames were decoded. Leaves two pictures of
// the video alone (first.png, second.png) and two of the page (page.png, figures.png), chooses another quality, and
// says what the page said.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LIMIT_MS, openPage } from "./launch.mjs";

const [url, folder, frames] = process.argv.slice(2);
const { browser, page } = await openPage({ width: 1280, height: 720 });
page.setDefaultTimeout(LIMIT_MS);
const answer = await page.goto(url);
if (!answer.ok()) throw new Error(`the page's address answered ${answer.status()}: ${await answer.text()}`);
await page.waitForSelector("main[data-phase=playing]");
const decoded = () => page.evaluate(() => Number(document.querySelector("main").dataset.decoded));
const moreThan = (count) => page.waitForFunction(
  (count) => Number(document.querySelector("main").dataset.decoded) > count, count,
);
await moreThan(0);
const before = await decoded();
const first = await grab("first.png");
await moreThan(before + Number(frames));
const second = await grab("second.png");
await page.mouse.move(600, 300);
await page.screenshot({ path: join(folder, "page.png") });
await page.getByRole("button", { name: "Figures" }).click();
await page.getByLabel("Figures of this connection").waitFor();
await page.screenshot({ path: join(folder, "figures.png") });
// It is known once a sender report came.
await page.waitForFunction(() => document.querySelector("main").dataset.delayMs !== "");
const main = await page.evaluate(() => ({ ...document.querySelector("main").dataset }));
// What does not play now is chosen, and plays.
const height = () => page.evaluate(() => document.querySelector("video").videoHeight);
const [chosen, wanted] = await height() === 180 ? ["medium", 360] : ["very_low", 180];
await page.mouse.move(610, 300);
await page.getByLabel("Quality").selectOption(chosen);
await page.waitForFunction((wanted) => document.querySelector("video").videoHeight === wanted, wanted);
const qualities = await page.getByLabel("Quality").locator("option").allTextContents();
console.log(JSON.stringify({
  phase: main.phase, transport: main.transport, decoded_before: before, decoded: Number(main.decoded),
  delay_ms: main.delayMs === "" ? null : Number(main.delayMs), qualities, chosen, first, second,
}));
await browser.close();

/** The next picture that is presented, its size, and when that was. */
async function grab(name) {
  const { png, ...rest } = await page.evaluate(() => new Promise((resolve) => {
    const video = document.querySelector("video");
    video.requestVideoFrameCallback(() => {
      const at_ms = Date.now();
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      canvas.getContext("2d").drawImage(video, 0, 0);
      resolve({ at_ms, width: canvas.width, height: canvas.height, png: canvas.toDataURL("image/png") });
    });
  }));
  await writeFile(join(folder, name), Buffer.from(png.split(",")[1], "base64"));
  return rest;
}
