// Chromium as the tests use it: headless, without network services of its own, with devices that are not there.
import { createRequire } from "node:module";

// playwright-core lies with the pages' packages.
const require = createRequire(new URL("../../ui/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
];
const DEVICES = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

/** A page, and what its console said: shown when the test fails. */
export async function openPage(size, devices = false) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium", headless: true, args: [...QUIET, ...(devices ? DEVICES : [])],
  });
  const page = await browser.newPage({ viewport: size });
  page.on("console", (message) => console.error(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  return { browser, page };
}

export const LIMIT_MS = 120_000;
