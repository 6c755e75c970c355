// desk.mjs: the Desk's built page in a browser, with a program behind it that only notes what it is asked.
// Asks it to stop and to restart a node whose stream is live, has an order refused, and says what came of it.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { openPage } from "./launch.mjs";

const ui = new URL("../../ui/", import.meta.url);
const snapshot = { ...JSON.parse(await readFile(new URL("tests/snapshot.json", ui), "utf8")), closing: false };
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const server = createServer(async (request, response) => {
  const path = new URL(request.url, "http://desk").pathname.slice(1) || "index.html";
  const file = await readFile(new URL(join("dist", path), ui)).catch(() => null);
  response.writeHead(file ? 200 : 404, { "Content-Type": KINDS[extname(path)] ?? "application/octet-stream" });
  response.end(file);
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));

const { browser, page } = await openPage({ width: 1120, height: 760 });
await page.addInitScript((snapshot) => {
  window.asked = [];
  window.refuse = false;
  window.now = snapshot;
  window.__TAURI_INTERNALS__ = {
    async invoke(command, rest) {
      if (command === "changes") {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return window.now;
      }
      window.asked.push({ command, ...rest });
      if (window.refuse) throw "The last orders are still being carried out. Try again in a moment.";
    },
  };
}, snapshot);
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const click = (name) => page.getByRole("button", { name, exact: true }).click();
// What the node says of the stream, in the row below it.
await click("Studio");
const told = await page.locator("tr", { hasText: "On air" }).locator("xpath=following-sibling::tr[1]").innerText();
await click("Home");
await click("Stop node");
await click("Keep it running");
await click("Stop node");
await click("Stop the node");
await click("Restart node");
await click("Restart the node");
const asked = await page.evaluate(() => window.asked);

const alert = page.getByRole("alert").filter({ hasText: "The last orders" });
const place = () => page.getByRole("button", { name: "Restart node" }).boundingBox();
await page.evaluate(() => { window.refuse = true; });
const before = await place();
await click("Restart node");
await click("Restart the node");
await alert.waitFor();
const moved = JSON.stringify(await place()) !== JSON.stringify(before);
await click("Dismiss");
await alert.waitFor({ state: "detached" });
await click("Restart node");
await click("Restart the node");
await alert.waitFor();
await page.evaluate(() => { window.now = { ...window.now, node: { ...window.now.node, state: "stopped" } }; });
await alert.waitFor({ state: "detached" });
console.log(JSON.stringify({ asked, moved, told }));
await browser.close();
server.close();
