import { defineConfig } from "vite";

export default defineConfig({
  // The package finds its module beside itself, which pre-bundling would move.
  optimizeDeps: { exclude: ["narrows"] },
  server: { fs: { allow: [".."] } },
  build: { target: "es2022", rollupOptions: { input: ["index.html", "bars.html"] } },
  worker: { format: "es" },
});
