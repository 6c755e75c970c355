import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// Three pages: the Desk's, and the two that a node serves. Relative addresses, because the Desk
// loads its files from inside the executable and the node from under any path.
export default defineConfig({
  plugins: [svelte()],
  base: "./",
  build: {
    target: "es2022",
    chunkSizeWarningLimit: 1200,
    rollupOptions: { input: { index: "index.html", watch: "watch.html", node: "node.html" } },
  },
});
