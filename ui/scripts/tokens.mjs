// Makes src/tokens.css from assets/tokens.toml, so that pages and native windows cannot drift apart.
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "smol-toml";

const tokens = parse(readFileSync(new URL("../../assets/tokens.toml", import.meta.url), "utf8"));
const colours = (theme) => Object.entries(theme).map(([name, value]) => `  --${name}: ${value};`).join("\n");
const css = `/* Made from assets/tokens.toml by scripts/tokens.mjs. */
:root {
  color-scheme: dark light;
  --grid: ${tokens.space.grid}px;
  --radius: ${tokens.space.radius}px;
  --control: ${tokens.space["control-form"]}px;
  --type: ${tokens.type.desk}px;
  --heading: ${tokens.type.desk * tokens.type["heading-ratio"]}px;
  --motion: ${tokens.motion.explain}ms;
${colours(tokens.dark)}
}
@media (prefers-color-scheme: light) {
  :root {
${colours(tokens.light)}
  }
}
@media (prefers-reduced-motion: reduce) {
  :root { --motion: 0ms; }
}
`;
writeFileSync(new URL("../src/tokens.css", import.meta.url), css);
